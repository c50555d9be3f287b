"""What an event of Caliper measures: how long a session lasted, and what was scored or rated, on which scale."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.primitives import to_rfc3339
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.caliper.model import CaliperSettings, CaliperTold, Scored
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import MEASURED, Scale, minutes_of, off_scale, on_our_scale

HELD = "mentoring.session.held.v1"


@dataclass(frozen=True)
class Chosen:
    number: float
    scale: Scale


def measured(told: CaliperTold, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    """Members of the data of an event of this type; none where it measures nothing."""
    if name == HELD:
        return _session(told)
    if name in MEASURED:
        return _score_of(told, name, settings)
    return {}


def _session(told: CaliperTold) -> Mapping[str, object] | Rejected:
    """From the entity, where it says when it began and ended; the event's own time is when somebody said so."""
    started, ended = told.thing.startedAtTime, told.thing.endedAtTime
    lasted = told.thing.duration or (ended - started if started and ended else None)
    data = {"started_at": to_rfc3339(started or told.event.eventTime)}
    if not lasted:
        return data
    minutes = minutes_of(lasted, "object.duration")
    return minutes if isinstance(minutes, Rejected) else {**data, **minutes}


def _score_of(told: CaliperTold, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    found = chosen(told.scored, settings.scale)
    if isinstance(found, Rejected):
        return within("generated", found)
    if found:
        return on_our_scale(name, found.number, found.scale)
    is_needed = name != "mentoring.checkin.answered.v1"
    return rejected("invalid", "generated", f"a score or a rating is required in {name}") if is_needed else {}


def chosen(scored: Scored, default: Scale | None) -> Chosen | Rejected | None:
    """None if nothing was generated. Paths begin at `generated`."""
    if scored.scoreGiven is not None:
        return _score(scored, scored.scoreGiven, default)
    return _rating(scored, default) if any(scored.selections) else None


def _score(scored: Scored, given: float, default: Scale | None) -> Chosen | Rejected:
    scale = default if scored.maxScore is None else read(Scale, {"min": 0, "max": scored.maxScore})
    if scale is None:
        return rejected("invalid", "maxScore", "is required: neither the event nor the settings say the scale")
    return within("maxScore", scale) if isinstance(scale, Rejected) else _on(scale, given, "scoreGiven")


def _rating(scored: Scored, default: Scale | None) -> Chosen | Rejected:
    selected = [one for one in scored.selections if one]
    number = _number(selected[0])
    if len(selected) > 1 or number is None:
        return rejected("invalid", "selections", "must be one number")
    points = scored.question.scale
    values = [value for value in map(_number, points.itemValues) if value is not None]
    if len(values) < len(points.itemValues):
        # The one that is missing may be the least or the greatest.
        values = []
    if points.minValue is not None and points.maxValue is not None:
        values = [points.minValue, points.maxValue]
    scale = read(Scale, {"min": min(values), "max": max(values)}) if values else default
    if scale is None:
        return rejected("invalid", "question.scale", "is required: neither the event nor the settings say the scale")
    return within("question.scale", scale) if isinstance(scale, Rejected) else _on(scale, number, "selections")


def _on(scale: Scale, number: float, path: str) -> Chosen | Rejected:
    return off_scale(number, scale, path) or Chosen(number, scale)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
