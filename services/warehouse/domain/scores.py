"""Maps `mentoring.scores` to the tables `score_history`, where a correction replaces a row, and `score_revisions`,
which keeps every version."""

from pydantic import ValidationError

from schemas.scores import SCORE_EVENT, Before, Score, ScoreChanged, ScoreCorrected, ScoreRow, Trigger
from services.warehouse.domain.record import (
    NEVER,
    NotStored,
    Outcome,
    RecordMetadata,
    Refused,
    StoredRow,
    appended_micros,
    event_id,
    micros,
    millionths,
    month,
    refusal,
)
from services.warehouse.domain.tables import WarehouseTable

_SCORE = (
    "causes",
    "health",
    "band",
    "caps",
    "risk",
    "factors",
    "deltas",
    "factor_values",
    "weights",
    "risk_terms",
    "confidence",
    "trend",
    "status",
    "started",
    "cadence_days",
    "last_contact",
    "next_session",
    "open_requests",
    "sources",
    "calibrated",
    "profile",
    "model",
    "calibration",
)
_BEFORE = ("before_as_of", "before_health", "before_band", "before_risk")
_TRIGGER = ("trigger_source", "trigger_id", "trigger_type", "trigger_time", "trigger_recorded")
_ROW = (
    "tenant_id",
    "program_id",
    "relationship_id",
    "as_of",
    "event_id",
    "kind",
    "mode",
    "recorded_at",
    "position",
    "version",
    "is_deleted",
    "log_partition",
    "log_offset",
)
COLUMNS = (*_ROW, *_TRIGGER, *_SCORE, *_BEFORE)
HISTORY = WarehouseTable(
    "mentoring.score_history",
    key=("tenant_id", "program_id", "relationship_id", "as_of"),
    columns=COLUMNS,
    time="as_of",
    kind="scores",
    valid="version",
)
REVISIONS = WarehouseTable(
    "mentoring.score_revisions",
    key=(*HISTORY.key, "version", "event_id"),
    columns=(*COLUMNS, "emitted_at"),
    time="as_of",
    kind="scores",
)

_NO_SCORE: tuple[object, ...] = (
    (),
    0,
    "none",
    (),
    0,
    {},
    {},
    {},
    {},
    {},
    0,
    0,
    "none",
    NEVER,
    0,
    NEVER,
    NEVER,
    (),
    (),
    False,
    "",
    "",
    "",
)
_NO_BEFORE: tuple[object, ...] = (NEVER, 0, "none", 0)
_NO_TRIGGER: tuple[object, ...] = ("", "", "", NEVER, NEVER)


def score_row(value: bytes, metadata: RecordMetadata) -> Outcome:
    try:
        event = SCORE_EVENT.validate_json(value)
    except ValidationError as invalid:
        return refusal(invalid)
    if event.type == "mentoring.clock.advanced.v1":
        return NotStored("clock")
    row = event.data
    if (row.score is None) != row.deleted:
        return Refused("score_and_deletion_disagree", "data.score")
    before = row.score.before if row.score else None
    values = (*_row(event, metadata), *_trigger(row.trigger), *_score(row.score), *_before(before))
    at = month(row.as_of)
    return (
        StoredRow(HISTORY.name, metadata.offset, at, values),
        StoredRow(REVISIONS.name, metadata.offset, at, (*values, appended_micros(metadata))),
    )


def version(row: ScoreRow) -> int:
    """The greatest version is valid; at equal positions a healing row wins."""
    return 2 * row.position + (row.mode == "heal")


def _row(event: ScoreChanged | ScoreCorrected, metadata: RecordMetadata) -> tuple[object, ...]:
    row = event.data
    return (
        event.tenant,
        event.program,
        event.subject,
        micros(row.as_of),
        event_id(event.tenant, event.source, event.id),
        "corrected" if event.type == "mentoring.score.corrected.v1" else "changed",
        row.mode,
        micros(event.recordedtime),
        row.position,
        version(row),
        int(row.deleted),
        metadata.partition,
        metadata.offset,
    )


def _trigger(trigger: Trigger | None) -> tuple[object, ...]:
    if trigger is None:
        return _NO_TRIGGER
    return (trigger.source, trigger.id, trigger.type, micros(trigger.time), micros(trigger.recordedtime))


def _score(score: Score | None) -> tuple[object, ...]:
    if score is None:
        return _NO_SCORE
    parts = score.parts
    return (
        score.causes,
        millionths(score.health),
        score.band,
        score.caps,
        millionths(score.risk),
        {part.name: millionths(part.contribution) for part in parts},
        {part.name: millionths(part.delta) for part in parts},
        {part.name: millionths(part.value) for part in parts},
        {part.name: millionths(part.weight) for part in parts},
        {term.name: millionths(term.value) for term in score.risk_terms},
        millionths(score.confidence),
        millionths(score.trend),
        score.status,
        micros(score.started),
        millionths(score.cadence_days),
        micros(score.last_contact),
        micros(score.next_session),
        score.open_requests,
        score.sources,
        score.calibrated,
        score.profile,
        score.model,
        score.calibration,
    )


def _before(before: Before | None) -> tuple[object, ...]:
    if before is None:
        return _NO_BEFORE
    return (micros(before.as_of), millionths(before.health), before.band, millionths(before.risk))
