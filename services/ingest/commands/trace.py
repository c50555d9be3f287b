"""`rapport ingest trace SOURCE ID` and `rapport ingest trace --payload ORIGIN`."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing

import click

from services.ingest.console import explained, quiet_settings
from services.ingest.flow.people.followers import projection_now
from services.ingest.service import connections_of
from services.ingest.settings import IngestSettings
from services.ingest.sources.connections import ConnectionsError
from services.ingest.tracing.trace import (
    EventName,
    EventTrace,
    OriginError,
    TraceStep,
    events_of,
    in_words,
    place_of,
    quarantined,
    record_at,
)
from services.runtime.clickhouse import ClickHouse, ClickHouseError

NOT_THERE = (
    "no such event is on the log, as far as the warehouse has read it. What was refused over HTTP was answered to its "
    "sender and is written nowhere; `rapport ingest rejected list` has the rest."
)
RAW_IS_GONE = "is not on its topic: payloads stay for 14 days"


@click.command()
@click.argument("event", nargs=-1, metavar="[SOURCE ID]")
@click.option("--payload", metavar="ORIGIN", help="topic/partition/offset, as `rejected list` and logs have it.")
@click.option("--tenant", default="", help="Of the event; an id that may be text is found with it only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON per step.")
def trace(*, event: tuple[str, ...], payload: str | None, tenant: str, as_json: bool) -> None:
    """Show what became of an event, or of what a tool sent: raw record, statements, whom they are about, event, scores,
    alerts, each with its place and the reason. Statements are told as they would be read now. Ends with 1 if nothing
    is found."""
    if (len(event) == 2) == (payload is not None) or len(event) not in {0, 2}:  # noqa: PLR2004 (source and id)
        raise click.UsageError("give SOURCE and ID, or --payload ORIGIN")
    found = False
    with explained(), closing(ClickHouse(settings := quiet_settings())) as clickhouse:
        traced = EventTrace(settings, clickhouse)
        steps = _of_payload(settings, traced, payload) if payload else traced.of(EventName(event[0], event[1], tenant))
        try:
            for step in steps:
                found = True
                click.echo(json.dumps(step._asdict()) if as_json else in_words(step))
        except ClickHouseError as away:
            raise click.ClickException(f"the warehouse does not answer: {away}") from away
        except (OriginError, ConnectionsError) as wrong:
            raise click.ClickException(str(wrong)) from wrong
    if not found:
        click.echo(NOT_THERE, err=True)
        sys.exit(1)


def _of_payload(settings: IngestSettings, traced: EventTrace, origin: str) -> Iterator[TraceStep]:
    partition, offset = place_of(origin)
    record = record_at(settings, partition, offset)
    if record is None:
        yield TraceStep("raw", origin, RAW_IS_GONE)
    else:
        yield TraceStep("raw", origin, f"{len(record.value or b'')} bytes")
    yield from quarantined(settings, origin.partition("#")[0])
    if record is None:
        return
    key = settings.ingest_digest_key.get_secret_value()
    for one in events_of(record, connections_of(settings), projection_now(settings, key)):
        if isinstance(one, TraceStep):
            yield one
        else:
            yield from list(traced.of(one)) or [TraceStep("event", "", f"{one.source} {one.id} is not on the log")]
