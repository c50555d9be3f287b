"""`rapport notify deliveries`, `replay` and `discard`: list deliveries, and replay or discard dead letters."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click

from schemas.alerts import Delivery
from services.notify.commands.common import fail, long_enough_or_exit, settings_or_exit, write
from services.notify.domain.deliveries import has_ended, is_given_up, reset_for_replay
from services.notify.flow.command_processor import DISCARD, HEADER, REPLAY
from services.notify.flow.restore import read_deliveries
from services.runtime.kafka import OutgoingRecord

SHOWN_ID = 16
"""Characters of an id, as they are listed."""


@click.command()
@click.option("--dead", is_flag=True, help="Only those that were given up, with the reason.")
@click.option("--open", "unfinished", is_flag=True, help="Only those without an outcome.")
def deliveries(*, dead: bool, unfinished: bool) -> None:
    """List deliveries, the oldest first; ended ones for 30 days."""
    found = read_deliveries(*settings_or_exit())
    if dead:
        found = [one for one in found if is_given_up(one)]
    elif unfinished:
        found = [one for one in found if not has_ended(one)]
    for delivery in sorted(found, key=lambda d: (d.planned_at, d.alert.at, d.delivery_id)):
        parts = (
            f"{delivery.planned_at:%Y-%m-%d %H:%M:%S}",
            delivery.state.ljust(10),
            delivery.channel.ljust(9),
            delivery.recipient,
            delivery.transition.ljust(9),
            f"{delivery.tenant}/{delivery.relationship}",
            delivery.alert.rule,
            f"attempts {delivery.attempt}",
            f"one address: {delivery.status}" if delivery.address else delivery.status or "-",
            delivery.delivery_id[:SHOWN_ID],
        )
        click.echo("  ".join(parts))
    click.echo(f"{len(found)} deliveries")


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that were given up.")
def replay(ids: tuple[str, ...], *, every: bool) -> None:
    """Send dead letters again, under the same ids. IDS are as `deliveries --dead` lists them."""
    now = datetime.now(UTC)
    count = _request(REPLAY, ids, every, lambda one: reset_for_replay(one, now).model_dump_json().encode())
    click.echo(f"{count} deliveries are sent again, by notify where it runs or when it starts")


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that were given up.")
def discard(ids: tuple[str, ...], *, every: bool) -> None:
    """Remove dead letters from the list. Their events stay on `mentoring.alerts`."""
    click.echo(f"{_request(DISCARD, ids, every, lambda _: None)} deliveries are discarded")


def _request(request: bytes, ids: Sequence[str], every: bool, after: Callable[[Delivery], bytes | None]) -> int:  # noqa: FBT001
    """Write a request for given-up deliveries; returns how many. A running notify follows the topic; one that starts
    later finds the record as the last of its key."""
    if every == bool(ids):
        fail("name the deliveries, or say --all")
    settings, topics = settings_or_exit()
    given_up = [one for one in read_deliveries(settings, topics) if is_given_up(one)]
    chosen = given_up if every else list[Delivery]()
    for wanted in dict.fromkeys(ids):
        long_enough_or_exit(wanted)
        found = [one for one in given_up if one.delivery_id.startswith(wanted)]
        if len(found) != 1:
            fail(f"{wanted[:64]!r}: {len(found)} deliveries that were given up have such an id")
        chosen += found
    headers = [(HEADER, request)]
    write(
        settings, [OutgoingRecord(topics.deliveries, after(one), one.delivery_id.encode(), headers) for one in chosen]
    )
    return len(chosen)
