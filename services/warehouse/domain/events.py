"""`mentoring.events` into the table `events`."""

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT, ClockReached, OfPartition, OfRelationship, partition_key
from schemas.primitives import to_micros
from schemas.topics import position
from services.warehouse.domain.record import (
    NotStored,
    Outcome,
    Place,
    Refused,
    StoredRow,
    event_id,
    month,
    refusal,
)
from services.warehouse.domain.tables import WarehouseTable
from services.warehouse.domain.written import WrittenEvent, as_written

COLUMNS = (
    "tenant_id",
    "program_id",
    "relationship_id",
    "occurred_at",
    "event_id",
    "type",
    "source",
    "id",
    "recorded_at",
    "actor",
    "evidence",
    "tool",
    "session_id",
    "goal_id",
    "minutes",
    "people",
    "payload",
    "correlation_id",
    "position",
    "version",
    "log_partition",
    "log_offset",
)
EVENTS = WarehouseTable(
    "mentoring.events",
    key=("tenant_id", "program_id", "relationship_id", "occurred_at", "event_id"),
    columns=COLUMNS,
    time="occurred_at",
    kind="events",
    valid="first",
    # By the others it is known of every relationship when it began and ended, and what counts no more.
    leaving="type NOT IN ('mentoring.relationship.started.v1', 'mentoring.relationship.ended.v1', "
    "'mentoring.event.retracted.v1', 'mentoring.relationship.erased.v1')",
    # A replay from this table must know that it was erased.
    kept="type = 'mentoring.relationship.erased.v1'",
)
# Filled by a view from the table above, but with types that are told daily and with what an erasure keeps.
EVENTS_BY_TYPE = WarehouseTable(
    "mentoring.events_by_type",
    key=("tenant_id", "program_id", "type", "relationship_id", "occurred_at", "event_id"),
    time="occurred_at",
    kind="events",
    valid="first",
    leaving=EVENTS.leaving,
)
TENANT, RELATIONSHIP = COLUMNS.index("tenant_id"), COLUMNS.index("relationship_id")
# The first on the log has the greatest version; positions stay below (epoch << 48 | offset).
FIRST_WINS = 2**63


def event_row(value: bytes, place: Place) -> Outcome:
    event = as_written(value) or _checked(value)
    if isinstance(event, NotStored | Refused):
        return event
    return (StoredRow(EVENTS.name, place.offset, month(event.time), _values(event, place)),)


def key_of(row: StoredRow) -> str:
    """The key that its record must have."""
    return partition_key(str(row.values[TENANT]), str(row.values[RELATIONSHIP]))


def _checked(value: bytes) -> OfRelationship | NotStored | Refused:
    try:
        event = MENTORING_EVENT.validate_json(value)
    except ValidationError as invalid:
        return refusal(invalid)
    if isinstance(event, OfPartition):
        return NotStored("clock" if isinstance(event, ClockReached) else "profiles")
    if event.partitionkey != partition_key(event.tenant, event.subject):
        return Refused("misplaced", "partitionkey")
    return event


def _values(event: OfRelationship | WrittenEvent, place: Place) -> tuple[object, ...]:
    data, place_on_log = event.data, position(place.epoch, place.offset)
    # Not getattr or isinstance: pydantic looks for a field that a model lacks for longer than all else here takes.
    fields = vars(data)
    return (
        event.tenant,
        event.program,
        event.subject,
        to_micros(event.time),
        event_id(event.tenant, event.source, event.id),
        event.type,
        event.source,
        event.id,
        to_micros(event.recordedtime),
        data.by,
        data.evidence,
        data.origin.tool if data.origin else "",
        fields.get("session_id", ""),
        fields.get("goal_id") or "",
        fields.get("minutes") or 0.0,
        (*fields["mentors"], *fields["mentees"]) if "mentors" in fields else (),
        data.__pydantic_serializer__.to_json(data, exclude_none=True).decode(),
        event.correlationid or "",
        # It grows within a relationship, which has one partition.
        place_on_log,
        FIRST_WINS - place_on_log,
        place.partition,
        place.offset,
    )
