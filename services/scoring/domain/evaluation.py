"""One score: health with its parts and risk with its terms, in millionths; of one instant, or of many in columns."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import repeat
from operator import itemgetter, mul, sub
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from services.scoring.domain.bounds import ONE, millionths
from services.scoring.domain.profiles import Parameters
from services.scoring.domain.score import FACTORS, FEATURES, FEW, MANY, Numbers, Scores, columns, score, table
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
WHERE_WEIGHED = frozenset({"elapsed", "activity"})
"""Shown where they weigh anything: a profile from before them has the terms that its rows have always had."""
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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
        health, caps = self.health, self.caps
        for least, name in BANDS:
            if health >= least * ONE and (not caps or least < CAPPED_BAND_BELOW):
                return name
        return LOWEST_BAND


class Moment(NamedTuple):
    """A snapshot at an instant."""

    snapshot: Snapshot
    at: int


def scores_at(moment: Moment) -> Scores:
    snapshot, at = moment
    pauses, bookings = snapshot.frame.pauses, snapshot.meetings.bookings
    now = pauses.active(at) if pauses.union else at
    return score(snapshot.aging, now, 1.0 if bookings and bookings[-1] > at else 0.0, SINGLE)


def scores_of(moments: Sequence[Moment]) -> list[Scores]:
    """The same for many at once, to the last bit."""
    if len(moments) <= FEW:
        return [scores_at(moment) for moment in moments]
    found = score(numbers_of([moment.snapshot for moment in moments]).aging, *_times(moments), MANY)
    return [Scores(*values) for values in zip(*(column.tolist() for column in found), strict=True)]


def evaluation_of(snapshot: Snapshot, scores: Scores) -> Evaluation:
    points, parameters, health = snapshot.points, snapshot.parameters, int(scores.health)
    # 1. The parts: what the factors with data give, and what silence takes; in millionths that sum to the health, by
    # largest remainder, ties to the earlier.
    values = (*factors(snapshot.steady, scores), scores.silence)
    exact = [share * value * ONE for share, value in zip(points, values, strict=False) if share > 0]
    exact.append(-scores.silence * scores.core * ONE)
    contributions = list(map(math.floor, exact))
    left = health - sum(contributions)
    if left:
        remainders = sorted(zip(map(sub, contributions, exact), range(len(exact)), strict=True))
        for _, place in remainders[:left]:
            contributions[place] += 1
    pick, names, weights = _shown(points, parameters.weights)
    shown = map(round, map(mul, pick(values), repeat(ONE)))
    parts = tuple(map(_part, zip(names, shown, weights, contributions, strict=True)))
    # 2. The terms, which sum to the linear predictor.
    base, always = _base_and_shown(parameters)
    known = _features(snapshot.features, scores)
    effects = map(round, map(mul, map(mul, parameters.coefficients, known), repeat(ONE)))
    terms = [
        (name, effect)
        for name, effect, x, is_shown in zip(FEATURES, effects, known, always, strict=True)
        if (x if is_shown is None else is_shown)
    ]
    return Evaluation(health, int(scores.risk), parts, (base, *terms), snapshot.confidence, snapshot.voices.caps)


def evaluations_of(moments: Sequence[Moment]) -> list[Evaluation]:
    """The same for many at once, to the last bit."""
    if len(moments) <= FEW:
        return [evaluation_of(moment.snapshot, scores_at(moment)) for moment in moments]
    found: dict[int, Evaluation] = {}
    for parameters, places in _by_parameters(moments):
        some = [moments[place] for place in places]
        caps = [moment.snapshot.voices.caps for moment in some]
        numbers = numbers_of([moment.snapshot for moment in some])
        found.update(zip(places, evaluations(numbers, parameters, *_times(some), caps), strict=True))
    return [found[place] for place in range(len(moments))]


def evaluations(
    numbers: Numbers, parameters: Parameters, now: Floats, booked: Floats, caps: Iterable[tuple[str, ...]]
) -> list[Evaluation]:
    """A column of `numbers` for each, all under the same version of a profile."""
    scores = score(numbers.aging, now, booked, MANY)
    values = np.array(factors(numbers.steady, scores))
    contributions = _apportioned(numbers.points, values, scores)
    shown = np.rint(np.vstack([values, scores.silence]) * ONE).astype(np.int64)
    parts = _parts(numbers.points > 0, shown.T.tolist(), contributions.T.tolist(), parameters.weights)
    terms = _term_columns(_features(numbers.features, scores), parameters)
    health, risk = (column.astype(np.int64).tolist() for column in (scores.health, scores.risk))
    confidence = numbers.confidence.astype(np.int64).tolist()
    return list(map(Evaluation, health, risk, parts, terms, confidence, caps))


def numbers_of(snapshots: Sequence[Snapshot]) -> Numbers:
    """A column for each, though most of them stand several times in a row."""
    places: dict[Snapshot, int] = {}
    rows = np.array([places.setdefault(snapshot, len(places)) for snapshot in snapshots])
    return columns(np.ascontiguousarray(table([snapshot.numbers for snapshot in places]).T[:, rows]))


def factors(steady: Iterable[Any], scores: Scores) -> tuple[Any, ...]:
    """Of 0 to 1, in the order of score.FACTORS; `steady`: those that time does not change."""
    reliability, feedback, mutual, responsiveness, support = steady
    first = (scores.rhythm, reliability, scores.goals, feedback, mutual, responsiveness, support)
    return (*first, scores.growth, scores.expectations)


def features(snapshot: Snapshot, scores: Scores) -> tuple[float, ...]:
    """Of the disengagement model, in the order of score.FEATURES: L = base + sum of coefficient times feature."""
    return cast("tuple[float, ...]", _features(snapshot.features, scores))


def _features(steady: Iterable[Any], scores: Scores) -> tuple[Any, ...]:
    pace, history, activity, missed, late, drop = steady
    of_contacts = (scores.quiet, pace, history, scores.elapsed, activity)
    return (*of_contacts, missed, late, scores.stalled, drop, scores.booked)


@lru_cache(1 << 10)
def _base_and_shown(parameters: Parameters) -> tuple[tuple[str, int], tuple[bool | None, ...]]:
    """Which features are shown; None: those that are not 0."""
    shown = [
        True if name in ALWAYS_SHOWN else bool(slope) if name in WHERE_WEIGHED else None
        for name, slope in zip(FEATURES, parameters.coefficients, strict=True)
    ]
    return (BASE, millionths(parameters.base)), tuple(shown)


def _apportioned(points: Floats, values: Floats, scores: Scores) -> Integers:
    """As in evaluation_of, by column; a factor without data takes none of what is left."""
    exact = np.vstack([points * values, -scores.silence * scores.core]) * ONE
    parts = np.floor(exact)
    remainders = parts - exact
    remainders[:-1][points <= 0] = np.inf
    ranks = np.argsort(np.argsort(remainders, axis=0, kind="stable"), axis=0)
    found: Integers = (parts + (ranks < scores.health - parts.sum(axis=0))).astype(np.int64)
    return found


def _parts(
    known: npt.NDArray[np.bool_], values: list[list[int]], contributions: list[list[int]], weights: Sequence[float]
) -> list[tuple[PartValue, ...]]:
    """A row for each. Few sets of factors have data, so what is shown of a row is picked by its set."""
    masks = (np.left_shift(1, np.arange(len(FACTORS))) @ known).tolist()
    pickers = {mask: _picker(mask) for mask in set(masks)}
    labels = {mask: (pick(_NAMES), pick((*weights, 0.0))) for mask, pick in pickers.items()}
    found = []
    for mask, of_value, of_contribution in zip(masks, values, contributions, strict=True):
        pick, (names, shown_weights) = pickers[mask], labels[mask]
        found.append(tuple(map(_part, zip(names, pick(of_value), shown_weights, pick(of_contribution), strict=True))))
    return found


_NAMES = (*FACTORS, SILENCE)
# PartValue._make without its check, in which most of a row's time would go.
_part = cast("Callable[[Iterable[Any]], PartValue]", partial(tuple.__new__, PartValue))


Picker = Callable[[Sequence[Any]], tuple[Any, ...]]
"""Of what is known of all factors and of silence, what is shown."""


@lru_cache(1 << 12)
def _shown(points: tuple[float, ...], weights: tuple[float, ...]) -> tuple[Picker, tuple[str, ...], tuple[float, ...]]:
    """What is shown of a row, under which names and weights."""
    pick = _picker(sum(1 << k for k, share in enumerate(points) if share > 0))
    return pick, pick(_NAMES), pick((*weights, 0.0))


@lru_cache(1 << len(FACTORS))
def _picker(mask: int) -> Picker:
    shown = [k for k in range(len(FACTORS)) if mask >> k & 1]
    return itemgetter(*shown, len(FACTORS)) if shown else lambda values: (values[-1],)


def _term_columns(features: Sequence[Any], parameters: Parameters) -> list[tuple[tuple[str, int], ...]]:
    """A row for each."""
    base = (BASE, millionths(parameters.base))
    shown: list[list[tuple[str, int] | None]] = []
    for name, slope, x in zip(FEATURES, parameters.coefficients, features, strict=True):
        values = np.rint(slope * x * ONE).astype(np.int64).tolist()
        if name in ALWAYS_SHOWN or (name in WHERE_WEIGHED and slope):
            shown.append([(name, value) for value in values])
        elif name not in WHERE_WEIGHED and np.any(x):
            shown.append([(name, value) if k else None for value, k in zip(values, x.tolist(), strict=True)])
    return [(base, *filter(None, row)) for row in zip(*shown, strict=True)]


def _by_parameters(moments: Sequence[Moment]) -> Iterable[tuple[Parameters, list[int]]]:
    found: dict[int, tuple[Parameters, list[int]]] = {}
    for place, moment in enumerate(moments):
        parameters = moment.snapshot.parameters
        found.setdefault(id(parameters), (parameters, []))[1].append(place)
    return found.values()


def _times(moments: Sequence[Moment]) -> tuple[Floats, Floats]:
    """On the active clock, and whether a booking lies ahead."""
    now = np.array([moment.snapshot.active(moment.at) for moment in moments], dtype=np.float64)
    return now, np.array([moment.snapshot.booked(moment.at) for moment in moments])
