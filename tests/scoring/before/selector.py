"""Selection by instant: windows of one relationship's facts, each read once."""

from bisect import bisect_left, bisect_right
from typing import Any

from services.scoring.domain import bounds
from services.scoring.domain.facts import Facts, Key
from tests.scoring.before.columns import Flat, empty_window
from tests.scoring.before.evaluation import Scorer
from tests.scoring.before.kernel import places
from tests.scoring.before.kernel.look import EVERYTHING, PARTS, look
from tests.scoring.before.kernel.places import GROUPS, Window
from tests.scoring.before.profiles import Profiles
from tests.scoring.before.selection import Known, Selection

REMEMBERED = 6
"""Windows that a relationship may keep in any case, some kB each."""
REMEMBERED_OF_BUSY = 160
"""Windows that it may keep at the most: five facts a day for the four weeks that a trend looks back."""


class Selector:
    """Selects from one relationship's facts. The facts are indexed once, each selection costs O(what it looks at)."""

    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self._facts, self._profiles = facts, profiles
        self.keys = sorted(facts)
        self._flat = Flat()
        self._flat.add(facts)
        self._columns = self._flat.columns
        self.times = self._columns.time
        self._sources = {fact.source for fact in facts.values() if fact.stands}
        self._scorers: dict[tuple[int, int], Scorer] = {}

    def append(self, key: Key) -> None:
        """One more of the facts, newer than all that were indexed: what was selected before it stays."""
        self.keys.append(key)
        self._flat.append(key, self._facts[key])
        if self._facts[key].stands:
            self._sources.add(self._facts[key].source)

    def floor(self, clock: int) -> int:
        """The earliest instant whose row the kept facts still determine: FLOOR before now, but where a group is full,
        LOOKBACK after its oldest kept fact."""
        newest = self.times[-1]
        low = max(newest, clock) - bounds.FLOOR
        for group in range(GROUPS):
            begin, end = self._reach(group)
            oldest = end - bounds.KEPT_WHOLE
            if oldest >= begin and (time := self.times[self._columns.members[oldest]]) > newest - bounds.HORIZON:
                low = max(low, time + bounds.LOOKBACK + 1)
        return low

    def inherit(self, older: "Selector", since: int) -> bool:
        """Keeps what was selected from the facts before `since`, if the two have the same ones before it."""
        count = bisect_left(self.times, since)
        same = older.keys[:count] == self.keys[:count]
        if same:
            self._scorers.update((n, scorer) for n, scorer in older._scorers.items() if n[0] <= count)
        return same

    def at(self, instant: int) -> Selection:
        """Judged from the facts up to and including this instant."""
        return self.scorer(instant).selection

    def scorer(self, instant: int) -> Scorer:
        """Scores by the facts up to and including this instant, at any time until the next fact."""
        count, version = bisect_right(self.times, instant), self._profiles.number(instant)
        found = self._scorers.get((count, version))
        if found is None:
            found = self._scorers[count, version] = self._scorer(count, version)
            if len(self._scorers) > REMEMBERED:
                self._forget(instant)
        return found

    def _forget(self, instant: int) -> None:
        """All windows but those that rows from this instant on look back to; of a very busy relationship the oldest
        as well, whatever that costs."""
        low = bisect_right(self.times, instant - bounds.LOOKBACK) - 1
        kept = {place: scorer for place, scorer in self._scorers.items() if place[0] >= low}
        self._scorers = dict(list(kept.items())[-REMEMBERED_OF_BUSY:])

    def _scorer(self, count: int, version: int) -> Scorer:
        columns, profile = self._columns, self._profiles.vectors[version]
        ends = [bisect_left(columns.members, count, *self._reach(group)) for group in range(GROUPS)]
        ends += [bisect_left(columns.contact, count), count]
        before = self._scorers.get((count - 1, version))
        if before is None:
            window, dirty = empty_window(), EVERYTHING
        else:
            window, dirty = _copied(before.selection.window), PARTS[columns.kind[count - 1]]
        look(columns, 0, ends, profile, dirty, window)
        counts = [end - begin for begin, end in zip(columns.begin, ends, strict=False)]
        known = Known(self._facts, self.keys, columns, counts, self._sources)
        return Scorer(Selection(known, _cut(window), profile), self._profiles.versions[version])

    def _reach(self, group: int) -> tuple[int, int]:
        begin = self._columns.begin
        return begin[group], begin[group + 1] if group + 1 < GROUPS else len(self._columns.members)


def _cut(window: Window) -> Window:
    """Without the room to work in."""
    whole = window.whole
    pauses, starts, goals = whole[places.PAUSES], whole[places.STARTS], whole[places.GOALS_SEEN]
    return window._replace(
        pause_begin=window.pause_begin[:pauses],
        pause_end=window.pause_end[:pauses],
        starts=window.starts[:starts],
        goal_since=window.goal_since[:goals],
        goal_smart=window.goal_smart[:goals],
        goal_done=window.goal_done[:goals],
        goal_open=window.goal_open[:goals],
        chosen=[],
        other=[],
        low=[],
        high=[],
        order=[],
        goal=window.goal[: whole[places.GOAL_FACTS]],
        work=[],
    )


def _copied(cut: Window) -> Window:
    """With the room to work in, again."""
    window = empty_window()
    sequences: list[list[Any]] = [*window]
    kept: list[list[Any]] = [*cut]
    for to, some in zip(sequences, kept, strict=True):
        to[: len(some)] = some
    return window
