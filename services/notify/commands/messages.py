"""`rapport notify preview` and `test`: a message as it would be read, and one that is sent."""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import assert_never

import click
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from schemas.alerts import ALERT_EVENT, AlertChanged, ChannelName, Urgency
from services.notify.channels.destinations import DestinationConfig
from services.notify.channels.opening import opened
from services.notify.channels.smtp import MailDirectory
from services.notify.commands.common import destinations_or_exit, fail, long_enough_or_exit, settings_or_exit
from services.notify.domain.addresses_off import AddressesOff
from services.notify.domain.decisions import planned
from services.notify.domain.ids import Destination
from services.notify.domain.name_book import NameBook
from services.notify.domain.pipeline import due, usual_group
from services.notify.domain.routing import About, Addressing
from services.notify.domain.verdict import Again, Arrived, Down, Never, Unknown, Verdict
from services.notify.flow.decision_context import DecisionContext
from services.notify.flow.metrics import Metrics
from services.notify.flow.noticing import trial_deliveries
from services.notify.flow.people import PeopleRecords
from services.notify.names import Names
from services.notify.rendering.renderer import Renderer
from services.notify.settings import NotifySettings
from services.runtime.kafka import KafkaError, read_to_end

CHANNELS: tuple[ChannelName, ...] = ("log", "webhook", "smtp", "slack", "teams", "pagerduty")
NO_DIRECTORY = MailDirectory(lambda _destination, _tenant, _person: None, lambda _destination, _address: False)


@click.command()
@click.argument("alert")
@click.option("--channel", type=click.Choice(CHANNELS), default="smtp", show_default=True)
@click.option("--raw", is_flag=True, help="The body as it is sent, on one line.")
def preview(alert: str, channel: ChannelName, *, raw: bool) -> None:
    """Print the message of an alert. ALERT is the beginning of its dedup key or event id; of several the last counts.
    Names are those of now."""
    settings = settings_or_exit()
    long_enough_or_exit(alert)
    names = Names.at(settings.log_epoch)
    try:
        event = _last_alert(settings, names, alert)
        people = _people(settings, names)
    except KafkaError as away:
        fail(str(away))
    if event is None:
        fail(f"{names.alerts} has no alert that begins with {alert[:80]!r}")
    told = event.model_copy(update={"data": event.data.model_copy(update={"not_sent": None})})
    delivery = planned(told, [Destination(channel, "preview")])[0]
    body = Renderer(people, settings.notify_link).rendered(delivery).body or ""
    click.echo(body if raw else _readable(channel, body))
    if event.data.not_sent is not None:
        click.echo(f"(it was not sent: {event.data.not_sent})", err=True)


@click.command()
@click.option("--to", "name", help="A destination, as `destinations list` shows it: a message is sent to it.")
@click.option("--rule", help="Say where an alert of this rule would go, and why; nothing is sent.")
@click.option("--class", "urgency", type=click.Choice(["P1", "P2", "P3"]), default="P2", show_default=True)
@click.option("--tenant", help="Of the alert.")
@click.option("--program", help="Of the alert.")
def test(name: str | None, rule: str | None, urgency: Urgency, tenant: str | None, program: str | None) -> None:
    """Send a test message to a destination, and say what came of it: of PagerDuty it opens an incident of low severity
    and resolves it at once. Or, with --rule, say where an alert of a programme would go now, when, and why."""
    settings = settings_or_exit()
    if (name is None) == (rule is None):
        fail("say --to DESTINATION, or --rule with --tenant and --program", code=2)
    if rule is not None:
        if tenant is None or program is None:
            fail("--rule needs --tenant and --program", code=2)
        for line in _way(settings, About(tenant, program, rule, urgency)):
            click.echo(line)
        return
    found = next((one for one in destinations_or_exit(settings).destinations if one.name == name), None)
    if found is None:
        fail(f"there is no destination {(name or '')[:80]!r}: see `rapport notify destinations list`")
    if found.is_owner:
        fail(f"{name} goes to whoever looks after a programme: say where with --rule")
    verdicts = asyncio.run(_sent(found, Renderer(NameBook(), settings.notify_link)))
    for verdict in verdicts:
        click.echo(f"{name}: {_outcome(verdict)}")
    sys.exit(0 if all(isinstance(verdict, Arrived) for verdict in verdicts) else 1)


def _way(settings: NotifySettings, about: About) -> Iterator[str]:
    """By the directory and the programmes as they are now."""
    config = destinations_or_exit(settings)
    try:
        people = _people(settings, Names.at(settings.log_epoch))
    except KafkaError as away:
        fail(str(away))
    context = DecisionContext(
        settings.clock, lambda: datetime.now(UTC), Addressing(config.routing(), people, AddressesOff())
    )
    routed, now = context.routed(about), context.now()
    yield routed.why
    for one in routed.to:
        to = one.destination
        group, at = usual_group(about.urgency), "at once"
        if one.receiving is not None and group is not None:
            at = f"{group}, {one.receiving.words(due(group, one, now))} at the earliest"
        yield f"{to.recipient} ({to.channel}){f' for {one.person}' if one.person else ''}: {at}"


async def _sent(config: DestinationConfig, renderer: Renderer) -> list[Verdict]:
    channel = opened(config, lambda: datetime.now(UTC), NO_DIRECTORY)
    try:
        deliveries = [
            renderer.rendered(one)
            for one in trial_deliveries(Destination(config.channel, config.name), datetime.now(UTC))
        ]
        return [await channel.send(delivery) for delivery in deliveries]
    finally:
        await channel.close()


def _outcome(verdict: Verdict) -> str:
    match verdict:
        case Arrived(status):
            return f"taken ({status})"
        case Again(status):
            return f"not taken now ({status}); a message would be tried again"
        case Unknown(status):
            return f"nobody knows whether it arrived ({status})"
        case Never(status):
            return f"the message was refused ({status})"
        case Down(status):
            return f"the destination is at fault ({status}); messages would wait"
        case _:
            assert_never(verdict)


def _last_alert(settings: NotifySettings, names: Names, beginning: str) -> AlertChanged | None:
    """Of records that cannot be read none is meant."""
    found = None
    for record in read_to_end(settings, [names.alerts], isolation_level="read_committed"):
        if beginning.encode() not in (record.value or b""):
            continue
        try:
            event = ALERT_EVENT.validate_json(record.value or b"")
        except ValidationError:
            click.echo(f"left out: {record.topic}, offset {record.offset} cannot be read", err=True)
            continue
        if event.type == "mentoring.alert.changed.v1" and event.id.startswith(beginning):
            found = event
    return found


def _people(settings: NotifySettings, names: Names) -> NameBook:
    people = NameBook()
    records = PeopleRecords(people, names, Metrics(CollectorRegistry()))
    for record in read_to_end(settings, [names.directory, names.programs, names.roster]):
        records.apply(record)
    return people


def _readable(channel: ChannelName, body: str) -> str:
    if channel == "log":
        return body
    found = json.loads(body)
    if channel == "smtp":
        return f"Subject: {found['subject']}\n\n{found['text']}"
    return json.dumps(found, indent=2, ensure_ascii=False)
