"""The facts of one relationship in order and by group, and views of them up to an instant."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.kinds import CONTACTS, GOALS
from services.scoring.domain.layout import FactBuffer
from services.scoring.domain.memory import CONTACTS_PER_DAY, GROUPS, PER_GOAL, SELECTED_PER_GROUP, kept


class IndexedFact(NamedTuple):
    """A fact at its `ordinal` among all of the relationship. `stands`: it came, and nobody retracted it."""

    ordinal: int
    time: int
    kind: int
    slot: int
    stands: bool
    first: int
    second: int
    ref: int
    value: int
    evidence: int
    source: str
    name: str


class ContactDay:
    """A day counts if one of its two least contacts stands."""

    def __init__(self, day: int) -> None:
        self.day, self.stands = day, False
        self._least: list[tuple[bytes, Key, bool]] = []

    def add(self, key: Key, stands: bool) -> None:  # noqa: FBT001 (what is known of the fact)
        least = self._least
        least.append((key.uid, key, stands))
        if len(least) > 1:
            least.sort()
            del least[CONTACTS_PER_DAY:]
        self.stands = least[0][-1] or least[-1][-1]


class IndexedContact(NamedTuple):
    """A contact, the number of its day among all contact days, and whether that day counts by the contacts so far."""

    ordinal: int
    day: int
    stands_so_far: bool


class TrimIndex:
    """Which of the oldest facts the bounded memory leaves out, where none of them is beyond a full group. What is left
    out once stays so whatever comes later, so whoever asks after each event pays for the facts that grew old since."""

    def __init__(self, index: "FactIndex") -> None:
        self.left_out: list[int] = []
        self._index = index
        self._reference_counts: list[int] = []
        """By place, for how many reasons a fact is kept."""
        self._group_sizes: dict[str, int] = defaultdict(int)
        self._days: deque[tuple[int, list[tuple[bytes, Key, int]]]] = deque()

    def grow(self, count: int) -> None:
        """So many facts are old."""
        index = self._index
        for ordinal in range(len(self._reference_counts), count):
            key, names = index.keys[ordinal], index.groups_of[ordinal]
            # The oldest fact of all is kept for ever.
            self._reference_counts.append(int(ordinal == 0) + len(names))
            for name in names:
                # What a score no longer looks at, now that the group has one more.
                end = self._group_sizes[name] = self._group_sizes[name] + 1
                if name in PER_GOAL:
                    before, after = index.goals[name][end - 1 : end + 1]
                    gone: Sequence[IndexedFact] = [entry for entry in before if entry not in after]
                else:
                    gone = index.groups[name][
                        max(0, end - SELECTED_PER_GROUP[name] - 1) : max(0, end - SELECTED_PER_GROUP[name])
                    ]
                for entry in gone:
                    self._release(entry.ordinal)
            if key.kind in CONTACTS:
                self._add_contact(key, ordinal)

    def _add_contact(self, key: Key, ordinal: int) -> None:
        day = key.time // DAY
        if not self._days or self._days[-1][0] != day:
            self._days.append((day, []))
        least = self._days[-1][1]
        least.append((key.uid, key, ordinal))
        least.sort()
        self._reference_counts[ordinal] += 1
        if len(least) > CONTACTS_PER_DAY:
            self._release(least.pop()[-1])
        if len(self._days) > bounds.CONTACT_DAYS:
            for *_, forgotten in self._days.popleft()[1]:
                self._release(forgotten)

    def _release(self, ordinal: int) -> None:
        self._reference_counts[ordinal] -= 1
        if not self._reference_counts[ordinal]:
            insort(self.left_out, ordinal)


class FactIndex:
    """Grows at its end. What was read of the facts up to a place stays as it is."""

    def __init__(self, facts: Facts) -> None:
        self.keys: list[Key] = []
        self.times: list[int] = []
        self.entries: list[IndexedFact] = []
        self.groups: dict[str, list[IndexedFact]] = {name: [] for name in SELECTED_PER_GROUP}
        self.goals: dict[str, list[tuple[IndexedFact, ...]]] = {name: [()] for name in PER_GOAL}
        """By kind: of as many facts of the group, the newest of each of the newest goals, newest first."""
        self.groups_of: list[tuple[str, ...]] = []
        """Of each fact."""
        self.contacts: list[IndexedContact] = []
        self.days: list[ContactDay] = []
        self.sources: set[str] = set()
        self.largest = 0
        """Facts of the fullest group."""
        self.bytes = FactBuffer()
        self._old = TrimIndex(self)
        for key in sorted(facts):
            self.append(key, facts[key])

    def append(self, key: Key, fact: Fact) -> None:
        """A fact that is newer than all others. Of every fact of every history that is read, so nothing is called here
        that can be looked up."""
        ordinal, (time, kind, _, slot) = len(self.keys), key
        position, marked, first, second, ref, value, evidence, source, name = fact
        stands = position != NONE and not marked
        entry = IndexedFact(ordinal, time, kind, slot, stands, first, second, ref, value, evidence, source, name)
        self.keys.append(key)
        self.times.append(time)
        self.entries.append(entry)
        self.bytes.append(key, fact)
        names = GROUPS[kind, 0 if kind in GOALS else slot]
        self.groups_of.append(names)
        for group_name in names:
            group = self.groups[group_name]
            group.append(entry)
            if len(group) > self.largest:  # noqa: PLR1730 (`max` takes three times as long)
                self.largest = len(group)
            if group_name in PER_GOAL:
                others = [other for other in self.goals[group_name][-1] if other.slot != slot]
                self.goals[group_name].append((entry, *others[: SELECTED_PER_GROUP[group_name] - 1]))
        if kind in CONTACTS:
            day = time // DAY
            if not self.days or self.days[-1].day != day:
                self.days.append(ContactDay(day))
            newest = self.days[-1]
            newest.add(key, stands)
            self.contacts.append(IndexedContact(ordinal, len(self.days) - 1, newest.stands))
        if stands:
            self.sources.add(source)

    def floor(self, clock: int) -> int:
        """The earliest instant whose row is exact, where older facts were trimmed away: FLOOR before now, but where a
        group is full, as far after its oldest kept fact as a trend looks back."""
        if not self.times:
            return clock - bounds.FLOOR
        newest = self.times[-1]
        low = max(newest, clock) - bounds.FLOOR
        if self.largest < bounds.GROUP_CAPACITY:
            # All of the horizon is kept.
            return low
        for group in self.groups.values():
            if (
                len(group) >= bounds.GROUP_CAPACITY
                and (time := group[-bounds.GROUP_CAPACITY].time) > newest - bounds.HORIZON
            ):
                low = max(low, time + bounds.LOOKBACK + DAY)
        return low

    def surplus(self) -> list[int]:
        """The places of the facts that the bounded memory leaves out, as memory.trimmed does. Who was erased has none
        but the erasure, which is another matter."""
        if not self.times:
            return []
        if self.largest > bounds.GROUP_CAPACITY:
            keep = kept(self.keys)
            return [ordinal for ordinal, key in enumerate(self.keys) if key not in keep]
        begin = self.times[-1] - bounds.HORIZON
        if self.times[0] <= begin:
            self._old.grow(bisect_right(self.times, begin))
        return self._old.left_out


class View:
    """The first `count` facts of an index."""

    def __init__(self, index: FactIndex, count: int, ends: Mapping[str, int] | None = None) -> None:
        """`ends`: how many facts of each group they are, where that is known."""
        self.index, self.count = index, count
        self.ends: Mapping[str, int] = (
            {name: bisect_left(group, (count,)) for name, group in index.groups.items()} if ends is None else ends
        )

    def with_next(self) -> tuple["View", tuple[str, ...]]:
        """One fact more, and the groups that it belongs to."""
        names, ends = self.index.groups_of[self.count], dict(self.ends)
        for name in names:
            ends[name] += 1
        return View(self.index, self.count + 1, ends), names

    def selected(self, name: str) -> Sequence[IndexedFact]:
        """The newest facts of a group, as many as a score looks at, oldest first."""
        end, group = self.ends[name], self.index.groups[name]
        # Nearly always of all facts there are.
        return (
            group[-SELECTED_PER_GROUP[name] :]
            if end == len(group)
            else group[max(0, end - SELECTED_PER_GROUP[name]) : end]
        )

    def standing(self, name: str) -> list[IndexedFact]:
        """Those selected facts of a group that stand."""
        return [entry for entry in self.selected(name) if entry.stands]

    def newest(self, name: str) -> IndexedFact | None:
        """The newest selected fact of a group that stands."""
        for entry in reversed(self.selected(name)):
            if entry.stands:
                return entry
        return None

    def contact_days(self, count: int, within: int) -> list[int]:
        """The days that count among the newest `count` contact days, not older than `within` days before the newest
        one, oldest first."""
        contacts, days = self.index.contacts, self.index.days
        end = bisect_left(contacts, (self.count,))
        if not end:
            return []
        newest = contacts[end - 1].day
        least = days[newest].day - within
        found = [one.day for one in days[max(0, newest - count + 1) : newest] if one.stands and one.day > least]
        return [*found, days[newest].day] if contacts[end - 1].stands_so_far else found
