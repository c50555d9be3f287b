"""A log with more partitions: which of them come of which old one, and what becomes of a state.

The new number is a multiple of the old one. Then every new partition holds relationships of one old partition only, in
their order, and its clock is that of the old one: nothing has to be told again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from services.scoring.domain import memory
from services.scoring.domain.account import Account
from services.scoring.domain.facts import Fact, Facts, Key, merged
from services.scoring.domain.partition import Watermark
from services.scoring.domain.state import State


class Split(NamedTuple):
    """From `old` partitions to `new` ones."""

    old: int
    new: int

    @property
    def problem(self) -> str | None:
        if self.new > self.old and self.new % self.old == 0:
            return None
        multiples = ", ".join(str(self.old * times) for times in (2, 3, 4))
        return f"the log has {self.old} partitions and grows to a multiple of that: {multiples}, ..., not to {self.new}"

    def children(self, number: int) -> range:
        """The new partitions that come of an old one: a key's hash modulo `new` is modulo `old` what it was."""
        return range(number, self.new, self.old)


class Regrown(NamedTuple):
    """`whole`: the log holds every fact of the state; else the state keeps those that the log has lost."""

    state: State
    whole: bool


class Hole(NamedTuple):
    """The log says what the state does not know: it must not be carried over."""

    facts: int


def regrown(old: State, account: Account) -> Regrown | Hole:
    """The state as the new log makes it. How far its rows are out, and which of them wait for a heal, stays: all that
    was told stays told. The old positions are below every new one."""
    read = memory.trimmed(account.facts)
    both = memory.trimmed(merged(old.facts, read))
    known, said = _anywhere(old.facts), _anywhere(both)
    if known != said:
        return Hole(sum(known.get(key) != fact for key, fact in said.items()))
    whole = _anywhere(read) == known
    facts: Facts = read if whole else both
    return Regrown(replace(old, facts=facts, position=max(old.position, account.position)), whole)


def carried(watermark: Watermark, offset: int) -> Watermark:
    """The watermark of a new partition whose last record has this offset."""
    return Watermark(offset, watermark.clock, watermark.clock)


def is_finished(watermark: Watermark) -> bool:
    """Whether what was announced is out."""
    return watermark.clock_next <= watermark.clock


def _anywhere(facts: Facts) -> Mapping[Key, Fact]:
    """The facts wherever they are on the log; a mark without its fact is nowhere on any."""
    return {key: fact._replace(position=min(fact.position, 0)) for key, fact in facts.items()}
