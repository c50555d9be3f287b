"""Maps `mentoring.alerts` to the tables `alert_log`, `alert_acts` and `delivery_log`."""

import re
from collections.abc import Iterator
from typing import assert_never

from pydantic import ValidationError

from schemas.alerts import ALERT_EVENT, Alert, AlertChanged, AlertHandled, DeliveryChanged, Reading
from schemas.events import partition_key
from schemas.scores import Trigger
from services.warehouse.domain.record import (
    NEVER,
    Outcome,
    RecordMetadata,
    StoredRow,
    event_id,
    micros,
    millionths,
    month,
    refusal,
)
from services.warehouse.domain.tables import WarehouseTable

_EVENT = ("tenant_id", "program_id", "relationship_id", "event_id", "recorded_at", "log_partition", "log_offset")
_ALERT = (
    "subject_kind",
    "subject",
    "seq",
    "at",
    "alert_key",
    "dedup_key",
    "episode",
    "rule",
    "rule_version",
    "urgency",
    "transition",
    "condition",
    "why",
    "since",
    "decided_at",
    "reasons",
    "summary",
    "next_step",
    "not_sent",
)
_READING = ("as_of", "health", "band", "risk", "confidence", "calibrated", "last_contact")
_TRIGGER = ("trigger_source", "trigger_id", "trigger_type")
COLUMNS = (*_EVENT, *_ALERT, *_READING, *_TRIGGER)
DELIVERY_COLUMNS = (
    *_EVENT,
    "subject_kind",
    "item",
    "planned_at",
    "delivery_id",
    "dedup_key",
    "rule",
    "urgency",
    "transition",
    "channel",
    "state",
    "attempt",
    "status",
    "latency_ms",
    "due_at",
    "started_at",
    "changed_at",
)
ALERTS = WarehouseTable(
    "mentoring.alert_log",
    key=("tenant_id", "program_id", "relationship_id", "at", "event_id"),
    columns=COLUMNS,
    time="at",
    kind="alerts",
)
ACT_COLUMNS = (
    *_EVENT,
    "subject_kind",
    "subject",
    "at",
    "decided_at",
    "alert_key",
    "dedup_key",
    "rule",
    "act",
    "state",
    "until",
    "assigned",
    "verdict",
    "closing",
    "refused",
)
ACTS = WarehouseTable(
    "mentoring.alert_acts",
    key=("tenant_id", "program_id", "relationship_id", "at", "event_id"),
    columns=ACT_COLUMNS,
    time="at",
    kind="alerts",
)
DELIVERIES = WarehouseTable(
    "mentoring.delivery_log",
    key=("tenant_id", "program_id", "relationship_id", "planned_at", "delivery_id", "event_id"),
    columns=DELIVERY_COLUMNS,
    time="planned_at",
    kind="alerts",
)
# A channel's answer is untrusted text: only codes of the protocol are kept, and not the explanation after them.
_STATUS = re.compile(
    r"HTTP [0-9]{3}\b|SMTP [0-9]{3}\b(?: [245]\.[0-9]{1,3}\.[0-9]{1,3}\b)?|(?:[0-9]{3}|[a-z_]{1,40})\Z"
)


# An alert of a programme or a source has no score, shown as band none.
_NO_READING: tuple[object, ...] = (NEVER, 0, "none", 0, 0, False, NEVER)
_NO_TRIGGER = ("", "", "")


def alert_row(value: bytes, metadata: RecordMetadata) -> Outcome:
    """A delivery becomes one row for every alert in its message."""
    try:
        event = ALERT_EVENT.validate_json(value)
    except ValidationError as invalid:
        return refusal(invalid)
    match event.type:
        case "mentoring.alert.changed.v1":
            return (StoredRow(ALERTS.name, metadata.offset, month(event.data.at), _transition_row(event, metadata)),)
        case "mentoring.alert.handled.v1":
            return (StoredRow(ACTS.name, metadata.offset, month(event.data.at), _act_row(event, metadata)),)
        case "mentoring.delivery.changed.v1":
            planned = month(event.data.planned_at)
            return tuple(
                StoredRow(DELIVERIES.name, metadata.offset, planned, values) for values in _deliveries(event, metadata)
            )
        case _:
            assert_never(event.type)


def _transition_row(event: AlertChanged, metadata: RecordMetadata) -> tuple[object, ...]:
    alert = event.data
    return (
        event.tenant,
        event.program,
        _relationship(alert.subject_kind, event.subject),
        event_id(event.tenant, event.source, event.id),
        micros(event.recordedtime),
        metadata.partition,
        metadata.offset,
        alert.subject_kind,
        event.subject,
        alert.seq,
        *_alert(alert),
        *_reading(alert.reading),
        *_trigger(alert.trigger),
    )


def _act_row(event: AlertHandled, metadata: RecordMetadata) -> tuple[object, ...]:
    """The actor is omitted: it concerns colleagues only and is not needed for analysis."""
    act, kind = event.data, _subject_kind(event)
    return (
        event.tenant,
        event.program,
        _relationship(kind, event.subject),
        event_id(event.tenant, event.source, event.id),
        micros(event.recordedtime),
        metadata.partition,
        metadata.offset,
        kind,
        event.subject,
        micros(act.at),
        micros(act.decided_at),
        act.alert_key,
        act.dedup_key,
        act.rule,
        act.act,
        act.handling.state,
        micros(act.handling.until),
        act.handling.assignee is not None,
        act.verdict or "",
        act.closing or "",
        act.refused is not None,
    )


def _subject_kind(event: AlertHandled) -> str:
    """An action does not state the kind of its subject, but the record's key does."""
    if event.partitionkey == partition_key(event.tenant, event.subject):
        return "relationship"
    return event.partitionkey.removeprefix(partition_key(event.tenant, "")).partition("/")[0]


def _relationship(subject_kind: str, subject: str) -> str:
    return subject if subject_kind == "relationship" else ""


def _alert(alert: Alert) -> tuple[object, ...]:
    return (
        micros(alert.at),
        alert.alert_key,
        alert.dedup_key,
        alert.episode,
        alert.rule,
        alert.rule_version,
        alert.urgency,
        alert.transition,
        alert.condition,
        alert.why,
        micros(alert.since),
        micros(alert.decided_at),
        {reason.name: millionths(reason.points) for reason in alert.reasons},
        alert.summary,
        alert.next_step,
        alert.not_sent or "",
    )


def _deliveries(event: DeliveryChanged, metadata: RecordMetadata) -> Iterator[tuple[object, ...]]:
    """Yield rows for the message's first alert and each listed alert. Each belongs to its own relationship and is
    erased with it. The recipient is omitted, because it is an address or a URL."""
    one = event.data
    listed = ((item.program, item.relationship, item.alert) for item in one.items)
    for number, (program, subject, alert) in enumerate(((event.program, event.subject, one.alert), *listed)):
        yield (
            event.tenant,
            program,
            _relationship(alert.subject_kind, subject),
            event_id(event.tenant, event.source, f"{event.id}-{number}" if number else event.id),
            micros(event.recordedtime),
            metadata.partition,
            metadata.offset,
            alert.subject_kind,
            number,
            micros(one.planned_at),
            one.delivery_id,
            alert.dedup_key,
            alert.rule,
            alert.urgency,
            alert.transition,
            one.channel,
            one.state,
            one.attempt,
            status.group() if (status := _STATUS.match(one.status)) else "",
            round((one.latency_seconds or 0) * 1000),
            micros(one.due_at),
            micros(one.started_at),
            micros(one.changed_at),
        )


def _reading(reading: Reading | None) -> tuple[object, ...]:
    if reading is None:
        return _NO_READING
    return (
        micros(reading.as_of),
        millionths(reading.health),
        reading.band,
        millionths(reading.risk),
        millionths(reading.confidence),
        reading.calibrated,
        micros(reading.last_contact),
    )


def _trigger(trigger: Trigger | None) -> tuple[object, ...]:
    return _NO_TRIGGER if trigger is None else (trigger.source, trigger.id, trigger.type)
