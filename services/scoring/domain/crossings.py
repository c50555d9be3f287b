"""Crossings: the first whole seconds at which silence alone takes a score to a watched level."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.scoring.domain.bounds import DAY, NONE, SECOND
from services.scoring.domain.evaluation import Moment, SnapshotTable, columns_of
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import FEW, MANY, Aging, Level, Number, Scores, passed, score
from services.scoring.domain.snapshots.snapshot import Snapshot

CACHED_CROSSINGS = 4
"""Crossings cached: a query for the next due instant is followed by a query for its row."""
GRID = 300
"""Instants per call: a single search covers the seconds of a day in two calls. A call costs as much as some hundred
instants."""
MIN_GRID = 4
"""Instants per search where many share a call: with these, a day takes nine calls, with the fewest instants in total.
"""

Instants = npt.NDArray[np.int64]


class Instant(NamedTuple):
    """An instant with a row; `snapshot`: of the facts up to it."""

    at: int
    causes: tuple[str, ...]
    snapshot: Snapshot


class SilentSpan(NamedTuple):
    """A span in which silence alone changes the score. A level may be crossed at whole seconds in (begin, last]. At
    `edge`, which is `last` or just behind it, any level crossed in between is passed."""

    snapshot: Snapshot
    begin: int
    last: int
    edge: int

    @property
    def midnights(self) -> range:
        return range((self.begin // DAY + 1) * DAY, self.edge, DAY)


class CrossingSearch:
    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self.cached: dict[tuple[Snapshot, Level], int] = {}
        """The caller clears it when it adds a fact."""

    def instants(self, spans: Sequence[SilentSpan]) -> list[Instant]:
        """Where levels are passed in these spans, in order."""
        # 1. Which levels are passed at all.
        levels, number = self._profiles.levels, self._profiles.number
        passed_spans = passed_levels([(span, levels[number(span.begin)]) for span in spans])
        # 2. When. Under one snapshot a level is crossed once, wherever the search begins.
        missing = [
            (span, level)
            for span, level in passed_spans
            if not span.begin < self.cached.get((span.snapshot, level), NONE) <= span.last
        ]
        for (span, level), at in zip(missing, find_crossings(missing), strict=True):
            if at is not None:
                self.cached[span.snapshot, level] = at
        found = ((span, level, self.cached.get((span.snapshot, level))) for span, level in passed_spans)
        return sorted(instant for _, instant in crossing_instants(found))

    def trim_cache(self) -> None:
        """Drop all but the last."""
        if len(self.cached) > 2 * CACHED_CROSSINGS:
            self.cached = dict(list(self.cached.items())[-CACHED_CROSSINGS:])


class SilentPeriods(NamedTuple):
    """Periods without events, each from the instant `active` of the active clock on; `booked`: 1.0 while a booking lies
    ahead, else 0.0."""

    aging: Aging
    active: Number
    booked: Number

    def scores(self, later: Number) -> Scores:
        """The scores `later` microseconds after the begin."""
        return score(self.aging, (self.active + later).astype(np.float64), self.booked, MANY)


def passed_levels(spans: Sequence[tuple[SilentSpan, tuple[Level, ...]]]) -> list[tuple[SilentSpan, Level]]:
    """Which of the watched levels are passed in each span."""
    spans = [(span, watched) for span, watched in spans if span.last // SECOND * SECOND > span.begin]
    if len(spans) * 2 <= FEW:
        return [
            (span, level)
            for span, watched in spans
            for level in passed(watched, span.snapshot.scores(span.begin), span.snapshot.scores(span.edge))
        ]
    # Both ends of all spans at once.
    indexes: dict[Snapshot, int] = {}
    rows = np.array([indexes.setdefault(span.snapshot, len(indexes)) for span, _ in spans])
    ends = np.array([(span.begin, span.edge) for span, _ in spans]).T
    columns = SnapshotTable(list(indexes)).columns(np.tile(rows, 2), ends.ravel())
    both = score(columns[0].aging, *columns[1:], MANY)
    halves = zip(np.split(both.health, 2), np.split(both.risk, 2), strict=True)
    begin, end = [both._replace(health=health, risk=risk) for health, risk in halves]
    return [
        (spans[index][0], level)
        for some in {id(watched): watched for _, watched in spans}.values()
        for index, level in passed_of_many(some, begin, end)
        if spans[index][1] is some
    ]


def passed_of_many(watched: Sequence[Level], begin: Scores, end: Scores) -> Iterator[tuple[int, Level]]:
    """As score.passed for columns: each level with its column index."""
    for level in watched:
        was, now = level.is_passed(begin.health, begin.risk), level.is_passed(end.health, end.risk)
        yield from ((index, level) for index in np.flatnonzero(now & ~was).tolist())


def crossings(periods: SilentPeriods, begins: Instants, ends: Instants, watched: Sequence[Level]) -> list[int | None]:
    """For each period, the first whole second after its begin and up to its end at which its level is passed; None if
    there is none. Each round evaluates a finer grid of seconds."""
    of_health = np.array([level.is_health for level in watched])
    bounds = np.array([level.bound for level in watched])
    low, high = begins // SECOND, ends // SECOND
    is_passed = low < high
    size = max(MIN_GRID, GRID // len(ends))
    steps = np.arange(1, size + 1)[:, None]
    while is_passed.any():
        step = np.maximum(1, -(-(high - low) // size))
        grid = np.minimum(low + step * steps, high)
        found = periods.scores(grid * SECOND - begins)
        reached = np.where(of_health, found.health <= bounds, found.risk >= bounds)
        is_passed &= reached.any(axis=0)
        first = np.argmax(reached, axis=0)
        at = np.take_along_axis(grid, first[None, :], axis=0)[0]
        if (step[is_passed] == 1).all():
            return [
                second * SECOND if passes else None
                for second, passes in zip(at.tolist(), is_passed.tolist(), strict=True)
            ]
        before = np.take_along_axis(grid, np.maximum(first - 1, 0)[None, :], axis=0)[0]
        low, high = np.where(first > 0, before, low), at
    return [None] * len(ends)


def find_crossings(crossed: Sequence[tuple[SilentSpan, Level]]) -> list[int | None]:
    """When each level is crossed in its span; None if only behind it."""
    if not crossed:
        return []
    numbers, now, booked = columns_of([Moment(span.snapshot, span.begin) for span, _ in crossed])
    begins, lasts = np.array([(span.begin, span.last) for span, _ in crossed]).T
    return crossings(SilentPeriods(numbers.aging, now, booked), begins, lasts, [level for _, level in crossed])


def crossing_instants(crossed: Iterable[tuple[SilentSpan, Level, int | None]]) -> Iterator[tuple[SilentSpan, Instant]]:
    """Levels crossed in the same second share one row. A midnight has its own row, at which the level is passed."""
    causes: dict[tuple[SilentSpan, int], list[str]] = {}
    for span, level, at in crossed:
        if at is not None and span.begin < at <= span.last and at % DAY != 0:
            causes.setdefault((span, at), []).append(level.cause)
    for (span, at), some in causes.items():
        yield span, Instant(at, tuple(sorted(some)), span.snapshot)
