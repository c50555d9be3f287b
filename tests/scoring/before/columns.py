"""Facts as flat arrays, the form in which the kernel reads them."""

from itertools import accumulate
from typing import Any

from services.scoring.domain import bounds
from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.memory import LOOKED_AT, MEMBERSHIPS, groups, is_contact
from tests.scoring.before.kernel.places import LENGTHS, OUTCOMES, Columns, Window

GROUP_NUMBER = {name: number for number, name in enumerate(LOOKED_AT)}
NUMBERS = {names: [GROUP_NUMBER[name] for name in names] for names in MEMBERSHIPS}
_REAL = {"weight", "real", "goal_smart", "goal_done", "value", "share", "feature", "work"}
ZERO = {name: 0.0 if name in _REAL else 0 for name in Window._fields}
"""What the sequences of a window hold: real numbers or whole ones."""


def empty_window() -> Window:
    lists: list[list[Any]] = [[ZERO[name]] * size for name, size in zip(Window._fields, LENGTHS, strict=True)]
    return Window(*lists)


class Flat:
    """Facts in flat arrays; grows relationship by relationship, and the last one fact by fact."""

    def __init__(self) -> None:
        looked_at = [*LOOKED_AT.values(), bounds.CONTACT_DAYS, bounds.CONTACT_WINDOW_DAYS]
        self._lists: dict[str, list[int]] = {name: [] for name in Columns._fields} | {"looked_at": looked_at}
        self.columns = Columns(**self._lists)
        self._meeting: dict[int, int] = {}
        self._least: list[tuple[bytes, Key, bool]] = []

    def add(self, facts: Facts) -> None:
        """A relationship with all its facts."""
        to, at = self._lists, len(self.columns.members)
        self._meeting = {}
        to["fact_begin"].append(len(self.columns.time))
        to["contact_begin"].append(len(self.columns.contact))
        to["day_begin"].append(len(self.columns.day))
        found: list[list[int]] = [[] for _ in GROUP_NUMBER]
        for key in sorted(facts):
            for number in self._add_fact(key, facts[key]):
                found[number].append(len(self.columns.time) - 1)
        to["begin"] += accumulate(map(len, found[:-1]), initial=at)
        for members in found:
            to["members"] += members

    def append(self, key: Key, fact: Fact) -> None:
        """One more fact of the last relationship, newer than all of it."""
        begin, members = self._lists["begin"], self._lists["members"]
        first = len(begin) - len(GROUP_NUMBER)
        for number in self._add_fact(key, fact):
            end = begin[first + number + 1] if number + 1 < len(GROUP_NUMBER) else len(members)
            members.insert(end, len(self.columns.time) - 1)
            for group in range(first + number + 1, len(begin)):
                begin[group] += 1

    def _add_fact(self, key: Key, fact: Fact) -> list[int]:
        """Returns the numbers of its groups."""
        to, place, numbers = self._lists, len(self.columns.time), NUMBERS[groups(key)]
        to["time"].append(key.time)
        to["kind"].append(key.kind)
        to["slot"].append(key.slot)
        to["stands"].append(int(fact.stands))
        to["first"].append(fact.first)
        to["second"].append(fact.second)
        to["ref"].append(fact.ref)
        to["value"].append(fact.value)
        to["evidence"].append(fact.evidence)
        is_outcome = OUTCOMES in numbers and fact.ref != 0
        to["twin"].append(self._meeting.get(fact.ref, -1) if is_outcome else -1)
        if is_outcome:
            self._meeting[fact.ref] = place
        if is_contact(key):
            self._add_contact(key, fact, place)
        return numbers

    def _add_contact(self, key: Key, fact: Fact, place: int) -> None:
        """A day counts if one of its two least contacts stands, of those that are known so far."""
        to, day = self._lists, key.time // bounds.DAY
        if len(self.columns.day) == self.columns.day_begin[-1] or self.columns.day[-1] != day:
            self._least = []
            to["day"].append(day)
            to["day_stands"].append(0)
        self._least = sorted([*self._least, (key.uid, key, fact.stands)])[:2]
        stands = int(any(known for _, _, known in self._least))
        to["contact"].append(place)
        to["of_day"].append(len(self.columns.day) - 1)
        to["stands_so_far"].append(stands)
        to["day_stands"][-1] = stands
