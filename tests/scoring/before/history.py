"""The history of one relationship: which instants have a row, and what each row says. A pure function of the facts:
all of them give the truth, the kept ones give the same above the floor."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, NONE, SECOND
from services.scoring.domain.causes import (
    BOOKING_STARTS,
    GOAL_STALLED,
    MIDNIGHT,
    NAMING,
    PAUSE_BOUNDARY,
    PROFILE_CHANGED,
    cause_of,
    named_by,
)
from services.scoring.domain.facts import Fact, Facts, Key, adds_nothing, merged
from services.scoring.domain.kinds import Kind
from tests.scoring.before.crossings import crossings
from tests.scoring.before.evaluations import Evaluations
from tests.scoring.before.profiles import Profiles
from tests.scoring.before.row import Before, Row
from tests.scoring.before.selector import Selector


class Instant(NamedTuple):
    at: int
    causes: tuple[str, ...]


class History:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        # An erasure is absorbing: it takes the whole history with it, whenever it comes.
        self.is_erased = any(key.kind == Kind.ERASED for key in facts)
        self.facts = dict(facts)
        self._facts = {} if self.is_erased else self.facts
        self._profiles = profiles
        self._selector = Selector(self._facts, profiles)
        self._evaluations = Evaluations(self._selector)

    def grown(self, facts: Facts) -> "History":
        """The history with one more fact, or mark: this one, changed, where that is the newest; else another one."""
        if adds_nothing(self.facts, facts):
            return self
        key = next(iter(facts))
        if self.is_erased or key.kind == Kind.ERASED or (self._selector.keys and key <= self._selector.keys[-1]):
            return self.of(merged(self.facts, facts), key.time)
        self._append(key, facts[key])
        return self

    def of(self, facts: Facts, since: int) -> "History":
        """The history of facts that differ at and after `since`, or by what trimming took away."""
        new = History(facts, self._profiles)
        new._selector.inherit(self._selector, since)
        return new

    def floor(self, clock: int) -> int:
        """The earliest instant whose row is exact, where older facts were trimmed away."""
        return self._selector.floor(clock) if self._facts else clock - bounds.FLOOR

    def _append(self, key: Key, fact: Fact) -> None:
        self.facts[key] = fact
        self._selector.append(key)
        for at in {key.time, *named_by(key, fact)}:
            place = bisect_left(self._named_instants, at)
            if self._named_instants[place : place + 1] != [at]:
                self._named_instants.insert(place, at)
        self._facts_at[key.time] = tuple(sorted({*self._facts_at.get(key.time, ()), cause_of(key, fact)}))
        self._evaluations.forget(key.time)

    def rows(self, after: int, upto: int) -> dict[int, Row]:
        """{as_of: row} of all instants in (after, upto], in order."""
        if not self._facts:
            return {}
        out: dict[int, Row] = {}
        previous: int | None = None
        for at, causes in self.instants(after, upto):
            if previous is None:
                previous = self.newest(after, at - bounds.LOOKBACK)
            low = at - bounds.LOOKBACK
            out[at] = self._row(at, causes, low if previous is None else max(previous, low))
            previous = at
        return out

    def newest(self, upto: int, after: int = NONE) -> int | None:
        """The newest instant in (after, upto] that has a row."""
        low = max(after, self._selector.times[0] - 1) if self._facts else upto
        reach, step = upto, DAY
        while reach > low:
            begin = max(low, reach - step)
            found = self._last(begin, reach)
            if found is not None:
                return found
            reach, step = begin, step * 4
        return None

    def _last(self, after: int, upto: int) -> int | None:
        """The newest instant in (after, upto], looked for from its end."""
        end = upto
        for point in reversed([after, *self._points(after, upto)]):
            found = self._between(point, end)
            if found:
                return found[-1].at
            if point > after and self._causes(point):
                return point
            end = point
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
        point = min(at for at in ((after // DAY + 1) * DAY, named, _beyond(after, selection.stalls)) if at is not None)
        found = crossings(self._selector.scorer(after), self._left(after), point, self._profiles.at(after).watch)
        return min((at for at, _ in found), default=point)

    def instants(self, after: int, upto: int) -> Iterator[Instant]:
        """The instants in (after, upto] that have a row, in order, each judged from the facts up to it."""
        if not self._facts:
            return
        at = max(after, self._selector.times[0] - 1)
        for point in self._points(at, upto):
            causes = self._causes(point)
            yield from self._between(at, point - 1 if causes else point)
            if causes:
                yield Instant(point, causes)
            at = point
        yield from self._between(at, upto)

    def _between(self, after: int, upto: int) -> list[Instant]:
        """The instants in (after, upto] that only time brings about; no fact, and no time that one names, lies between
        the two."""
        stalls = self._selector.at(after).stalls
        if stalls is None or not after < stalls <= upto or not (causes := self._causes(stalls)):
            return list(self._crossings(after, upto))
        return [*self._crossings(after, stalls - 1), Instant(stalls, causes), *self._crossings(stalls, upto)]

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
            if key.kind in NAMING:
                found.update(named_by(key, fact))
        return sorted(found)

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
        if at in selection.boundaries:
            out.append(PAUSE_BOUNDARY)
        if at == selection.stalls:
            out.append(GOAL_STALLED)
        if at in self._profiles.changes:
            out.append(PROFILE_CHANGED)
        return tuple(out)

    @cached_property
    def _facts_at(self) -> dict[int, tuple[str, ...]]:
        found: dict[int, set[str]] = {}
        for key, fact in self._facts.items():
            found.setdefault(key.time, set()).add(cause_of(key, fact))
        return {at: tuple(sorted(causes)) for at, causes in found.items()}

    def _crossings(self, after: int, upto: int) -> Iterator[Instant]:
        selection = self._selector.at(after)
        if not selection.is_open(after) or selection.is_paused(after):
            return
        together: dict[int, list[str]] = {}
        for at, cause in crossings(
            self._selector.scorer(after), self._left(after), upto, self._profiles.at(after).watch
        ):
            together.setdefault(at, []).append(cause)
        for at, causes in together.items():
            yield Instant(at, tuple(causes))

    def _left(self, after: int) -> int:
        """Where a search for crossings begins: the whole second before, but no earlier than the last point, so that
        what is found does not depend on where the search began. The next whole second is beyond `after`."""
        whole = after // SECOND * SECOND
        last = bisect_right(self._named_instants, after) - 1
        return whole if last < 0 else max(whole, self._named_instants[last])

    def _row(self, at: int, causes: tuple[str, ...], previous: int) -> Row:
        selection, evaluation = self._selector.at(at), self._evaluations.at(at)
        assert evaluation is not None, "a row needs a fact that stands"
        status = "ended" if selection.ended is not None else "paused" if selection.is_paused(at) else "active"
        earlier, profile = self._evaluations.at(previous), self._profiles.at(at)
        return Row(
            causes=causes,
            evaluation=evaluation,
            before=None if earlier is None else Before(previous, earlier),
            trend=self._evaluations.trend(at, evaluation.health),
            status=status,
            started=selection.started,
            cadence=selection.cadence,
            last_contact=selection.last_contact,
            next_session=next((start for start in selection.bookings if start > at), None),
            open_requests=selection.open_requests,
            sources=selection.sources,
            profile=profile.version,
            calibration=profile.calibration,
        )


def _beyond(after: int, at: int | None) -> int | None:
    return at if at is not None and at > after else None
