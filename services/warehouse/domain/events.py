"""Maps `mentoring.events` to the table `events`."""

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT, ClockReached, OfPartition, partition_key
from schemas.primitives import to_micros
from schemas.topics import position
from services.warehouse.domain.event_data import data_columns
from services.warehouse.domain.event_parser import Envelope, parse_written
from services.warehouse.domain.record import (
    NotStored,
    Outcome,
    RecordMetadata,
    Refused,
    StoredRow,
    event_id,
    month,
    refusal,
)
from services.warehouse.domain.tables import WarehouseTable

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
    # The remaining types show when a relationship began and ended, and which events are retracted.
    leaving="type NOT IN ('mentoring.relationship.started.v1', 'mentoring.relationship.ended.v1', "
    "'mentoring.event.retracted.v1', 'mentoring.relationship.erased.v1')",
    # A replay from this table must know the erasure.
    kept="type = 'mentoring.relationship.erased.v1'",
)
# A materialized view fills it from `events`, without types that occur daily and without what an erasure keeps.
EVENTS_BY_TYPE = WarehouseTable(
    "mentoring.events_by_type",
    key=("tenant_id", "program_id", "type", "relationship_id", "occurred_at", "event_id"),
    time="occurred_at",
    kind="events",
    valid="first",
    leaving=EVENTS.leaving,
)
# A materialized view fills it from `events`: with 2^63 - position as version, the first event of each month remains.
RECORDED_MONTHLY = WarehouseTable(
    "mentoring.recorded_monthly", key=("tenant_id", "program_id", "relationship_id", "month"), valid="first"
)
TENANT, RELATIONSHIP = COLUMNS.index("tenant_id"), COLUMNS.index("relationship_id")
# The first record on the log has the greatest version; positions stay below (epoch << 48 | offset).
FIRST_WINS = 2**63


def event_row(value: bytes, metadata: RecordMetadata) -> Outcome:
    event = parse_written(value) or _parse_envelope(value)
    if isinstance(event, tuple):
        return (StoredRow(EVENTS.name, metadata.offset, month(event[3]), _values(event, metadata)),)
    return event


def key_of(row: StoredRow) -> str:
    """Return the key that the record must have."""
    return partition_key(str(row.values[TENANT]), str(row.values[RELATIONSHIP]))


def _parse_envelope(value: bytes) -> Envelope | NotStored | Refused:
    try:
        event = MENTORING_EVENT.validate_json(value)
    except ValidationError as invalid:
        return refusal(invalid)
    if isinstance(event, OfPartition):
        return NotStored("clock" if isinstance(event, ClockReached) else "profiles")
    if event.partitionkey != partition_key(event.tenant, event.subject):
        return Refused("misplaced", "partitionkey")
    return (
        event.source,
        event.id,
        event.type,
        event.time,
        event.recordedtime,
        event.tenant,
        event.correlationid,
        data_columns(event.data),
        event.subject,
        event.program,
    )


def _values(event: Envelope, metadata: RecordMetadata) -> tuple[object, ...]:
    """Thin: it runs for every stored event."""
    source, id_, type_, time, recorded, tenant, correlation, data, subject, program = event
    actor, evidence, tool, session, goal, minutes, people, payload = data
    log_position = position(metadata.epoch, metadata.offset)
    return (
        tenant,
        program,
        subject,
        to_micros(time),
        event_id(tenant, source, id_),
        type_,
        source,
        id_,
        to_micros(recorded),
        actor,
        evidence,
        tool,
        session,
        goal,
        minutes,
        people,
        payload,
        correlation or "",
        # It increases within a relationship, which has one partition.
        log_position,
        FIRST_WINS - log_position,
        metadata.partition,
        metadata.offset,
    )
