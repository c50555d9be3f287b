"""Tables of people: who mentors whom, since when and until when, and the directory."""

from services.ingest.domain.tools.cells import LOST_DIGITS, SHORTENED, whole
from services.ingest.importing.kinds.kind import BY, COMMON, SUBJECT, Column, Message, TableKind, check_common, event
from services.ingest.importing.row import TableRow, present
from services.ingest.importing.sender import PARTICIPANTS_ENDPOINT
from services.ingest.sources.vendor_model import zone_named

KINDS_OF_PAIRS = ("one_to_one", "group", "peer", "reverse")
STATUSES = ("active", "leave", "exited")


def _read_relationship(row: TableRow) -> list[Message]:
    check_common(row)
    row.needed("started_at")
    started, ended = row.moment_or_day("started_at"), row.moment_or_day("ended_at")
    # One that ends and begins again under the same id is two rows, told apart by their begin.
    events = [event(row, "relationship.started", started, _start(row), [started or ""])]
    # Both as RFC 3339 in UTC.
    if started and ended and ended < started:
        row.fault("ended_at", "lies before started_at")
    if ended:
        events.append(event(row, "relationship.ended", ended, _end(row), [ended]))
    elif row.text("end_reason"):
        row.fault("ended_at", "is empty, yet there is a reason for the end")
    return events


def _start(row: TableRow) -> Message:
    mentors, mentees, kind = row.people("mentors"), row.people("mentees"), row.word("kind", KINDS_OF_PAIRS)
    # Peers may be both.
    if kind != "peer" and set(mentors) & set(mentees):
        row.fault("mentees", "names somebody who is a mentor here, too: a pair is of two people")
    coordinators = row.people("coordinator")
    if len(coordinators) > 1:
        row.fault("coordinator", "names several people: it is one")
    return present(
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
        row.fault("end_planned", "is empty: was the end planned, yes or no?")
    return present(
        by="admin",
        evidence="admin",
        planned=planned,
        reason_code=row.text("end_reason") or "not_told",
        initiated_by=row.word("ended_by", BY.allowed) or "admin",
    )


RELATIONSHIPS = TableKind(
    name="relationships",
    required=(
        Column("relationship", "an id for the pair or group; other tables name it", "ann-and-ben"),
        Column("started_at", "its first day", "2026-01-05", "time"),
        Column("mentors", "ids, or addresses of the directory; several with | between", "p-ann"),
        Column("mentees", "likewise", "p-ben"),
    ),
    optional=(
        Column("kind", "one_to_one if left out", "one_to_one", allowed=KINDS_OF_PAIRS),
        Column("cadence_days", "how many days are to lie between meetings", "14", "number"),
        Column("planned_end", "its last day, if there is one", "2026-12-31", "day"),
        Column("coordinator", "who looks after the pair: an id or an address"),
        Column("cohort", "an id"),
        Column("ended_at", "if it is over: when", "", "time"),
        Column("end_planned", "if it is over: was that planned?", "", "yes or no"),
        Column("end_reason", "if it is over: a code such as moved_away"),
        Column("ended_by", "if it is over: who ended it", allowed=BY.allowed),
        *COMMON,
    ),
    read=_read_relationship,
    paths=SUBJECT
    | {"time": "started_at", "time:relationship.ended": "ended_at"}
    | {"reason_code": "end_reason", "planned": "end_planned", "initiated_by": "ended_by"},
)


def _read_person(row: TableRow) -> list[Message]:
    participant = whole(row.needed("participant"))
    if SHORTENED.fullmatch(participant):
        row.fault("participant", LOST_DIGITS)
    if participant in row.reading.contradicted:
        row.fault("participant", "stands in several rows, which say different things: keep the one that holds")
    row.needed("name")
    row.needed("consent")
    zone = row.text("time_zone") or row.defaults.time_zone
    try:
        zone = zone_named(zone).key if zone else ""
    except ValueError as unknown:
        row.fault("time_zone", str(unknown))
    if not zone:
        row.fault("time_zone", "is empty, and the command names no --time-zone")
    # Written tool:id.
    identities = [(written, *written.partition(":")[::2]) for written in row.several("identities")]
    for written in (written for written, _, known_as in identities if not known_as):
        row.fault("identities", f"{written[:60]!r} is not written tool:id")
    found = present(
        id=participant,
        name=row.name("name"),
        addresses=row.addresses("addresses"),
        identities=[{"tool": tool, "id": known_as} for _, tool, known_as in identities],
        time_zone=zone,
        status=row.word("status", STATUSES),
        consent=row.flag("consent"),
    )
    return [found]


DIRECTORY = TableKind(
    name="directory",
    required=(
        Column("participant", "the person's id; other tables name it", "p-ann"),
        Column("name", "as it is written to people", "Ann Example"),
        Column("consent", "has the person consented?", "yes", "yes or no"),
    ),
    optional=(
        Column("addresses", "e-mail; several with | between", "ann@example.com"),
        Column("identities", "who the person is in tools, as tool:id; several with | between"),
        Column("time_zone", "such as Europe/Berlin; or --time-zone for all rows", "Europe/Berlin"),
        Column("status", "active if left out", "active", allowed=STATUSES),
    ),
    read=_read_person,
    paths={"id": "participant"},
    endpoint=PARTICIPANTS_ENDPOINT,
)
