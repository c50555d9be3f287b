"""The history of one relationship: which instants have a row, and what each row says. A pure function of the facts:
all of them give the truth, the kept ones give the same above the floor."""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, SECOND, UNSET
from services.scoring.domain.crossings import crossings
from services.scoring.domain.evaluation import Evaluation
from services.scoring.domain.facts import CAUSE_OF_KIND, Facts, Kind
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.selector import Selector
from services.scoring.domain.trend import POINTS, trend

REMEMBERED = 128
"""Evaluations kept per relationship: four weeks of days with room for facts and crossings between."""
RETRACTED = "event.retracted"
MIDNIGHT = "midnight"
BOOKING_STARTS = "booking.starts"
PROFILE_CHANGED = "profile.changed"
PAUSE_BOUNDARY = "pause.boundary"


class Instant(NamedTuple):
    at: int
    causes: tuple[str, ...]


class Before(NamedTuple):
    """What a row's deltas are measured against."""

    at: int
    evaluation: Evaluation


class Row(NamedTuple):
    """What is known at one instant. Times in microseconds, numbers in millionths. Equal rows say the same."""

    causes: tuple[str, ...]
    evaluation: Evaluation
    before: Before | None
    trend: int
    status: str
    started: int
    cadence: float
    last_contact: int | None
    next_session: int | None
    sources: tuple[str, ...]


class History:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self._facts, self._profiles = facts, profiles
        self._selector = Selector(facts, profiles)
        self._evaluations: dict[int, Evaluation | None] = {}

    def succeeded(self, facts: Facts, since: int) -> "History":
        """The history of other facts that differ at and after `since`, or by what trimming took away."""
        new = History(facts, self._profiles)
        new._selector.inherit(self._selector, since)
        return new

    def rows(self, after: int, upto: int) -> dict[int, Row]:
        """{as_of: row} of all instants in (after, upto], in order."""
        if not self._facts:
            return {}
        out: dict[int, Row] = {}
        previous: int | None = None
        for at, causes in self.instants(after, upto):
            if previous is None:
                previous = self._newest_within(at - bounds.LOOKBACK, after)
            out[at] = self._row(at, causes, max(previous, at - bounds.LOOKBACK))
            previous = at
        return out

    def newest(self, upto: int) -> int | None:
        """The newest instant that has a row, however long ago."""
        reach, step = upto, DAY
        while self._facts and reach >= self._selector.times[0]:
            found = [at for at, _ in self.instants(reach - step, upto)]
            if found:
                return found[-1]
            reach, step = reach - step, step * 4
        return None

    def due(self, after: int) -> int | None:
        """No row comes between `after` and this instant; None: none comes without a further fact."""
        if not self._facts:
            return None
        selection = self._selector.at(after)
        upcoming = bisect_right(self._named_instants, after)
        named = self._named_instants[upcoming] if upcoming < len(self._named_instants) else None
        if not selection.is_open(after) or selection.is_paused(after):
            return named
        midnight = (after // DAY + 1) * DAY
        point = midnight if named is None else min(named, midnight)
        found = crossings(self._selector.scorer(after), self._left(after), point, self._profiles.at(after).watch)
        return min((at for at, _ in found if at > after), default=point)

    def instants(self, after: int, upto: int) -> Iterator[Instant]:
        """The instants in (after, upto] that have a row, in order, each judged from the facts up to it."""
        if not self._facts:
            return
        at = max(after, self._selector.times[0] - 1)
        for point in [*self._points(at, upto), upto + 1]:
            causes = self._causes(point) if point <= upto else ()
            yield from self._crossings(at, point - 1 if causes or point > upto else point)
            if causes:
                yield Instant(point, causes)
            at = point

    def _points(self, after: int, upto: int) -> list[int]:
        """Where a row may exist for another reason than a crossing."""
        points = set(range((after // DAY + 1) * DAY, upto + 1, DAY))
        named = self._named_instants
        points.update(named[bisect_right(named, after) : bisect_right(named, upto)])
        return sorted(points)

    @cached_property
    def _named_instants(self) -> list[int]:
        """Times of facts, retracted or not, and the times that facts name."""
        found = {*self._selector.times, *self._profiles.changes}
        for key, fact in self._facts.items():
            if key.kind in {Kind.SCHEDULED, Kind.RESCHEDULED}:
                found.add(fact.first)
            elif key.kind == Kind.PAUSED:
                found.update((fact.first, fact.second))
        return sorted(found - {UNSET})

    def _causes(self, at: int) -> tuple[str, ...]:
        """Why a row exists at an instant other than a crossing; empty: there is none."""
        selection = self._selector.at(at)
        if not selection.exists or (selection.ended is not None and selection.ended < at):
            return ()
        out = list(self._facts_at.get(at, ()))
        if at % DAY == 0 and not selection.is_paused(at):
            out.append(MIDNIGHT)
        if at in selection.bookings:
            out.append(BOOKING_STARTS)
        if any(at in pause.boundaries for pause in selection.pauses):
            out.append(PAUSE_BOUNDARY)
        if at in self._profiles.changes:
            out.append(PROFILE_CHANGED)
        return tuple(out)

    @cached_property
    def _facts_at(self) -> dict[int, tuple[str, ...]]:
        found: dict[int, set[str]] = {}
        for key, fact in self._facts.items():
            found.setdefault(key.time, set()).add(CAUSE_OF_KIND[key.kind] if fact.stands else RETRACTED)
        return {at: tuple(sorted(causes)) for at, causes in found.items()}

    def _crossings(self, after: int, upto: int) -> Iterator[Instant]:
        selection = self._selector.at(after)
        if not selection.is_open(after) or selection.is_paused(after):
            return
        together: dict[int, list[str]] = {}
        for at, cause in crossings(
            self._selector.scorer(after), self._left(after), upto, self._profiles.at(after).watch
        ):
            if at > after:
                together.setdefault(at, []).append(cause)
        for at, causes in together.items():
            yield Instant(at, tuple(causes))

    def _left(self, after: int) -> int:
        """Where a search for crossings begins: the whole second before, but no earlier than the last point, so that
        what is found does not depend on where the search began."""
        whole = after // SECOND * SECOND
        last = bisect_right(self._named_instants, after) - 1
        return whole if last < 0 else max(whole, self._named_instants[last])

    def _newest_within(self, low: int, upto: int) -> int:
        """The newest instant in (low, upto], or `low` if there is none: deltas look no further back."""
        reach, step = upto, DAY
        while reach > low:
            found = [at for at, _ in self.instants(max(low, reach - step), upto)]
            if found:
                return found[-1]
            reach, step = reach - step, step * 4
        return low

    def _row(self, at: int, causes: tuple[str, ...], previous: int) -> Row:
        selection, evaluation = self._selector.at(at), self._evaluation(at)
        assert evaluation is not None, "a row needs a fact that stands"
        status = "ended" if selection.ended is not None else "paused" if selection.is_paused(at) else "active"
        earlier = self._evaluation(previous)
        return Row(
            causes=causes,
            evaluation=evaluation,
            before=None if earlier is None else Before(previous, earlier),
            trend=self._trend(at, evaluation.health),
            status=status,
            started=selection.started,
            cadence=selection.cadence,
            last_contact=selection.last_contact,
            next_session=next((start for start in selection.bookings if start > at), None),
            sources=selection.sources,
        )

    def _evaluation(self, at: int) -> Evaluation | None:
        """None where nothing stands. Kept for a while: a row's trend and deltas read what earlier rows were."""
        if at not in self._evaluations:
            if len(self._evaluations) >= REMEMBERED:
                self._evaluations.clear()
            scorer = self._selector.scorer(at)
            self._evaluations[at] = scorer.evaluate(at) if scorer.selection.exists else None
        return self._evaluations[at]

    def _trend(self, at: int, health: int) -> int:
        earlier = [(days, self._evaluation(at - days * DAY)) for days in POINTS]
        return trend([(-days, e.health) for days, e in earlier if e is not None] + [(0, health)])
