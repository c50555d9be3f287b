"""The registry of all tables, and the mapping of topics to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas import topics
from services.warehouse.domain.alerts import ACTS, ALERTS, DELIVERIES, alert_row
from services.warehouse.domain.events import EVENTS, EVENTS_BY_TYPE, RECORDED_MONTHLY, event_row, key_of
from services.warehouse.domain.programs import PROGRAMS, program_row
from services.warehouse.domain.record import Outcome, RecordMetadata, StoredRow
from services.warehouse.domain.rejected import REJECTED, rejected_row
from services.warehouse.domain.scores import HISTORY, REVISIONS, score_row
from services.warehouse.domain.tables import Scope, WarehouseTable

RELATIONSHIP = ("tenant_id", "program_id", "relationship_id")
RELATIONSHIP_STATE = WarehouseTable("mentoring.relationship_state", RELATIONSHIP, derived="relationship")
RELATIONSHIPS = WarehouseTable("mentoring.relationships", RELATIONSHIP, derived="relationship", filling=3)
RELATIONSHIP_REPLIES = WarehouseTable("mentoring.relationship_replies", RELATIONSHIP, derived="relationship")
RELATIONSHIP_FEEDBACK = WarehouseTable("mentoring.relationship_feedback", RELATIONSHIP, derived="relationship")
RELATIONSHIP_DAILY = WarehouseTable(
    "mentoring.relationship_daily", ("tenant_id", "program_id", "day", "relationship_id"), derived="day"
)
RELATIONSHIP_MONTHLY = WarehouseTable(
    "mentoring.relationship_monthly", ("tenant_id", "program_id", "month", "relationship_id"), derived="day"
)
ACTIVITY_DAILY = WarehouseTable("mentoring.activity_daily", ("tenant_id", "program_id", "day", "type"), derived="day")
PROGRAM_DAILY = WarehouseTable("mentoring.program_daily", ("tenant_id", "program_id", "day"), derived="day")
PROGRAM_WEEKLY = WarehouseTable("mentoring.program_weekly", ("tenant_id", "program_id", "week"), derived="day")
# In the order in which they are recomputed.
DERIVED = (
    RELATIONSHIP_STATE,
    RELATIONSHIPS,
    RELATIONSHIP_REPLIES,
    RELATIONSHIP_FEEDBACK,
    RELATIONSHIP_DAILY,
    RELATIONSHIP_MONTHLY,
    ACTIVITY_DAILY,
    PROGRAM_DAILY,
    PROGRAM_WEEKLY,
)


def tables_of(scope: Scope) -> Sequence[WarehouseTable]:
    """Return the tables that are recomputed for touched keys of this kind, in their order."""
    return [table for table in DERIVED if table.derived == scope]


@dataclass(frozen=True)
class Target:
    """How records of a topic become rows of `tables`. `holes`: plain topics have none, so that the records of a range
    can be counted; transactions leave markers; compaction may remove planned records. `key_of` returns the key that a
    row's record must have, which determines its partition; None if only we write the topic."""

    tables: tuple[WarehouseTable, ...]
    read: Callable[[bytes, RecordMetadata], Outcome]
    holes: Literal["none", "markers", "compacted"]
    key_of: Callable[[StoredRow], str] | None = None


EVENT_LOG = Target((EVENTS,), event_row, "none", key_of)
SCORE_HISTORY = Target((HISTORY, REVISIONS), score_row, "none")
# notify writes in transactions: their markers and aborted records are holes.
ALERT_LOG = Target((ALERTS, ACTS, DELIVERIES), alert_row, "markers")
REJECTED_TARGET = Target((REJECTED,), rejected_row, "none")
PROGRAM_TARGET = Target((PROGRAMS,), program_row, "compacted")
TARGETS = {
    topics.EVENTS: EVENT_LOG,
    topics.SCORES: SCORE_HISTORY,
    topics.ALERTS: ALERT_LOG,
    topics.REJECTED: REJECTED_TARGET,
    topics.PROGRAMS: PROGRAM_TARGET,
}
STORED = tuple(table for target in TARGETS.values() for table in target.tables)
COPIED = (EVENTS_BY_TYPE,)
# `migrate` fills such a table as soon as it has created it: no command has to follow.
SUMMARIZED = (RECORDED_MONTHLY,)
TABLES = {table.name: table for table in (*STORED, *COPIED, *SUMMARIZED, *DERIVED)}


@dataclass(frozen=True)
class Feed:
    """The topics to read, their consumer group and targets, and the epoch of the log."""

    group: str
    targets: Mapping[str, Target]
    epoch: int = 0


def feed_of(epoch: int) -> Feed:
    return Feed("rapport-warehouse", {topic.at(epoch): target for topic, target in TARGETS.items()}, epoch)
