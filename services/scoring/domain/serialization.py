"""A row as an event, `score.changed` or `score.corrected`, with an id that a repeat does not change."""

import hashlib
from functools import lru_cache
from operator import neg, sub
from typing import Any, NamedTuple

from pydantic_core import to_json

from schemas.payloads import SupportRequested, SupportResolved
from schemas.primitives import from_micros, to_micros, to_rfc3339
from services.scoring.domain.bounds import ONE
from services.scoring.domain.partition import Emission
from services.scoring.domain.row import HistoryRow

SOURCE = "/rapport/scoring"
MODEL = "silence-4"
"""The formulas: health with nine factors and its trend by midnights; disengagement with elapsed time, recent activity
and covariates."""
UNCALIBRATED = "uncalibrated"


def score_event(emission: Emission, mode: str = "live") -> bytes:
    """The value of a record of `mentoring.scores`; valid under schemas.scores.SCORE_EVENT."""
    tenant, relationship = emission.relationship.split("/", 1)
    as_of, trigger = _time(emission.as_of), emission.trigger
    recorded = as_of if trigger is None else _time(to_micros(trigger.recordedtime))
    event: dict[str, Any] = {
        "specversion": "1.0",
        "source": SOURCE,
        "id": event_id(emission, mode),
        "type": "mentoring.score.changed.v1" if emission.changed else "mentoring.score.corrected.v1",
        "time": as_of,
        "recordedtime": recorded,
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
            "trigger": trigger
            and {
                "source": trigger.source,
                "id": trigger.id,
                "type": trigger.type,
                "time": _time(to_micros(trigger.time)),
                "recordedtime": recorded,
            },
            "score": None if emission.row is None else _score(emission.row),
        },
    }
    if trigger is not None:
        event["causationid"] = trigger.id
        if emission.changed and isinstance(trigger.data, SupportRequested | SupportResolved):
            # `by` is a side or null: an administrator who requests support does not wait for a reply.
            request = trigger.data
            is_by_side = isinstance(request, SupportRequested) and request.by in {"mentor", "mentee"}
            event["data"]["call"] = {"request_id": request.request_id, "by": request.by if is_by_side else None}
    return to_json(event)


def clock_event(partition: int, clock: int) -> bytes:
    """All rows of the partition up to `clock` are emitted; valid under schemas.scores.SCORE_EVENT."""
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
    return to_json(event)


def event_id(emission: Emission, mode: str) -> str:
    """A repeat has the same id; another position, version or mode has another."""
    row = emission.row
    scored_by = "" if row is None else f"{row.profile}\0{row.calibration or UNCALIBRATED}"
    versions = f"{scored_by}\0{MODEL}\0{mode}"
    return _hash(f"{emission.relationship}\0{emission.as_of}\0{emission.position}\0{versions}")


def _score(row: HistoryRow) -> dict[str, Any]:
    evaluation, before = row.evaluation, row.before
    return {
        "causes": row.causes,
        "health": evaluation.health / ONE,
        "band": evaluation.band,
        "caps": evaluation.caps,
        "risk": evaluation.risk / ONE,
        "parts": [
            {"name": name, "value": value / ONE, "weight": weight, "contribution": share / ONE, "delta": delta / ONE}
            for name, value, weight, share, delta in zip(*part_columns(row), strict=True)
        ],
        "risk_terms": [
            {"name": name, "value": value / ONE}
            for name, value in zip(evaluation.term_names, evaluation.effects, strict=True)
        ],
        "before": before
        and {
            "as_of": _time(before.at),
            "health": before.evaluation.health / ONE,
            "band": before.evaluation.band,
            "risk": before.evaluation.risk / ONE,
        },
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
        "evidence": row.evidence and row.evidence.model_dump(),
    }


class PartColumns(NamedTuple):
    """The parts of a row as columns: `weights` in points, the other numbers in millionths."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    weights: tuple[float, ...]
    contributions: tuple[int, ...]
    deltas: tuple[int, ...]


def part_columns(row: HistoryRow) -> PartColumns:
    """The parts with their deltas. A factor that was not there before counts from 0; one that is gone is listed with
    the points it took away."""
    now, before = row.evaluation, row.before
    names, values, weights, shares = now.names, now.values, now.weights, now.contributions
    if before is None:
        return PartColumns(names, values, weights, shares, shares)
    then = before.evaluation
    if then.names == names:
        # The usual case: a relationship has the same factors for months.
        return PartColumns(names, values, weights, shares, tuple(map(sub, shares, then.contributions)))
    was = dict(zip(then.names, then.contributions, strict=True))
    gone = {name: share for name, share in was.items() if name not in names}
    none = (0,) * len(gone)
    return PartColumns(
        (*names, *gone),
        (*values, *none),
        (*weights, *map(float, none)),
        (*shares, *none),
        (*(share - was.get(name, 0) for name, share in zip(names, shares, strict=True)), *map(neg, gone.values())),
    )


@lru_cache(1 << 14)
def _time(micros: int) -> str:
    """Cached: a row contains its own instant several times, and many rows share a midnight."""
    return to_rfc3339(from_micros(micros))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
