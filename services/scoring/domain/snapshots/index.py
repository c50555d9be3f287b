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
    """A fact at its `ordinal` among all facts of the relationship. `stands`: it arrived and is not retracted."""

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
    """Which of the oldest facts the bounded memory drops, as long as no group is over capacity. A dropped fact stays
    dropped whatever follows, so a query after each event costs only the facts that aged since."""

    def __init__(self, index: "FactIndex") -> None:
        self.left_out: list[int] = []
        self._index = index
        self._reference_counts: list[int] = []
        """By ordinal: how many groups and contact days keep the fact."""
        self._group_sizes: dict[str, int] = defaultdict(int)
        self._days: deque[tuple[int, list[tuple[bytes, Key, int]]]] = deque()

    def grow(self, count: int) -> None:
        """The first `count` facts are older than the horizon."""
        index = self._index
        for ordinal in range(len(self._reference_counts), count):
            key, names = index.keys[ordinal], index.groups_of[ordinal]
            # The oldest fact of all is always kept.
            self._reference_counts.append(int(ordinal == 0) + len(names))
            for name in names:
                # The facts that a score no longer uses, now that the group has one more.
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
    """Append-only: results for the facts up to an ordinal stay valid."""

    def __init__(self, facts: Facts) -> None:
        self.keys: list[Key] = []
        self.times: list[int] = []
        self.entries: list[IndexedFact] = []
        self.groups: dict[str, list[IndexedFact]] = {name: [] for name in SELECTED_PER_GROUP}
        self.goals: dict[str, list[tuple[IndexedFact, ...]]] = {name: [()] for name in PER_GOAL}
        """By group: after its first n facts, the newest fact of each of the newest goals, newest first."""
        self.groups_of: list[tuple[str, ...]] = []
        """The groups of each fact."""
        self.contacts: list[IndexedContact] = []
        self.days: list[ContactDay] = []
        self.sources: set[str] = set()
        self.largest = 0
        """Size of the fullest group."""
        self.bytes = FactBuffer()
        self._old = TrimIndex(self)
        for key in sorted(facts):
            self.append(key, facts[key])

    def append(self, key: Key, fact: Fact) -> None:
        """Add a fact that is newer than all others. Runs for every fact of every history, so it looks things up instead
        of calling functions."""
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
        """The earliest instant whose row is exact after older facts were trimmed: FLOOR before now, but for a full
        group, as far after its oldest kept fact as a trend looks back."""
        if not self.times:
            return clock - bounds.FLOOR
        newest = self.times[-1]
        low = max(newest, clock) - bounds.FLOOR
        if self.largest < bounds.GROUP_CAPACITY:
            # The whole horizon is kept.
            return low
        for group in self.groups.values():
            if (
                len(group) >= bounds.GROUP_CAPACITY
                and (time := group[-bounds.GROUP_CAPACITY].time) > newest - bounds.HORIZON
            ):
                low = max(low, time + bounds.LOOKBACK + DAY)
        return low

    def surplus(self) -> list[int]:
        """The ordinals of the facts that the bounded memory drops, as memory.trimmed does. Not for an erased
        relationship, which keeps only the erasure."""
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
        """`ends`: the number of facts of each group, computed if not given."""
        self.index, self.count = index, count
        self.ends: Mapping[str, int] = (
            {name: bisect_left(group, (count,)) for name, group in index.groups.items()} if ends is None else ends
        )

    def with_next(self) -> tuple["View", tuple[str, ...]]:
        """A view of one fact more, and the groups it belongs to."""
        names, ends = self.index.groups_of[self.count], dict(self.ends)
        for name in names:
            ends[name] += 1
        return View(self.index, self.count + 1, ends), names

    def selected(self, name: str) -> Sequence[IndexedFact]:
        """The newest facts of a group, as many as a score uses, oldest first."""
        end, group = self.ends[name], self.index.groups[name]
        # The view nearly always covers the whole group.
        return (
            group[-SELECTED_PER_GROUP[name] :]
            if end == len(group)
            else group[max(0, end - SELECTED_PER_GROUP[name]) : end]
        )

    def standing(self, name: str) -> list[IndexedFact]:
        """The selected facts of a group that stand."""
        return [entry for entry in self.selected(name) if entry.stands]

    def newest(self, name: str) -> IndexedFact | None:
        """The newest selected fact of a group that stands."""
        for entry in reversed(self.selected(name)):
            if entry.stands:
                return entry
        return None

    def contact_days(self, count: int, within: int) -> list[int]:
        """The days that count among the newest `count` contact days, at most `within` days before the newest one,
        oldest first."""
        contacts, days = self.index.contacts, self.index.days
        end = bisect_left(contacts, (self.count,))
        if not end:
            return []
        newest = contacts[end - 1].day
        least = days[newest].day - within
        found = [one.day for one in days[max(0, newest - count + 1) : newest] if one.stands and one.day > least]
        return [*found, days[newest].day] if contacts[end - 1].stands_so_far else found
