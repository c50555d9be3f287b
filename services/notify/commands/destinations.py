"""`rapport notify destinations` and `test`: configured destinations, and whether a message arrives."""

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import click

from schemas.alerts import Urgency
from services.notify.channels.channel import open_channel
from services.notify.channels.destinations_file import load_destinations
from services.notify.channels.smtp import MailDirectory
from services.notify.commands.common import destinations_or_exit, fail, settings_or_exit
from services.notify.domain.deliveries import (
    DeliveryAccepted,
    DestinationDown,
    MailboxPutOff,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
    Verdict,
)
from services.notify.domain.destinations import DestinationConfig, DestinationsError, describe_config
from services.notify.domain.ids import Destination
from services.notify.domain.name_book import NameBook
from services.notify.domain.pipeline import earliest_due, usual_group
from services.notify.domain.preferences import AddressesOff
from services.notify.domain.routing import Addressing, DecisionContext, RoutingKey
from services.notify.flow.inputs import read_people
from services.notify.flow.notice_planner import trial_deliveries
from services.notify.rendering.renderer import Renderer
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics

NO_DIRECTORY = MailDirectory(lambda _destination, _tenant, _person: None, lambda _destination, _address: False)


@click.group()
def destinations() -> None:
    """Where messages can go."""


@destinations.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Validate a file of destinations, with the secrets that it names; nothing is sent."""
    try:
        found = load_destinations(file, os.environ)
    except DestinationsError as faults:
        fail(str(faults))
    for line in describe_config(found):
        click.echo(line)
    click.echo(f"{len(found.destinations)} destinations are valid")


@destinations.command("list")
def list_() -> None:
    """List the destinations of the settings and of their file, without addresses and secrets."""
    for line in describe_config(destinations_or_exit(settings_or_exit()[0])):
        click.echo(line)


@click.command()
@click.option("--to", "name", help="A destination, as `destinations list` shows it: a message is sent to it.")
@click.option("--rule", help="Say where an alert of this rule would go, and why; nothing is sent.")
@click.option("--class", "urgency", type=click.Choice(["P1", "P2", "P3"]), default="P2", show_default=True)
@click.option("--tenant", help="Of the alert.")
@click.option("--program", help="Of the alert.")
def test(name: str | None, rule: str | None, urgency: Urgency, tenant: str | None, program: str | None) -> None:
    """Send a test message to a destination, and print the outcome; on PagerDuty it opens an incident of low severity
    and resolves it at once. Or, with --rule, print where an alert of a programme would go now, when, and why."""
    settings, topics = settings_or_exit()
    if (name is None) == (rule is None):
        fail("say --to DESTINATION, or --rule with --tenant and --program", code=2)
    if rule is not None:
        if tenant is None or program is None:
            fail("--rule needs --tenant and --program", code=2)
        for line in _route_lines(settings, topics, RoutingKey(tenant, program, rule, urgency)):
            click.echo(line)
        return
    found = next((one for one in destinations_or_exit(settings).destinations if one.name == name), None)
    if found is None:
        fail(f"there is no destination {(name or '')[:80]!r}: see `rapport notify destinations list`")
    if found.is_owner:
        fail(f"{name} goes to whoever looks after a programme: say where with --rule")
    verdicts = asyncio.run(_send_trial(found, Renderer(NameBook(), settings.notify_link)))
    for verdict in verdicts:
        click.echo(f"{name}: {_outcome(verdict)}")
    sys.exit(0 if all(isinstance(verdict, DeliveryAccepted) for verdict in verdicts) else 1)


def _route_lines(settings: NotifySettings, topics: NotifyTopics, about: RoutingKey) -> Iterator[str]:
    """Yield where an alert would go, by the directory and the programmes as they are now."""
    routing = destinations_or_exit(settings)
    addressing = Addressing(routing, read_people(settings, topics), AddressesOff())
    context = DecisionContext(settings.clock, lambda: datetime.now(UTC), addressing)
    routed, now = context.route(about), context.now()
    yield routed.why
    for one in routed.to:
        to = one.destination
        group, at = usual_group(about.urgency), "at once"
        if one.delivery_window is not None and group is not None:
            at = f"{group}, {one.delivery_window.words(earliest_due(group, one, now))} at the earliest"
        yield f"{to.recipient} ({to.channel}){f' for {one.person}' if one.person else ''}: {at}"


async def _send_trial(config: DestinationConfig, renderer: Renderer) -> list[Verdict]:
    channel = open_channel(config, lambda: datetime.now(UTC), NO_DIRECTORY)
    try:
        trials = trial_deliveries(Destination(config.channel, config.name), datetime.now(UTC))
        return [await channel.send(renderer.render(one)) for one in trials]
    finally:
        await channel.close()


def _outcome(verdict: Verdict) -> str:
    match verdict:
        case DeliveryAccepted(status):
            return f"taken ({status})"
        case RetryLater(status) | MailboxPutOff(status):
            return f"not taken now ({status}); a message would be tried again"
        case OutcomeUnknown(status):
            return f"nobody knows whether it arrived ({status})"
        case MessageRejected(status):
            return f"the message was refused ({status})"
        case DestinationDown(status):
            return f"the destination is at fault ({status}); messages would wait"
        case _:
            assert_never(verdict)
