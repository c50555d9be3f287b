"""Tables of people: relationships with their begin and end, and the directory."""

from services.ingest.domain.tools.cells import LOST_DIGITS, SHORTENED, as_whole_number
from services.ingest.importing.kinds.kind import (
    BY,
    COMMON_COLUMNS,
    SUBJECT,
    Column,
    Message,
    TableKind,
    check_common_columns,
    event_message,
)
from services.ingest.importing.row import TableRow, without_empty
from services.ingest.importing.sender import PARTICIPANTS_ENDPOINT
from services.ingest.sources.vendor_model import find_zone

RELATIONSHIP_KINDS = ("one_to_one", "group", "peer", "reverse")
STATUSES = ("active", "leave", "exited")


def _relationship_messages(row: TableRow) -> list[Message]:
    check_common_columns(row)
    row.required("started_at")
    started, ended = row.timestamp_or_day("started_at"), row.timestamp_or_day("ended_at")
    # A relationship that ends and starts again under the same id takes two rows, distinguished by their start.
    events = [event_message(row, "relationship.started", started, _start(row), [started or ""])]
    # Both are RFC 3339 in UTC, so they compare as text.
    if started and ended and ended < started:
        row.add_problem("ended_at", "is before started_at")
    if ended:
        events.append(event_message(row, "relationship.ended", ended, _end(row), [ended]))
    elif row.text("end_reason"):
        row.add_problem("ended_at", "is empty, although end_reason is given")
    return events


def _start(row: TableRow) -> Message:
    mentors, mentees, kind = row.people("mentors"), row.people("mentees"), row.choice("kind", RELATIONSHIP_KINDS)
    # Peers may be both.
    if kind != "peer" and set(mentors) & set(mentees):
        row.add_problem("mentees", "names a mentor of the same row: a relationship needs two people")
    coordinators = row.people("coordinator")
    if len(coordinators) > 1:
        row.add_problem("coordinator", "names several people: give one")
    return without_empty(
        by="admin",
        evidence="admin",
        mentors=mentors,
        mentees=mentees,
        kind=kind,
        cadence_days=row.number("cadence_days"),
        planned_end=row.day("planned_end"),
        coordinator=next(iter(coordinators), ""),
        cohort=row.text("cohort"),
    )


def _end(row: TableRow) -> Message:
    planned = row.flag("end_planned")
    if planned is None and not row.text("end_planned"):
        row.add_problem("end_planned", "is empty: was the end planned, yes or no?")
    return without_empty(
        by="admin",
        evidence="admin",
        planned=planned,
        reason_code=row.text("end_reason") or "not_told",
        initiated_by=row.choice("ended_by", BY.allowed) or "admin",
    )


RELATIONSHIPS = TableKind(
    name="relationships",
    required_columns=(
        Column("relationship", "an id for the pair or group; other tables name it", "ann-and-ben"),
        Column("started_at", "its first day", "2026-01-05", "time"),
        Column("mentors", "ids, or addresses of the directory; several with | between", "p-ann"),
        Column("mentees", "likewise", "p-ben"),
    ),
    optional_columns=(
        Column("kind", "one_to_one if left out", "one_to_one", allowed=RELATIONSHIP_KINDS),
        Column("cadence_days", "how many days are to lie between meetings", "14", "number"),
        Column("planned_end", "its last day, if there is one", "2026-12-31", "day"),
        Column("coordinator", "who looks after the pair: an id or an address"),
        Column("cohort", "an id"),
        Column("ended_at", "if it is over: when", "", "time"),
        Column("end_planned", "if it is over: was that planned?", "", "yes or no"),
        Column("end_reason", "if it is over: a code such as moved_away"),
        Column("ended_by", "if it is over: who ended it", allowed=BY.allowed),
        *COMMON_COLUMNS,
    ),
    messages_of=_relationship_messages,
    paths=SUBJECT
    | {"time": "started_at", "time:relationship.ended": "ended_at"}
    | {"reason_code": "end_reason", "planned": "end_planned", "initiated_by": "ended_by"},
)


def _participant_message(row: TableRow) -> list[Message]:
    participant = as_whole_number(row.required("participant"))
    if SHORTENED.fullmatch(participant):
        row.add_problem("participant", LOST_DIGITS)
    if participant in row.context.conflicting:
        row.add_problem("participant", "is in several rows that contradict each other: keep the correct one")
    row.required("name")
    row.required("consent")
    zone = row.text("time_zone") or row.defaults.time_zone
    try:
        zone = find_zone(zone).key if zone else ""
    except ValueError as unknown:
        row.add_problem("time_zone", str(unknown))
    if not zone:
        row.add_problem("time_zone", "is empty, and the command names no --time-zone")
    # Written tool:id.
    identities = [(written, *written.partition(":")[::2]) for written in row.values("identities")]
    for written in (written for written, _, tool_id in identities if not tool_id):
        row.add_problem("identities", f"{written[:60]!r} is not written tool:id")
    message = without_empty(
        id=participant,
        name=row.name("name"),
        addresses=row.addresses("addresses"),
        identities=[{"tool": tool, "id": tool_id} for _, tool, tool_id in identities],
        time_zone=zone,
        status=row.choice("status", STATUSES),
        consent=row.flag("consent"),
    )
    return [message]


DIRECTORY = TableKind(
    name="directory",
    required_columns=(
        Column("participant", "the person's id; other tables name it", "p-ann"),
        Column("name", "as it is written to people", "Ann Example"),
        Column("consent", "has the person consented?", "yes", "yes or no"),
    ),
    optional_columns=(
        Column("addresses", "e-mail; several with | between", "ann@example.com"),
        Column("identities", "who the person is in tools, as tool:id; several with | between"),
        Column("time_zone", "such as Europe/Berlin; or --time-zone for all rows", "Europe/Berlin"),
        Column("status", "active if left out", "active", allowed=STATUSES),
    ),
    messages_of=_participant_message,
    paths={"id": "participant"},
    endpoint=PARTICIPANTS_ENDPOINT,
)
