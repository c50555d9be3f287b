"""One score: health with its parts and risk with its terms, in millionths, and the trend. For one instant, or for many
in columns."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from operator import call, itemgetter, mul, sub
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from services.scoring.domain.bounds import DAY, NONE, ONE
from services.scoring.domain.profiles import Parameters
from services.scoring.domain.row import BAND_BEGINS, BANDS, BEST_CAPPED, SILENCE, Evaluation
from services.scoring.domain.score import BASE, FACTORS, FEATURES, FEW, MANY, Number, Operations, Scores, score
from services.scoring.domain.score import ONE as SINGLE
from services.scoring.domain.snapshots.snapshot import Numbers, Snapshot, columns

PARTS = (*FACTORS, SILENCE)
TERMS = (BASE, *FEATURES)
ALWAYS_SHOWN = frozenset({"base", "silence", "pace", "history"})
"""The model's own features are always shown; covariates only where they apply."""
WHERE_WEIGHED = frozenset({"elapsed", "activity"})
"""Shown where they have a weight: a profile from before these terms keeps the terms that its rows always had."""
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class Moment(NamedTuple):
    """A snapshot at an instant."""

    snapshot: Snapshot
    at: int


def scores_of(moments: Sequence[Moment]) -> list[Scores]:
    """As Snapshot.scores for many at once, equal to the last bit."""
    if len(moments) <= FEW:
        return [snapshot.scores(at) for snapshot, at in moments]
    return [Scores(*values) for values in zip(*(column.tolist() for column in score_columns(moments)), strict=True)]


def score_columns(moments: Sequence[Moment]) -> Scores:
    numbers, now, booked = columns_of(moments)
    return score(numbers.aging, now, booked, MANY)


class SnapshotTable:
    """The numbers that the score of each snapshot is computed from."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots
        table = np.frombuffer(b"".join([snapshot.column for snapshot in snapshots]))
        self._numbers = table.reshape(len(snapshots), -1).T
        self._booked_until = np.array([max(snapshot.meetings.bookings[-1:], default=NONE) for snapshot in snapshots])
        self._has_pauses = np.array([bool(snapshot.frame.pauses.union) for snapshot in snapshots])

    def columns(self, indexes: Integers, instants: Integers) -> tuple[Numbers, Floats, Floats]:
        """For snapshots at instants: their numbers, their time on the active clock, and whether a booking lies ahead
        (1.0 or 0.0)."""
        now = instants.copy()
        for index in np.flatnonzero(self._has_pauses[indexes]).tolist():
            now[index] = self._snapshots[indexes[index]].active(int(instants[index]))
        numbers = columns(np.take(self._numbers, indexes, axis=1))
        return numbers, now.astype(np.float64), (self._booked_until[indexes] > instants).astype(np.float64)


def columns_of(moments: Sequence[Moment]) -> tuple[Numbers, Floats, Floats]:
    """As SnapshotTable.columns; most snapshots occur several times in a row."""
    indexes: dict[Snapshot, int] = {}
    rows = np.array([indexes.setdefault(snapshot, len(indexes)) for snapshot, _ in moments])
    return SnapshotTable(list(indexes)).columns(rows, np.array([at for _, at in moments]))


def evaluation_of(snapshot: Snapshot, scores: Scores) -> Evaluation:
    points, parameters, health = snapshot.points, snapshot.parameters, int(scores.health)
    caps = snapshot.reports.caps
    band = BANDS[min(bisect_right(BAND_BEGINS, health), BEST_CAPPED if caps else len(BANDS))]
    # 1. The parts: the contributions of the factors with data, and of silence, in millionths that sum to the health.
    # Rounded by largest remainder, ties to the earlier part.
    values = (*factors(snapshot.steady, scores), scores.silence)
    exact = [share * value * ONE for share, value in zip(points, values, strict=False) if share > 0]
    exact.append(-scores.silence * scores.core * ONE)
    contributions = list(map(math.floor, exact))
    left = health - sum(contributions)
    if left:
        remainders = sorted(zip(map(sub, contributions, exact), range(len(exact)), strict=True))
        for _, index in remainders[:left]:
            contributions[index] += 1
    pick, names, weights = _shown_parts(points, parameters.weights)
    shown = map(round, map(mul, pick(values), repeat(ONE)))
    # 2. The terms, which sum to the linear predictor.
    slopes = (parameters.base, *parameters.coefficients)
    # Rounding NumPy floats takes ten times as long as rounding Python floats.
    values_of_terms = (1.0, *map(float, features(snapshot.features, scores)))
    pick, term_names = _shown_terms(tuple([x != 0.0 for x in values_of_terms]), slopes)
    effects = map(round, map(mul, map(mul, pick(slopes), pick(values_of_terms)), repeat(ONE)))
    parts = (names, weights, tuple(shown), tuple(contributions))
    terms = (term_names, tuple(effects))
    return Evaluation(health, int(scores.risk), band, *parts, *terms, snapshot.confidence, caps)


def evaluations_of(moments: Sequence[Moment]) -> list[Evaluation]:
    """As evaluation_of for many at once, equal to the last bit."""
    if len(moments) <= FEW:
        return [evaluation_of(snapshot, snapshot.scores(at)) for snapshot, at in moments]
    versions = {id(snapshot.parameters): snapshot.parameters for snapshot, _ in moments}
    found: dict[Moment, Evaluation] = {}
    for parameters in versions.values():
        some = [moment for moment in moments if moment.snapshot.parameters is parameters]
        caps = [snapshot.reports.caps for snapshot, _ in some]
        found.update(zip(some, evaluations(parameters, *columns_of(some), caps), strict=True))
    return [found[moment] for moment in moments]


class EvaluationColumns(NamedTuple):
    """As Evaluation, for many. Parts (PARTS) and terms (TERMS) have one row each; `parts` and `terms` mask which of
    them a column shows. `bands` are indexes of BANDS."""

    health: Integers
    risk: Integers
    bands: Integers
    parts: Booleans
    values: Integers
    contributions: Integers
    terms: Booleans
    effects: Integers
    confidence: Integers


def evaluation_columns(
    slopes: Floats, numbers: Numbers, now: Floats, booked: Floats, is_capped: Booleans
) -> EvaluationColumns:
    """One column of `numbers` per evaluation. `slopes`: coefficients in the order of TERMS, per evaluation or one set
    for all."""
    scores = score(numbers.aging, now, booked, MANY)
    values = np.array(factors(numbers.steady, scores))
    values_of_terms = np.array([np.ones(len(now)), *features(numbers.features, scores)])
    begins: Floats = np.array(BAND_BEGINS, dtype=np.float64)
    of_health: Floats = scores.health
    bands = np.searchsorted(begins, of_health, side="right")
    return EvaluationColumns(
        scores.health.astype(np.int64),
        scores.risk.astype(np.int64),
        np.where(is_capped, np.minimum(bands, BEST_CAPPED), bands),
        _is_shown_part(numbers.points),
        np.rint(np.vstack([values, scores.silence]) * ONE).astype(np.int64),
        _contribution_columns(numbers.points, values, scores),
        _is_shown_term(values_of_terms != 0.0, slopes),
        np.rint(slopes * values_of_terms * ONE).astype(np.int64),
        numbers.confidence.astype(np.int64),
    )


def evaluations(
    parameters: Parameters, numbers: Numbers, now: Floats, booked: Floats, caps: Sequence[tuple[str, ...]]
) -> list[Evaluation]:
    """One column of `numbers` per evaluation, all under the same profile version."""
    found = evaluation_columns(
        slopes_of(parameters)[:, None], numbers, now, booked, np.array([bool(some) for some in caps])
    )
    of_parts, of_terms = _pickers(found.parts), _pickers(found.terms)
    return list(
        map(
            Evaluation,
            found.health.tolist(),
            found.risk.tolist(),
            map(BANDS.__getitem__, found.bands.tolist()),
            _shared_selections(of_parts, PARTS),
            _shared_selections(of_parts, (*parameters.weights, 0.0)),
            map(call, of_parts, found.values.T.tolist()),
            map(call, of_parts, found.contributions.T.tolist()),
            _shared_selections(of_terms, TERMS),
            map(call, of_terms, found.effects.T.tolist()),
            found.confidence.tolist(),
            caps,
        )
    )


def slopes_of(parameters: Parameters) -> Floats:
    """In the order of TERMS."""
    return np.array((parameters.base, *parameters.coefficients))


def factors(steady: Iterable[Any], scores: Scores) -> tuple[Any, ...]:
    """Values of 0 to 1 in the order of score.FACTORS; `steady`: those that time does not change."""
    reliability, feedback, mutual, responsiveness, support = steady
    first = (scores.rhythm, reliability, scores.goals, feedback, mutual, responsiveness, support)
    return (*first, scores.growth, scores.expectations)


def features(steady: Iterable[Any], scores: Scores) -> tuple[Any, ...]:
    """Of the disengagement model, in the order of score.FEATURES: L = base + sum of coefficient times feature;
    `steady`: those that time does not change."""
    pace, history, activity, missed, late, drop = steady
    of_contacts = (scores.quiet, pace, history, scores.elapsed, activity)
    return (*of_contacts, missed, late, scores.stalled, drop, scores.booked)


def _contribution_columns(points: Floats, values: Floats, scores: Scores) -> Integers:
    """The contributions by column, as in evaluation_of; a factor without data gets no share of the remainder."""
    exact = np.vstack([points * values, -scores.silence * scores.core]) * ONE
    parts = np.floor(exact)
    remainders = parts - exact
    remainders[:-1][points <= 0] = np.inf
    ranks = np.argsort(np.argsort(remainders, axis=0, kind="stable"), axis=0)
    found: Integers = (parts + (ranks < scores.health - parts.sum(axis=0))).astype(np.int64)
    return found


Picker = Callable[[Sequence[Any]], tuple[Any, ...]]
"""Selects the shown values from those of all parts, or of all terms."""


def _is_shown_part(points: Floats) -> Booleans:
    """One row per part: factors with data, and silence."""
    return np.vstack([points > 0.0, np.ones(points.shape[1:], dtype=bool)])


def _is_shown_term(applies: Booleans, slopes: Floats) -> Booleans:
    """One row per term; `applies`: where its feature is not 0."""
    shown = applies.copy()
    for index, (name, slope) in enumerate(zip(TERMS, slopes, strict=True)):
        if name in ALWAYS_SHOWN:
            shown[index] = True
        elif name in WHERE_WEIGHED:
            shown[index] = slope != 0.0
    return shown


@lru_cache(1 << 12)
def _shown_parts(
    points: tuple[float, ...], weights: tuple[float, ...]
) -> tuple[Picker, tuple[str, ...], tuple[float, ...]]:
    """The picker of one row's parts, with their names and weights."""
    (pick,) = _pickers(_is_shown_part(np.array([points]).T))
    return pick, pick(PARTS), pick((*weights, 0.0))


@lru_cache(1 << 12)
def _shown_terms(applies: tuple[bool, ...], slopes: tuple[float, ...]) -> tuple[Picker, tuple[str, ...]]:
    (pick,) = _pickers(_is_shown_term(np.array([applies]).T, np.array([slopes]).T))
    return pick, pick(TERMS)


def _pickers(is_shown: Booleans) -> list[Picker]:
    """The picker of each column; there are few distinct masks."""
    return list(map(_picker, (np.left_shift(1, np.arange(len(is_shown))) @ is_shown).tolist()))


@lru_cache(1 << 12)
def _picker(mask: int) -> Picker:
    shown = [k for k in range(mask.bit_length()) if mask >> k & 1]
    return itemgetter(*shown) if len(shown) > 1 else lambda values: (values[shown[0]],)


def _shared_selections(pickers: Sequence[Picker], of_all: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Apply each distinct picker once and reuse the result."""
    found = {pick: pick(of_all) for pick in set(pickers)}
    return map(found.__getitem__, pickers)


POINTS = (28, 21, 14, 7)
"""A trend reads health at the midnights this many days before the row's day."""
PERIOD = 28
"""A trend is in points per this many days."""


def midnights(at: Number) -> list[Any]:
    """The midnights of the trend of a row at `at`; for a column of instants, one column each."""
    day = at // DAY
    return [(day - days) * DAY for days in POINTS]


def trend(times: Sequence[Number], healths: Sequence[Number], counts: Sequence[Number], ops: Operations) -> Any:  # noqa: ANN401
    """Least-squares slope in millionths of a point per four weeks; 0 through a single point. `times` in microseconds,
    the newest last; `healths` in millionths; `counts` is 1.0, or 0.0 for a missing point. Summed in order, so that the
    result does not depend on how many are computed at once."""
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
    """For many rows: one column per point, the newest last; NaN where no fact stood."""
    counts = [np.isfinite(column) * 1.0 for column in healths]
    found: list[int] = trend(times, list(map(np.nan_to_num, healths)), counts, MANY).astype(np.int64).tolist()
    return found


def trend_of(points: Sequence[tuple[int, int | None]]) -> int:
    """For one row, with its points (instant, health); health is None where no fact stood."""
    times, healths = zip(*[point for point in points if point[1] is not None], strict=True)
    return int(trend(times, healths, (1.0,) * len(times), SINGLE))
