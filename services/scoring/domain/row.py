"""One row of a relationship's history: what is known of it at one instant, and the trend that led there."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from schemas.programs import CalibrationEvidence, Profile
from services.scoring.domain.bounds import DAY
from services.scoring.domain.evaluation import Evaluation, Moment
from services.scoring.domain.score import MANY, ONE, Floats, Number, Operations


class PrecedingRow(NamedTuple):
    """What a row's deltas are measured against."""

    at: int
    evaluation: Evaluation


class HistoryRow(NamedTuple):
    """What is known at one instant. Times in microseconds, numbers in millionths. Equal rows say the same."""

    causes: tuple[str, ...]
    evaluation: Evaluation
    before: PrecedingRow | None
    trend: int
    status: str
    started: int
    cadence: float
    last_contact: int | None
    next_session: int | None
    open_requests: tuple[str, ...]
    sources: tuple[str, ...]
    profile: str
    calibration: str | None
    evidence: CalibrationEvidence | None


class ScoredRow(NamedTuple):
    """What is computed of a row."""

    evaluation: Evaluation
    before: PrecedingRow | None
    trend: int


def row_of(moment: Moment, causes: tuple[str, ...], scored: ScoredRow, profile: Profile) -> HistoryRow:
    snapshot, at = moment
    # By place: to name the fields takes twice as long, and many rows are made.
    return HistoryRow(
        causes,
        *scored,
        snapshot.status(at),
        snapshot.started,
        snapshot.frame.cadence,
        snapshot.last_contact,
        snapshot.next_session(at),
        snapshot.voices.requests,
        snapshot.sources,
        profile.version,
        profile.calibration,
        profile.evidence,
    )


POINTS = (28, 21, 14, 7)
"""Health is read again at the midnights so many days before a row's day."""
PERIOD = 28
"""A trend is in points per this many days."""


def midnights(at: Number) -> list[Any]:
    """At which health is read again for a row at an instant; of a column of instants a column for each."""
    day = at // DAY
    return [(day - days) * DAY for days in POINTS]


def trend(times: Sequence[Number], healths: Sequence[Number], counts: Sequence[Number], ops: Operations) -> Any:  # noqa: ANN401
    """Least-squares slope, in millionths of a point per four weeks; 0 through a single point. `times` in microseconds,
    the newest last; `healths` in millionths, `counts` 1.0, or 0.0 for a point that is none. Summed in order, so that
    it does not depend on how many are computed at once."""
    newest, points, total, from_first = times[-1], 0.0, 0.0, 0.0
    days = [(time - newest) / DAY for time in times]
    for day, health, count in zip(days, healths, counts, strict=True):
        points = points + count
        from_first = from_first + count * day
        total = total + count * health
    mean_day, mean_health, spread, slope = from_first / points, total / points, 0.0, 0.0
    for day, health, count in zip(days, healths, counts, strict=True):
        from_mean = count * (day - mean_day)
        spread = spread + from_mean * from_mean
        slope = slope + from_mean * (health - mean_health)
    return ops.rint(ops.where(spread > 0.0, slope / ops.where(spread > 0.0, spread, 1.0), 0.0) * PERIOD)


def trends(times: Sequence[Number], healths: Sequence[Floats]) -> list[int]:
    """Of many rows: a column for each point, the newest last; not a number where nothing stood then."""
    counts = [np.isfinite(column) * 1.0 for column in healths]
    found: list[int] = trend(times, list(map(np.nan_to_num, healths)), counts, MANY).astype(np.int64).tolist()
    return found


def trend_of(points: Sequence[tuple[int, int | None]]) -> int:
    """Of one row, with its points (instant, health); None: nothing stood then."""
    times, healths = zip(*[point for point in points if point[1] is not None], strict=True)
    return int(trend(times, healths, (1.0,) * len(times), ONE))
