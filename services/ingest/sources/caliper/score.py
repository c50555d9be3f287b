"""The number that an event generates, and the scale that it lies on."""

import math
from dataclasses import dataclass

from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.caliper.event import Scored
from services.ingest.sources.reading import read, within
from services.ingest.sources.scale import Scale


@dataclass(frozen=True)
class Chosen:
    number: float
    scale: Scale


def chosen(scored: Scored, default: Scale | None) -> Chosen | Rejected | None:
    """None if nothing was generated. Paths begin at `generated`."""
    if scored.scoreGiven is not None:
        return _score(scored, scored.scoreGiven, default)
    return _rating(scored, default) if scored.selections else None


def _score(scored: Scored, given: float, default: Scale | None) -> Chosen | Rejected:
    scale = default if scored.maxScore is None else read(Scale, {"min": 0, "max": scored.maxScore})
    if scale is None:
        return rejected("invalid", "maxScore", "is required: neither the event nor the settings say the scale")
    return within("maxScore", scale) if isinstance(scale, Rejected) else _on(scale, given, "scoreGiven")


def _rating(scored: Scored, default: Scale | None) -> Chosen | Rejected:
    number = _number(scored.selections[0])
    if len(scored.selections) > 1 or number is None:
        return rejected("invalid", "selections", "must be one number")
    points = scored.question.scale
    values = [value for value in map(_number, points.itemValues) if value is not None]
    if points.minValue is not None and points.maxValue is not None:
        values = [points.minValue, points.maxValue]
    scale = read(Scale, {"min": min(values), "max": max(values)}) if values else default
    if scale is None:
        return rejected("invalid", "question.scale", "is required: neither the event nor the settings say the scale")
    return within("question.scale", scale) if isinstance(scale, Rejected) else _on(scale, number, "selections")


def _on(scale: Scale, number: float, path: str) -> Chosen | Rejected:
    if scale.holds(number):
        return Chosen(number, scale)
    return rejected("invalid", path, f"must lie on the scale from {scale.min:g} to {scale.max:g}")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
