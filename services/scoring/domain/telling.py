"""A row as the event that tells it: `score.changed` or `score.corrected`, with an id that a repeat does not change."""

import hashlib
import json
from typing import Any, NamedTuple

from schemas.events import OfRelationship
from schemas.primitives import from_micros, to_rfc3339
from services.scoring.domain.evaluation import PartValue
from services.scoring.domain.millionths import ONE
from services.scoring.domain.partition import Emission
from services.scoring.domain.row import Before, Row

SOURCE = "/rapport/scoring"
MODEL = "silence-3"
"""The formulas: health with nine factors and its trend by midnights, disengagement with covariates."""
UNCALIBRATED = "uncalibrated"


class ToldPart(NamedTuple):
    """`value`, `contribution` and `delta` in millionths, `weight` in points."""

    name: str
    value: int
    weight: float
    contribution: int
    delta: int


def score_event(emission: Emission, mode: str = "live") -> bytes:
    """The value of a record of `mentoring.scores`; valid under schemas.scores.SCORE_EVENT."""
    tenant, relationship = emission.relationship.split("/", 1)
    as_of, trigger = _time(emission.as_of), emission.trigger
    event = {
        "specversion": "1.0",
        "source": SOURCE,
        "id": event_id(emission, mode),
        "type": "mentoring.score.changed.v1" if emission.changed else "mentoring.score.corrected.v1",
        "time": as_of,
        "recordedtime": as_of if trigger is None else to_rfc3339(trigger.recordedtime),
        "tenant": tenant,
        "subject": relationship,
        "program": emission.program,
        "partitionkey": emission.relationship,
        "datacontenttype": "application/json",
        "data": {
            "as_of": as_of,
            "position": emission.position,
            "mode": mode,
            "deleted": emission.row is None,
            "trigger": _trigger(trigger),
            "score": None if emission.row is None else _score(emission.row),
        },
    }
    if trigger is not None:
        event["causationid"] = trigger.id
    return json.dumps(event, separators=(",", ":")).encode()


def clock_event(partition: int, clock: int) -> bytes:
    """All rows of the partition up to `clock` are out; valid under schemas.scores.SCORE_EVENT."""
    moment = _time(clock)
    event = {
        "specversion": "1.0",
        "source": SOURCE,
        "id": _hash(f"clock\0{partition}\0{clock}"),
        "type": "mentoring.clock.advanced.v1",
        "time": moment,
        "recordedtime": moment,
        "tenant": "rapport",
        "datacontenttype": "application/json",
        "data": {"partition": partition, "clock": moment},
    }
    return json.dumps(event, separators=(",", ":")).encode()


def event_id(emission: Emission, mode: str) -> str:
    """A repeat is the same event; another position, version or mode is another one."""
    row = emission.row
    scored_by = "" if row is None else f"{row.profile}\0{row.calibration or UNCALIBRATED}"
    versions = f"{scored_by}\0{MODEL}\0{mode}"
    return _hash(f"{emission.relationship}\0{emission.as_of}\0{emission.position}\0{versions}")


def _score(row: Row) -> dict[str, Any]:
    evaluation = row.evaluation
    return {
        "causes": row.causes,
        "health": evaluation.health / ONE,
        "band": evaluation.band,
        "caps": evaluation.caps,
        "risk": evaluation.risk / ONE,
        "parts": [_part(part) for part in told_parts(row)],
        "risk_terms": [{"name": name, "value": value / ONE} for name, value in evaluation.terms],
        "before": _before(row.before),
        "confidence": evaluation.confidence / ONE,
        "trend": row.trend / ONE,
        "status": row.status,
        "started": _time(row.started),
        "cadence_days": row.cadence,
        "last_contact": None if row.last_contact is None else _time(row.last_contact),
        "next_session": None if row.next_session is None else _time(row.next_session),
        "open_requests": row.open_requests,
        "sources": row.sources,
        "calibrated": row.calibration is not None,
        "profile": row.profile,
        "model": MODEL,
        "calibration": row.calibration or UNCALIBRATED,
    }


def told_parts(row: Row) -> list[ToldPart]:
    """The parts with their deltas. A factor that was not there before counts from 0; one that has gone is told with
    what it took away."""
    now = row.evaluation.parts
    was = {} if row.before is None else {part.name: part for part in row.before.evaluation.parts}
    names = {part.name for part in now}
    gone = [PartValue(name, 0, 0.0, 0) for name in was if name not in names]
    return [
        ToldPart(
            part.name, part.value, part.weight, part.contribution, part.contribution - _contribution(was, part.name)
        )
        for part in (*now, *gone)
    ]


def _contribution(parts: dict[str, PartValue], name: str) -> int:
    return parts[name].contribution if name in parts else 0


def _part(part: ToldPart) -> dict[str, Any]:
    return {
        "name": part.name,
        "value": part.value / ONE,
        "weight": part.weight,
        "contribution": part.contribution / ONE,
        "delta": part.delta / ONE,
    }


def _before(before: Before | None) -> dict[str, Any] | None:
    if before is None:
        return None
    evaluation = before.evaluation
    return {
        "as_of": _time(before.at),
        "health": evaluation.health / ONE,
        "band": evaluation.band,
        "risk": evaluation.risk / ONE,
    }


def _trigger(event: OfRelationship | None) -> dict[str, str] | None:
    if event is None:
        return None
    return {
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "time": to_rfc3339(event.time),
        "recordedtime": to_rfc3339(event.recordedtime),
    }


def _time(micros: int) -> str:
    return to_rfc3339(from_micros(micros))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
