"""`mentoring.events` into the table `events`."""

from pydantic import ValidationError

from schemas import payloads as p
from schemas.events import MENTORING_EVENT, OfRelationship, partition_key
from schemas.topics import position
from services.warehouse.domain.record import Ignored, Outcome, Place, Refused, Row, event_id, micros, month, refusal

TABLE = "mentoring.events"
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
TENANT, RELATIONSHIP = COLUMNS.index("tenant_id"), COLUMNS.index("relationship_id")
# The first on the log has the greatest version; positions stay below (epoch << 48 | offset).
FIRST_WINS = 2**63


def event_row(value: bytes, place: Place) -> Outcome:
    try:
        event = MENTORING_EVENT.validate_json(value)
    except ValidationError as invalid:
        return refusal(invalid)
    if event.type == "mentoring.clock.reached.v1":
        return Ignored("clock")
    if event.partitionkey != partition_key(event.tenant, event.subject):
        return Refused("misplaced", "partitionkey")
    return Row(place.offset, month(event.time), _values(event, place))


def key_of(row: Row) -> str:
    """The key that its record must have."""
    return partition_key(str(row.values[TENANT]), str(row.values[RELATIONSHIP]))


def _values(event: OfRelationship, place: Place) -> tuple[object, ...]:
    data = event.data
    return (
        event.tenant,
        event.program,
        event.subject,
        micros(event.time),
        event_id(event.tenant, event.source, event.id),
        event.type,
        event.source,
        event.id,
        micros(event.recordedtime),
        data.by,
        data.evidence,
        data.origin.tool if data.origin else "",
        getattr(data, "session_id", ""),
        getattr(data, "goal_id", None) or "",
        getattr(data, "minutes", None) or 0.0,
        (*data.mentors, *data.mentees) if isinstance(data, p.RelationshipStarted) else (),
        data.model_dump_json(exclude_none=True),
        event.correlationid or "",
        # It grows within a relationship, which has one partition.
        position(place.epoch, place.offset),
        FIRST_WINS - position(place.epoch, place.offset),
        place.partition,
        place.offset,
    )
