"""The facts of one relationship in order and by group, and views of them up to an instant."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY
from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.memory import LOOKED_AT, PER_GOAL, groups, is_contact


class Entry(NamedTuple):
    """A fact at its `place` among all of the relationship. `stands`: it came, and nobody retracted it."""

    place: int
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

    def add(self, key: Key, fact: Fact) -> None:
        self._least = sorted([*self._least, (key.uid, key, fact.stands)])[:2]
        self.stands = any(stands for _, _, stands in self._least)


class Contact(NamedTuple):
    """A contact, the number of its day among all contact days, and whether that day counts by the contacts so far."""

    place: int
    day: int
    stands_so_far: bool


class FactIndex:
    """Grows at its end. What was read of the facts up to a place stays as it is."""

    def __init__(self, facts: Facts) -> None:
        self.keys: list[Key] = []
        self.times: list[int] = []
        self.entries: list[Entry] = []
        self.groups: dict[str, list[Entry]] = {name: [] for name in LOOKED_AT}
        self.contacts: list[Contact] = []
        self.days: list[ContactDay] = []
        self.sources: set[str] = set()
        for key in sorted(facts):
            self.append(key, facts[key])

    def append(self, key: Key, fact: Fact) -> None:
        """A fact that is newer than all others."""
        place, stands = len(self.keys), fact.stands
        numbers = (fact.first, fact.second, fact.ref, fact.value, fact.evidence)
        entry = Entry(place, key.time, key.kind, key.slot, stands, *numbers, fact.source, fact.name)
        self.keys.append(key)
        self.times.append(key.time)
        self.entries.append(entry)
        for name in groups(key):
            self.groups[name].append(entry)
        if is_contact(key):
            self._add_contact(key, fact, place)
        if stands:
            self.sources.add(fact.source)

    def fits_memory(self) -> bool:
        """Whether the bounded memory keeps all of it for sure; where it is not sure, memory.trimmed tells."""
        begin = self.times[-1] - bounds.HORIZON if self.times else 0
        return all(
            (name not in PER_GOAL and len(group) <= LOOKED_AT[name])
            or (len(group) <= bounds.KEPT_WHOLE and group[0].time > begin)
            for name, group in self.groups.items()
            if group
        )

    def count(self, at: int) -> int:
        """How many facts there are up to and including an instant."""
        return bisect_right(self.times, at)

    def _add_contact(self, key: Key, fact: Fact, place: int) -> None:
        day = key.time // DAY
        if not self.days or self.days[-1].day != day:
            self.days.append(ContactDay(day))
        self.days[-1].add(key, fact)
        self.contacts.append(Contact(place, len(self.days) - 1, self.days[-1].stands))


class View:
    """The first `count` facts of an index."""

    def __init__(self, index: FactIndex, count: int) -> None:
        self.index, self.count = index, count
        self.ends: Mapping[str, int] = (
            {name: len(group) for name, group in index.groups.items()}
            if count == len(index.entries)
            else {name: bisect_left(group, (count,)) for name, group in index.groups.items()}
        )

    def group(self, name: str) -> Sequence[Entry]:
        """All facts of a group, oldest first."""
        return self.index.groups[name][: self.ends[name]]

    def selected(self, name: str) -> Sequence[Entry]:
        """The newest facts of a group, as many as a score looks at, oldest first."""
        end = self.ends[name]
        return self.index.groups[name][max(0, end - LOOKED_AT[name]) : end]

    def standing(self, name: str) -> list[Entry]:
        return [entry for entry in self.selected(name) if entry.stands]

    def newest(self, name: str) -> Entry | None:
        """The newest selected fact of a group that stands."""
        return next((entry for entry in reversed(self.selected(name)) if entry.stands), None)

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
