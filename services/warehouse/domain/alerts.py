"""`mentoring.alerts` into the table `alert_log`."""

from pydantic import ValidationError

from schemas.alerts import ALERT_EVENT, Alert, AlertChanged, Reading
from schemas.scores import Trigger
from services.warehouse.domain.record import (
    Ignored,
    Outcome,
    Place,
    Row,
    event_id,
    micros,
    millionths,
    month,
    refusal,
)

TABLE = "mentoring.alert_log"
_EVENT = ("tenant_id", "program_id", "relationship_id", "event_id", "recorded_at", "log_partition", "log_offset")
_ALERT = (
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


def alert_row(value: bytes, place: Place) -> Outcome:
    try:
        event = ALERT_EVENT.validate_json(value)
    except ValidationError as invalid:
        return refusal(invalid)
    if event.type == "mentoring.delivery.changed.v1":
        return Ignored("delivery")
    alert = event.data
    values = (*_event(event, place), *_alert(alert), *_reading(alert.reading), *_trigger(alert.trigger))
    return Row(place.offset, month(alert.at), values)


def _event(event: AlertChanged, place: Place) -> tuple[object, ...]:
    return (
        event.tenant,
        event.program,
        event.subject,
        event_id(event.tenant, event.source, event.id),
        micros(event.recordedtime),
        place.partition,
        place.offset,
    )


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


def _reading(reading: Reading) -> tuple[object, ...]:
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
    return ("", "", "") if trigger is None else (trigger.source, trigger.id, trigger.type)
