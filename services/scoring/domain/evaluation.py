"""One score: health with its parts and risk with its terms, in millionths."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.scoring.domain.millionths import ONE, apportioned, millionths
from services.scoring.domain.score import FACTORS, FEATURES, MANY, Aging, OpenGoal, Scores, score
from services.scoring.domain.score import ONE as SINGLE
from services.scoring.domain.snapshots.snapshot import Snapshot

BANDS = ((75, "thriving"), (50, "steady"), (25, "strained"))
LOWEST_BAND = "critical"
CAPPED_BAND_BELOW = 50
"""What caps a band lets it be strained at the best."""
SILENCE = "silence"
BASE = "base"
ALWAYS_SHOWN = frozenset({"silence", "pace", "history"})
"""The model's own features are shown in any case, covariates only where they apply."""
FEW = 4
"""So many scores are computed one by one: to set up columns costs as much."""


class PartValue(NamedTuple):
    """`value` 0..1 and `contribution` in millionths (of a point), `weight` in points."""

    name: str
    value: int
    weight: float
    contribution: int


class Evaluation(NamedTuple):
    """`health` is the sum of the parts' contributions, exactly. `risk` in millionths. `caps`: what holds the band at
    strained at the best."""

    health: int
    risk: int
    parts: tuple[PartValue, ...]
    terms: tuple[tuple[str, int], ...]
    confidence: int
    caps: tuple[str, ...] = ()

    @property
    def band(self) -> str:
        bands = [(least, name) for least, name in BANDS if not self.caps or least < CAPPED_BAND_BELOW]
        return next((name for least, name in bands if self.health >= least * ONE), LOWEST_BAND)


class Moment(NamedTuple):
    """A snapshot at an instant."""

    snapshot: Snapshot
    at: int


def scores_at(moment: Moment) -> Scores:
    snapshot, at = moment
    return score(snapshot.aging, snapshot.active(at), snapshot.booked(at), SINGLE)


def scores_of(moments: Sequence[Moment]) -> list[Scores]:
    """The same for many at once, to the last bit."""
    if len(moments) <= FEW:
        return [scores_at(moment) for moment in moments]
    places: dict[Snapshot, int] = {}
    rows = np.array([places.setdefault(moment.snapshot, len(places)) for moment in moments])
    now = np.array([moment.snapshot.active(moment.at) for moment in moments], dtype=np.float64)
    booked = np.array([moment.snapshot.booked(moment.at) for moment in moments])
    found = score(_columns([snapshot.aging for snapshot in places], rows), now, booked, MANY)
    return [Scores(*values) for values in zip(*(column.tolist() for column in found), strict=True)]


def scores_over(
    moment: Moment, later: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Health and risk so many microseconds after a moment, while no pause and no booked meeting begins or ends."""
    snapshot, at = moment
    now = (snapshot.active(at) + later).astype(np.float64)
    found = score(snapshot.aging, now, snapshot.booked(at), MANY)
    return found.health, found.risk


def evaluation_of(snapshot: Snapshot, scores: Scores) -> Evaluation:
    health, risk = int(scores.health), int(scores.risk)
    values, weights = factors(snapshot, scores), snapshot.parameters.weights
    shown = [k for k, points in enumerate(snapshot.points) if points > 0]
    shares = [snapshot.points[k] * values[k] for k in shown]
    *contributions, silent = apportioned([*shares, -scores.silence * scores.core], health)
    parts = [
        PartValue(FACTORS[k], millionths(values[k]), weights[k], contribution)
        for k, contribution in zip(shown, contributions, strict=True)
    ]
    silence = PartValue(SILENCE, millionths(scores.silence), 0.0, silent)
    confidence = millionths(snapshot.confidence)
    return Evaluation(health, risk, (*parts, silence), _terms(snapshot, scores), confidence, snapshot.voices.caps)


def factors(snapshot: Snapshot, scores: Scores) -> tuple[float, ...]:
    """Of 0 to 1, in the order of score.FACTORS."""
    _, reliability, _, feedback, mutual, responsiveness, support, _, _ = snapshot.steady
    first = (scores.rhythm, reliability, scores.goals, feedback, mutual, responsiveness, support)
    return (*first, scores.growth, scores.expectations)


def features(snapshot: Snapshot, scores: Scores) -> tuple[float, ...]:
    """Of the disengagement model, in the order of score.FEATURES: L = base + sum of coefficient times feature."""
    _, pace, history, missed, late, _, drop, _ = snapshot.features
    return (scores.quiet, pace, history, missed, late, scores.stalled, drop, scores.booked)


def _terms(snapshot: Snapshot, scores: Scores) -> tuple[tuple[str, int], ...]:
    """They sum to the linear predictor."""
    coefficients = snapshot.parameters.coefficients
    terms = zip(FEATURES, coefficients, features(snapshot, scores), strict=True)
    shown = [(name, slope * x) for name, slope, x in terms if name in ALWAYS_SHOWN or x]
    return ((BASE, millionths(snapshot.parameters.base)), *((name, millionths(value)) for name, value in shown))


def _columns(aging: Sequence[Aging], rows: npt.NDArray[np.intp]) -> Aging:
    """Goals are filled up with some that weigh nothing."""
    most = max(len(one.goals) for one in aging)
    nothing = OpenGoal(0.0, 0.0, 0.0)
    table = [(*one[:-1], *(n for goal in _filled(one.goals, most, nothing) for n in goal)) for one in aging]
    columns = np.ascontiguousarray(np.array(table, dtype=np.float64).T[:, rows])
    plain = len(Aging._fields) - 1
    goals = [OpenGoal(*columns[plain + 3 * k : plain + 3 * k + 3]) for k in range(most)]
    return Aging._make((*columns[:plain], goals))


def _filled(goals: Sequence[OpenGoal], most: int, nothing: OpenGoal) -> list[OpenGoal]:
    return [*goals, *[nothing] * (most - len(goals))]
