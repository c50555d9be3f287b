"""What a statement measures: how long a session lasted, and what was scored, on which scale."""

from collections.abc import Mapping
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import MEASURED, PROGRESSED, Scale, minutes_of, off_scale, on_our_scale
from services.ingest.sources.xapi.model import HELD, PREPARED, PROGRESS, XapiResult, XapiScore, XapiSettings

# Two decimals of a scaled score are told at least.
LEAST_DIFFERENCE = 0.006
PERCENT = Scale(min=0, max=100)
HELD_TYPE, PREPARED_TYPE = HELD[0].type, PREPARED[0].type
NEEDED: Mapping[str, tuple[str, ...]] = {
    HELD_TYPE: ("duration",),
    PREPARED_TYPE: ("completion",),
    **dict.fromkeys(MEASURED, ("score", "extensions")),
}
"""The members of a result that an event of this type is made of."""


def result_for(name: str, result: object) -> XapiResult | Rejected:
    """A score of a remark, or the duration of a rating, says nothing here, and cannot be at fault."""
    if not isinstance(result, dict):
        return XapiResult() if result is None or name not in NEEDED else read(XapiResult, result)
    return read(XapiResult, {member: result[member] for member in NEEDED.get(name, ()) if member in result})


def session_data(result: XapiResult, at: datetime, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """When it began and, if the statement says so, how long it lasted."""
    duration = result.duration
    if not duration:
        return {"started_at": to_rfc3339(at)}
    minutes = minutes_of(duration, "result.duration")
    if isinstance(minutes, Rejected):
        return minutes
    started = at if settings.timestamp == "start" else at - duration
    return {"started_at": to_rfc3339(started), **minutes}


def score_data(name: str, result: XapiResult, settings: XapiSettings) -> Mapping[str, object] | Rejected:
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


def _raw_scale(score: XapiScore, settings: XapiSettings) -> Scale | Rejected | None:
    if score.min is None and score.raw is not None and score.max and score.scaled is not None:
        # Scaled as a share of the greatest: it begins at 0.
        begins_at_zero = abs(score.raw / score.max - score.scaled) < LEAST_DIFFERENCE
        return Scale(min=0, max=score.max) if begins_at_zero and score.max > 0 else settings.scale
    if score.min is None or score.max is None:
        return settings.scale
    return read(Scale, {"min": score.min, "max": score.max})


def _on_scale(name: str, number: float, scale: Scale) -> Mapping[str, object] | Rejected:
    return off_scale(number, scale, "result.score") or on_our_scale(name, number, scale)
