"""An explanation as one JSON document. Instants in RFC 3339, points as they are shown: they add up."""

from typing import Any

from schemas.primitives import from_micros, to_rfc3339
from services.scoring.domain.explaining.explanation import Explanation
from services.scoring.domain.explaining.missing import capped_by
from services.scoring.domain.explaining.remedies import Trial
from services.scoring.domain.explaining.shown import TENTH, shown_health, shown_points, whole
from services.scoring.domain.explaining.story import Change
from services.scoring.domain.millionths import ONE

Document = dict[str, Any]


def document(found: Explanation) -> Document:
    known, row, evaluation = found.known, found.row, found.row.evaluation
    return {
        "relationship": known.relationship,
        "program": known.program,
        "as_of": _time(found.as_of),
        "known_at": _time(known.known_at),
        "events_left_out": known.later,
        "scored_at": _time(found.at),
        "status": row.status,
        "started": _time(row.started),
        "cadence_days": row.cadence,
        "last_contact": _time(row.last_contact),
        "next_session": _time(row.next_session),
        "open_requests": row.open_requests,
        "profile": found.profile.version,
        "calibration": found.profile.calibration,
        "health": shown_health(evaluation) / 10,
        "band": evaluation.band,
        "capped_by": capped_by(row),
        "confidence": evaluation.confidence / ONE,
        "trend": row.trend / ONE,
        "why": [{"part": one.part, "points": one.points / 10, "words": one.words} for one in found.missing],
        "parts": _parts(found),
        "risk": evaluation.risk / ONE,
        "risk_terms": [{"name": name, "value": value / ONE} for name, value in evaluation.terms],
        "story": [_change(change) for change in found.story],
        "lift": {
            "smallest": _trial(found.remedies.smallest) if found.remedies.smallest else None,
            "reason": found.remedies.reason,
            "singles": [_trial(trial) for trial in found.remedies.singles],
        },
    }


def _parts(found: Explanation) -> list[Document]:
    evaluation = found.row.evaluation
    return [
        {"name": part.name, "value": part.value / ONE, "weight": part.weight, "points": points / 10}
        for part, points in zip(evaluation.parts, shown_points(evaluation), strict=True)
    ]


def _change(change: Change) -> Document:
    return {
        "from": _time(change.begin),
        "to": _time(change.end),
        "rows": change.rows,
        "what": change.words,
        "before": None if change.before is None else change.before / 10,
        "health": change.health / 10,
        "band": change.band,
        "moved": {name: points / 10 for name, points in change.moved},
        "risk": change.risk / ONE,
        "risk_term": change.term,
    }


def _trial(trial: Trial) -> Document:
    return {"steps": trial.steps, "health": whole(trial.health, TENTH) / 10, "band": trial.band}


def _time(at: int | None) -> str | None:
    return None if at is None else to_rfc3339(from_micros(at))
