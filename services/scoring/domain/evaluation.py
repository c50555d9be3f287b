"""One score: health with its parts and risk with its terms, in millionths; of one instant, or of many in columns."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from operator import itemgetter, mul, sub
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from services.scoring.domain.bounds import ONE
from services.scoring.domain.profiles import Parameters
from services.scoring.domain.score import FACTORS, FEATURES, FEW, MANY, Numbers, Scores, columns, score
from services.scoring.domain.score import ONE as SINGLE
from services.scoring.domain.snapshots.snapshot import Snapshot

BANDS = ((75, "thriving"), (50, "steady"), (25, "strained"))
LOWEST_BAND = "critical"
CAPPED_BAND_BELOW = 50
"""What caps a band lets it be strained at the best."""
SILENCE = "silence"
BASE = "base"
ALWAYS_SHOWN = frozenset({"base", "silence", "pace", "history"})
"""The model's own features are shown in any case, covariates only where they apply."""
WHERE_WEIGHED = frozenset({"elapsed", "activity"})
"""Shown where they weigh anything: a profile from before them has the terms that its rows have always had."""
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class PartValue(NamedTuple):
    """`value` 0..1 and `contribution` in millionths (of a point), `weight` in points."""

    name: str
    value: int
    weight: float
    contribution: int


class Evaluation(NamedTuple):
    """`health` is the sum of the contributions, exactly. `risk` in millionths. Of the parts and of the terms a column
    each, most of which many rows share; `caps`: what holds the band at strained at the best."""

    health: int
    risk: int
    names: tuple[str, ...]
    weights: tuple[float, ...]
    values: tuple[int, ...]
    contributions: tuple[int, ...]
    term_names: tuple[str, ...]
    effects: tuple[int, ...]
    confidence: int
    caps: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[PartValue, ...]:
        return tuple(map(PartValue, self.names, self.values, self.weights, self.contributions))

    @property
    def terms(self) -> tuple[tuple[str, int], ...]:
        return tuple(zip(self.term_names, self.effects, strict=True))

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
    return [Scores(*values) for values in zip(*(column.tolist() for column in score_columns(moments)), strict=True)]


def score_columns(moments: Sequence[Moment]) -> Scores:
    """As columns."""
    return score(numbers_of([moment.snapshot for moment in moments]).aging, *_times(moments), MANY)


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
    pick, names, weights = _shown_parts(points, parameters.weights)
    shown = map(round, map(mul, pick(values), repeat(ONE)))
    # 2. The terms, which sum to the linear predictor.
    slopes = (parameters.base, *parameters.coefficients)
    # To round floats of NumPy takes ten times as long as Python's.
    known = (1.0, *map(float, _features(snapshot.features, scores)))
    pick, term_names = _shown_terms(tuple([x != 0.0 for x in known]), slopes)
    effects = map(round, map(mul, map(mul, pick(slopes), pick(known)), repeat(ONE)))
    parts = (names, weights, tuple(shown), tuple(contributions))
    terms = (term_names, tuple(effects))
    return Evaluation(health, int(scores.risk), *parts, *terms, snapshot.confidence, snapshot.voices.caps)


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
    shown = np.rint(np.vstack([values, scores.silence]) * ONE).astype(np.int64)
    of_parts = _pickers(_is_shown_part(numbers.points))
    known = np.array([np.ones(len(now)), *_features(numbers.features, scores)])
    slopes = (parameters.base, *parameters.coefficients)
    effects = np.rint(np.array(slopes)[:, None] * known * ONE).astype(np.int64)
    of_terms = _pickers(_is_shown_term(known != 0.0, slopes))
    health, risk = (column.astype(np.int64).tolist() for column in (scores.health, scores.risk))
    return list(
        map(
            Evaluation,
            health,
            risk,
            _shared(of_parts, _NAMES),
            _shared(of_parts, (*parameters.weights, 0.0)),
            _picked(of_parts, shown),
            _picked(of_parts, _apportioned(numbers.points, values, scores)),
            _shared(of_terms, _TERM_NAMES),
            _picked(of_terms, effects),
            numbers.confidence.astype(np.int64).tolist(),
            caps,
        )
    )


def numbers_of(snapshots: Sequence[Snapshot]) -> Numbers:
    """A column for each, though most of them stand several times in a row."""
    places: dict[Snapshot, int] = {}
    rows = np.array([places.setdefault(snapshot, len(places)) for snapshot in snapshots])
    return columns(np.take(np.array([snapshot.column for snapshot in places]).T, rows, axis=1))


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


def _apportioned(points: Floats, values: Floats, scores: Scores) -> Integers:
    """As in evaluation_of, by column; a factor without data takes none of what is left."""
    exact = np.vstack([points * values, -scores.silence * scores.core]) * ONE
    parts = np.floor(exact)
    remainders = parts - exact
    remainders[:-1][points <= 0] = np.inf
    ranks = np.argsort(np.argsort(remainders, axis=0, kind="stable"), axis=0)
    found: Integers = (parts + (ranks < scores.health - parts.sum(axis=0))).astype(np.int64)
    return found


_NAMES = (*FACTORS, SILENCE)
_TERM_NAMES = (BASE, *FEATURES)
Picker = Callable[[Sequence[Any]], tuple[Any, ...]]
"""Of what is known of all factors and of silence, or of all terms, what is shown."""


def _is_shown_part(points: Floats) -> Booleans:
    """A row for each part: factors with data, and silence."""
    return np.vstack([points > 0.0, np.ones(points.shape[1:], dtype=bool)])


def _is_shown_term(applies: Booleans, slopes: Sequence[float]) -> Booleans:
    """A row for each term; `applies`: where its feature is not 0."""
    shown = applies.copy()
    for place, (name, slope) in enumerate(zip(_TERM_NAMES, slopes, strict=True)):
        if name in ALWAYS_SHOWN:
            shown[place] = True
        elif name in WHERE_WEIGHED:
            shown[place] = slope != 0.0
    return shown


@lru_cache(1 << 12)
def _shown_parts(
    points: tuple[float, ...], weights: tuple[float, ...]
) -> tuple[Picker, tuple[str, ...], tuple[float, ...]]:
    """What is shown of one row, under which names and weights."""
    (pick,) = _pickers(_is_shown_part(np.array([points]).T))
    return pick, pick(_NAMES), pick((*weights, 0.0))


@lru_cache(1 << 12)
def _shown_terms(applies: tuple[bool, ...], slopes: tuple[float, ...]) -> tuple[Picker, tuple[str, ...]]:
    (pick,) = _pickers(_is_shown_term(np.array([applies]).T, slopes))
    return pick, pick(_TERM_NAMES)


def _pickers(is_shown: Booleans) -> list[Picker]:
    """For each column what picks its rows: few sets of them are shown."""
    return list(map(_picker, (np.left_shift(1, np.arange(len(is_shown))) @ is_shown).tolist()))


@lru_cache(1 << 12)
def _picker(mask: int) -> Picker:
    shown = [k for k in range(mask.bit_length()) if mask >> k & 1]
    return itemgetter(*shown) if len(shown) > 1 else lambda values: (values[shown[0]],)


def _shared(pickers: Sequence[Picker], of_all: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """What is the same for all that show the same."""
    found = {pick: pick(of_all) for pick in set(pickers)}
    return map(found.__getitem__, pickers)


def _picked(pickers: Sequence[Picker], numbers: Integers) -> list[tuple[int, ...]]:
    """Of each column of numbers."""
    return [pick(column) for pick, column in zip(pickers, numbers.T.tolist(), strict=True)]


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
