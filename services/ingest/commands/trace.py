"""`rapport ingest trace SOURCE ID` and `rapport ingest trace --payload ORIGIN`: follows an event from the log to its
scores and alerts, each with its position, as the warehouse has stored it."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import click

from schemas.events import OfPartition
from schemas.primitives import to_rfc3339
from schemas.topics import ALERTS, EVENTS, RAW_CLOUDEVENTS, SCORES
from services.ingest.commands.tool_dry_run import Refusal, StatementResult, ToolDryRun
from services.ingest.console import quiet_settings, report_errors
from services.ingest.domain.cloudevents import Parsed, read_record
from services.ingest.domain.dead_letters import RAW_TOPICS, DeadLetterFilter, harmless
from services.ingest.domain.ids import pseudonym_of
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.dead_letters import read_rejected, requeued_keys
from services.ingest.flow.people.followers import projection_now
from services.ingest.service import connections_of
from services.ingest.settings import IngestSettings
from services.ingest.sources.connections import ConnectionsError
from services.ingest.sources.tool import Connection
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.kafka import Partition, Record, open_reader

SQL = Path(__file__).parent


class TraceStep(NamedTuple):
    """One step of the trace. `place` is topic/partition/offset, empty for a step that is on no topic."""

    what: str
    place: str
    words: str


class EventName(NamedTuple):
    """`tenant` is empty if it may be any."""

    source: str
    id: str
    tenant: str = ""


class EventTrace:
    """For one thread. Raises ClickHouseError, KafkaError."""

    def __init__(self, settings: IngestSettings, clickhouse: ClickHouse) -> None:
        self._settings, self._clickhouse = settings, clickhouse

    def steps(self, event: EventName) -> Iterator[TraceStep]:
        """Yields nothing if the event is not on the log, as far as the warehouse has read it."""
        key = self._settings.ingest_digest_key.get_secret_value()
        # The id as it was sent, and its pseudonym, which the log has instead if the id may be text.
        ids = [event.id, *([pseudonym_of(key, event.tenant)(event.id)] if key and event.tenant else [])]
        parameters = {"source": event.source, "ids": ids, "tenant": event.tenant}
        for tenant, relationship, kind, name, at, recorded, partition, offset in self._rows("events", parameters):
            place = f"{EVENTS.at(self._settings.log_epoch)}/{partition}/{offset}"
            happened = f"{kind} of {tenant}/{relationship}, happened {to_rfc3339(at)}, recorded {to_rfc3339(recorded)}"
            yield TraceStep("event", place, happened)
            for letter in read_rejected(self._settings, DeadLetterFilter(keys=frozenset({place}))):
                yield TraceStep("refused", place, f"by a reader of the log: {letter.reason}: {letter.detail}")
            named = {
                "tenant": tenant,
                "relationship": relationship,
                "source": event.source,
                "id": name,
                "at": at,
            }
            yield from self._scores(named)
            yield from self._alerts(named)

    def _scores(self, event: dict[str, object]) -> Iterator[TraceStep]:
        rows = self._rows("scores", event)
        for at, causes, was, before, health, band, risk, kind, mode, partition, offset in rows:
            change = f"{health:.1f}" if was == "none" else f"{before:.1f} to {health:.1f}"
            words = (
                f"{to_rfc3339(at)}: health {change}, {band}, risk {risk:.2f}, by {', '.join(causes)} ({kind}, {mode})"
            )
            yield TraceStep("score", f"{SCORES.name}/{partition}/{offset}", words)
        if not rows:
            yield TraceStep("score", "", "none: the event is no fact to a score, or scoring has not come so far")

    def _alerts(self, event: dict[str, object]) -> Iterator[TraceStep]:
        rows = self._rows("alerts", event)
        for at, rule, transition, urgency, why, summary, not_sent, partition, offset in rows:
            unsent = f"; not sent: {not_sent}" if not_sent else ""
            words = f"{to_rfc3339(at)}: {rule} {transition}, {urgency}, {why or summary}{unsent}"
            yield TraceStep("alert", f"{ALERTS.name}/{partition}/{offset}", words)
        if not rows:
            yield TraceStep("alert", "", "none: no rule has changed by it")

    def _rows(self, name: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return self._clickhouse.query((SQL / f"trace_{name}.sql").read_text(), parameters)


NOT_FOUND = (
    "no such event is on the log, as far as the warehouse has read it. What was refused over HTTP was answered to its "
    "sender and is written nowhere; `rapport ingest rejected list` has the rest."
)
RAW_IS_GONE = "is not on its topic: payloads stay for 14 days"


@click.command()
@click.argument("event", nargs=-1, metavar="[SOURCE ID]")
@click.option("--payload", metavar="ORIGIN", help="topic/partition/offset, as in `rejected list` and in logs.")
@click.option("--tenant", default="", help="The tenant of the event; needed to find an id that may be text.")
@click.option("--json", "as_json", is_flag=True, help="One JSON per step.")
def trace(*, event: tuple[str, ...], payload: str | None, tenant: str, as_json: bool) -> None:
    """Show what became of an event, or of what a tool sent: raw record, statements, whom they are about, event, scores,
    alerts, each with its position and the reason. Statements are shown as they would be translated now. Exits with 1 if
    nothing is found."""
    if (len(event) == 2) == (payload is not None) or len(event) not in {0, 2}:  # noqa: PLR2004 (source and id)
        raise click.UsageError("give SOURCE and ID, or --payload ORIGIN")
    found = False
    with report_errors(), closing(ClickHouse(settings := quiet_settings())) as clickhouse:
        event_trace = EventTrace(settings, clickhouse)
        steps = (
            _trace_payload(settings, event_trace, payload)
            if payload
            else event_trace.steps(EventName(event[0], event[1], tenant))
        )
        try:
            for step in steps:
                found = True
                words = f"{step.what:<10}{step.words}{f'  [{step.place}]' if step.place else ''}"
                click.echo(json.dumps(step._asdict()) if as_json else harmless(words))
        except ClickHouseError as away:
            raise click.ClickException(f"the warehouse does not answer: {away}") from away
        except (OriginError, ConnectionsError) as wrong:
            raise click.ClickException(str(wrong)) from wrong
    if not found:
        click.echo(NOT_FOUND, err=True)
        sys.exit(1)


def _trace_payload(settings: IngestSettings, event_trace: EventTrace, origin: str) -> Iterator[TraceStep]:
    partition, offset = parse_origin(origin)
    record = record_at(settings, partition, offset)
    if record is None:
        yield TraceStep("raw", origin, RAW_IS_GONE)
    else:
        yield TraceStep("raw", origin, f"{len(record.value or b'')} bytes")
    yield from dead_letters_of(settings, origin.partition("#")[0])
    if record is None:
        return
    key = settings.ingest_digest_key.get_secret_value()
    for one in trace_record(record, connections_of(settings), projection_now(settings, key)):
        if isinstance(one, TraceStep):
            yield one
        else:
            yield from list(event_trace.steps(one)) or [
                TraceStep("event", "", f"{one.source} {one.id} is not on the log")
            ]


CONNECTION = "connection"


class OriginError(Exception):
    """The message shows the form of an origin."""


def parse_origin(origin: str) -> tuple[Partition, int]:
    """Parse `mentoring.raw.zoom/0/17`, or one payload of several: `mentoring.raw.zoom/0/17#2`. Raises OriginError."""
    topic, _, rest = origin.partition("#")[0].partition("/")
    partition, _, offset = rest.partition("/")
    if topic not in RAW_TOPICS or not (partition.isdecimal() and offset.isdecimal()):
        raise OriginError(f"{origin[:100]!r} is not written topic/partition/offset, with a topic of raw payloads")
    return Partition(topic, int(partition)), int(offset)


def record_at(settings: IngestSettings, partition: Partition, offset: int) -> Record | None:
    """Return None if the record has expired or never existed. Raises KafkaError."""
    with open_reader(settings, [partition.topic]) as reader:
        if partition not in reader.assignment():
            return None
        begin, end = reader.beginning_offsets([partition])[partition], reader.end_offsets([partition])[partition]
        if not begin <= offset < end:
            return None
        for other in reader.assignment() - {partition}:
            reader.pause([other])
        reader.seek(partition, offset)
        for polled in reader.poll_until({partition: end}):
            for found in islice(polled.get(partition, ()), 1):
                return found if found.offset == offset else None
    return None


def dead_letters_of(settings: IngestSettings, origin: str) -> Iterator[TraceStep]:
    """Yield the dead letters of the record and of each of its payloads. Raises KafkaError."""
    done = requeued_keys(settings)
    for letter in read_rejected(settings, DeadLetterFilter()):
        if letter.key == origin or letter.key.startswith(f"{origin}#"):
            requeued = "; sent again by `rapport ingest requeue`" if letter.key in done else ""
            yield TraceStep("refused", letter.key, f"{letter.reason}: {letter.detail}{requeued}")


def trace_record(
    record: Record, connections: Mapping[str, Connection], projection: Projection
) -> Iterator[TraceStep | EventName]:
    """Yield each step, and after a statement the events that it became, to be traced in turn."""
    if record.topic == RAW_CLOUDEVENTS.name:
        found = read_record(record.headers, record.value)
        value = found.value if isinstance(found, Parsed) else None
        if isinstance(value, dict) and isinstance(value.get("source"), str) and isinstance(value.get("id"), str):
            yield TraceStep("payload", "", "a CloudEvent")
            yield EventName(value["source"], value["id"])
        else:
            yield TraceStep("payload", "", "no CloudEvent that can be read")
        return
    name = next((value.decode(errors="replace") for key, value in record.headers if key == CONNECTION), "")
    connection = connections.get(name)
    if connection is None:
        yield TraceStep(
            "resolution", "", f"the connection {name[:100]!r} is not known: is RAPPORT_INGEST_CONNECTIONS set?"
        )
        return
    for result in ToolDryRun(connection, projection, datetime.now(UTC)).record(record):
        if result.pointer:
            yield TraceStep("payload", "", f"points to {result.pointer.resource}, which is fetched from the tool's API")
        if result.refusal:
            yield TraceStep("payload", "", _reason(result.refusal))
        for statement in result.statements:
            yield from _statement(statement)


def _statement(statement: StatementResult) -> Iterator[TraceStep | EventName]:
    yield TraceStep("statement", "", type(statement.activity).__name__.lower())
    if statement.refusal:
        yield TraceStep("resolution", "", _reason(statement.refusal))
    for participant in statement.participants:
        yield TraceStep("resolution", "", f"of the participant {participant.id}: the directory")
    for event in statement.events:
        if not isinstance(event, OfPartition):
            yield TraceStep("resolution", "", f"of the relationship {event.subject}: {event.type} {event.id}")
        yield EventName(event.source, event.id, event.tenant)


def _reason(refusal: Refusal) -> str:
    if isinstance(refusal, Ignored):
        return f"ignored: {refusal.reason}"
    assert isinstance(refusal, Rejected)
    return f"rejected: {refusal.reason}: {'; '.join(f'{e.path}: {e.reason}' for e in refusal.errors)}"
