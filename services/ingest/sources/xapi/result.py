"""What the result of a statement says, as the data of an event."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from schemas.primitives import to_rfc3339
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.reading import read, within
from services.ingest.sources.scale import MEASURED, PROGRESSED, Scale, on_our_scale
from services.ingest.sources.xapi.settings import XapiSettings
from services.ingest.sources.xapi.statement import PROGRESS, Result, Score

# Of `data.minutes`.
LONGEST_SESSION = timedelta(days=1)
PERCENT = Scale(min=0, max=100)


def session_data(result: Result, at: datetime, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """When it began and, if the statement says so, how long it lasted."""
    duration = result.duration
    if not duration:
        return {"started_at": to_rfc3339(at)}
    if not timedelta(0) < duration <= LONGEST_SESSION:
        return rejected("invalid", "result.duration", "a session lasts longer than nothing and at most 24 hours")
    started = at if settings.timestamp == "start" else at - duration
    return {"started_at": to_rfc3339(started), "minutes": duration / timedelta(minutes=1)}


def score_data(name: str, result: Result, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """Of a type that is MEASURED; only a check-in may come without a score."""
    assert name in MEASURED
    if name == PROGRESSED and PROGRESS in result.extensions:
        return _progress(result.extensions[PROGRESS])
    score = result.score
    if score.raw is not None and (scale := _raw_scale(score, settings)):
        return within("result.score", scale) if isinstance(scale, Rejected) else _on_scale(name, score.raw, scale)
    if score.scaled is not None:
        return _on_scale(name, score.scaled, Scale(min=settings.scaled_from, max=1))
    if name == "mentoring.checkin.answered.v1":
        return {}
    wanted = "min and max are" if score.raw is not None else "raw or scaled is"
    return rejected("invalid", "result.score", f"{wanted} required: without them nobody knows what was rated")


def _progress(value: object) -> Mapping[str, object] | Rejected:
    if isinstance(value, int | float) and not isinstance(value, bool) and PERCENT.holds(value):
        return on_our_scale(PROGRESSED, value, PERCENT)
    return rejected("invalid", f"result.extensions.{PROGRESS}", "must be a number from 0 to 100")


def _raw_scale(score: Score, settings: XapiSettings) -> Scale | Rejected | None:
    if score.min is None or score.max is None:
        return settings.scale
    return read(Scale, {"min": score.min, "max": score.max})


def _on_scale(name: str, number: float, scale: Scale) -> Mapping[str, object] | Rejected:
    if scale.holds(number):
        return on_our_scale(name, number, scale)
    return rejected("invalid", "result.score", f"must lie on the scale from {scale.min:g} to {scale.max:g}")
