"""Selection: the newest facts of each group up to one instant, the retracted ones dropped afterwards."""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from schemas.programs import Profile
from services.scoring.domain import bounds, kernel
from services.scoring.domain.bounds import DAY, UNSET
from services.scoring.domain.evaluation import Scorer
from services.scoring.domain.facts import Fact, Facts, Key, Kind
from services.scoring.domain.memory import LOOKED_AT, contact_days, groups, is_contact, least_two
from services.scoring.domain.outcomes import outcomes_of
from services.scoring.domain.pauses import Pause, active_time, pauses_of
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.selection import Pace, Selection

RATED_OUTCOMES = 8
RATED_MESSAGES = 24


class Selector:
    """Selects from one relationship's facts. The facts are indexed once, each selection costs O(what it looks at)."""

    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self._facts, self._profiles = facts, profiles
        self.keys = sorted(facts)
        self.times = [key.time for key in self.keys]
        self._indexes: dict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(self.keys):
            for name in groups(key):
                self._indexes[name].append(index)
        self._contacts = [key for key in self.keys if is_contact(key)]
        self._days = contact_days(self._contacts, len(self._contacts))
        self._scorers: dict[tuple[int, int], Scorer] = {}

    def inherit(self, older: "Selector", since: int) -> bool:
        """Keeps what was selected from the facts before `since`, if the two have the same ones before it."""
        count = bisect_left(self.times, since)
        same = older.keys[:count] == self.keys[:count]
        if same:
            self._scorers.update((n, scorer) for n, scorer in older._scorers.items() if n[0] <= count)  # noqa: SLF001
        return same

    def at(self, instant: int) -> Selection:
        """Judged from the facts up to and including this instant."""
        return self.scorer(instant).selection

    def scorer(self, instant: int) -> Scorer:
        """Scores by the facts up to and including this instant, at any time until the next fact."""
        count = bisect_right(self.times, instant)
        place = count, self._profiles.number(instant)
        found = self._scorers.get(place)
        if found is None:
            profile = self._profiles.at(instant)
            found = self._scorers[place] = Scorer(self._select(count, profile), profile)
        return found

    def _select(self, count: int, profile: Profile) -> Selection:
        chosen = {name: self._newest(name, count) for name in LOOKED_AT}
        standing = sorted({one for group in chosen.values() for one in group})
        first = [(key, self._facts[key]) for key in self.keys[: min(count, 1)] if self._facts[key].stands]
        started = _start(chosen["started"], first, standing)
        pauses = pauses_of(chosen["status"])
        cadence = _cadence(chosen["started"], profile)
        contacts = [key.time for key, _ in standing if is_contact(key)]
        held = [key.time for key, _ in standing if key.kind == Kind.HELD]
        outcomes = outcomes_of(chosen["outcomes"], chosen["bookings"])[-RATED_OUTCOMES:]
        return Selection(
            exists=bool(standing or first),
            ended=min((key.time for key, _ in chosen["status"] if key.kind == Kind.ENDED), default=None),
            started=started,
            cadence=cadence,
            last_contact=contacts[-1] if contacts else None,
            last_held=held[-1] if held else None,
            held=len(held),
            outcomes=outcomes,
            reliability=kernel.reliability(
                *(outcomes.count(kind) for kind in (Kind.HELD, Kind.MISSED, Kind.CANCELLED))
            ),
            messages=_messages(chosen["messages_by_mentor"], chosen["messages_by_mentee"]),
            pauses=pauses,
            bookings=_bookings(chosen["bookings"], chosen["outcomes"]),
            pace=_pace(self._contact_days(count), pauses, cadence),
            sources=tuple(sorted({fact.source for _, fact in standing})),
        )

    def _newest(self, name: str, count: int) -> list[tuple[Key, Fact]]:
        """The newest facts of a group among the first `count`, in order. Chosen first, the marked ones dropped then."""
        indexes = self._indexes[name]
        end = bisect_right(indexes, count - 1)
        keys = (self.keys[i] for i in indexes[max(0, end - LOOKED_AT[name]) : end])
        return [(key, self._facts[key]) for key in keys if self._facts[key].stands]

    def _contact_days(self, count: int) -> list[int]:
        """Days with a standing contact, oldest first, of the newest CONTACT_DAYS within the window."""
        end = bisect_right(self._contacts, self.keys[count - 1]) if count else 0
        if end == 0:
            return []
        newest = self._contacts[end - 1].time // DAY
        days = [day for day in self._days if day <= newest][: bounds.CONTACT_DAYS]
        low = newest - bounds.CONTACT_WINDOW_DAYS
        return [day for day in reversed(days) if day > low and self._day_stands(day, newest, end)]

    def _day_stands(self, day: int, newest: int, end: int) -> bool:
        ids = self._days[day]
        if day == newest:  # contacts of this day may still follow
            today = bisect_right(self._contacts, (day * DAY,))
            ids = least_two(self._contacts[today:end])
        return any(self._facts[key].stands for key in ids)


def _start(started: list[tuple[Key, Fact]], first: list[tuple[Key, Fact]], standing: list[tuple[Key, Fact]]) -> int:
    """The newest standing `started`, else the first fact; where that is retracted, the oldest selected one."""
    if started:
        return started[-1][0].time
    return min((key.time for key, _ in first or standing), default=0)


def _cadence(started: list[tuple[Key, Fact]], profile: Profile) -> float:
    if started and started[-1][1].first != UNSET:
        return started[-1][1].first / DAY
    return float(profile.cadence_days)


def _messages(by_mentor: list[tuple[Key, Fact]], by_mentee: list[tuple[Key, Fact]]) -> tuple[int, int]:
    """How many of the newest messages came from either side."""
    sides = sorted([(key, 0) for key, _ in by_mentor] + [(key, 1) for key, _ in by_mentee])[-RATED_MESSAGES:]
    mentee = sum(side for _, side in sides)
    return len(sides) - mentee, mentee


def _bookings(bookings: list[tuple[Key, Fact]], outcomes: list[tuple[Key, Fact]]) -> tuple[int, ...]:
    """Starts of the booked meetings: the newest word on each counts, cancelled ones are none."""
    cancelled = {fact.ref: key for key, fact in outcomes if key.kind == Kind.CANCELLED}
    newest = {fact.ref: (key, fact.first) for key, fact in bookings}
    return tuple(sorted(start for ref, (key, start) in newest.items() if ref not in cancelled or cancelled[ref] < key))


def _pace(days: Sequence[int], pauses: Sequence[Pause], cadence: float) -> Pace:
    gaps = [math.log(max(1.0, active_time(pauses, a * DAY, b * DAY) / DAY)) for a, b in pairwise(days)]
    mu = kernel.typical_gap(math.log(cadence), len(gaps), sum(gaps))
    shape = kernel.steepness(len(gaps), sum((gap - mu) ** 2 for gap in gaps))
    return Pace(math.exp(mu), shape, max(1, len(days)))
