"""Tables of people: who mentors whom, since when and until when, and the directory."""

from services.ingest.importing.kinds.kind import COMMON, SUBJECT, Message, TableKind, check_common, event
from services.ingest.importing.row import TableRow, present
from services.ingest.importing.sender import PARTICIPANTS_ENDPOINT


def _read_relationship(row: TableRow) -> list[Message]:
    check_common(row)
    row.needed("started_at")
    started, ended = row.moment_or_day("started_at"), row.moment_or_day("ended_at")
    # One that ends and begins again under the same id is two rows, told apart by their begin.
    events = [event(row, "relationship.started", started, _start(row), [started or ""])]
    if ended:
        events.append(event(row, "relationship.ended", ended, _end(row), [ended]))
    elif row.text("end_reason"):
        row.fault("ended_at", "is empty, yet there is a reason for the end")
    return events


def _start(row: TableRow) -> Message:
    return present(
        by="admin",
        evidence="admin",
        mentors=row.several("mentors"),
        mentees=row.several("mentees"),
        kind=row.text("kind"),
        cadence_days=row.number("cadence_days"),
        planned_end=row.day("planned_end"),
        coordinator=row.text("coordinator"),
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
        initiated_by=row.text("ended_by") or "admin",
    )


RELATIONSHIPS = TableKind(
    name="relationships",
    required=frozenset({"relationship", "started_at", "mentors", "mentees"}),
    optional=COMMON
    | {"kind", "cadence_days", "planned_end", "coordinator", "cohort"}
    | {"ended_at", "end_planned", "end_reason", "ended_by"},
    read=_read_relationship,
    columns={
        **SUBJECT,
        "time": "started_at",
        "reason_code": "end_reason",
        "planned": "end_planned",
        "initiated_by": "ended_by",
    },
)


def _read_person(row: TableRow) -> list[Message]:
    participant = row.needed("participant")
    row.needed("name")
    row.needed("consent")
    zone = row.text("time_zone") or row.defaults.time_zone
    if not zone:
        row.fault("time_zone", "is empty, and the command names no --time-zone")
    found = present(
        id=participant,
        name=row.text("name"),
        addresses=row.addresses("addresses"),
        identities=_identities(row),
        time_zone=zone,
        status=row.text("status").lower(),
        consent=row.flag("consent"),
    )
    return [found]


def _identities(row: TableRow) -> list[dict[str, str]]:
    """Written tool:id."""
    found = []
    for written in row.several("identities"):
        tool, _, known_as = written.partition(":")
        if not known_as:
            row.fault("identities", f"{written[:60]!r} is not written tool:id")
        found.append({"tool": tool, "id": known_as})
    return found


DIRECTORY = TableKind(
    name="directory",
    required=frozenset({"participant", "name", "consent"}),
    optional=frozenset({"addresses", "identities", "time_zone", "status"}),
    read=_read_person,
    columns={"id": "participant"},
    endpoint=PARTICIPANTS_ENDPOINT,
)
