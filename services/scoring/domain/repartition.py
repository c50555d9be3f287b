"""A log with more partitions: which of them come of which old one, and what becomes of a state.

The new number is a multiple of the old one. Then every new partition holds relationships of one old partition only, in
their order, and its clock is that of the old one: nothing has to be told again."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from services.scoring.domain import memory
from services.scoring.domain.facts import Fact, Facts, FullHistory, Key
from services.scoring.domain.layout import PartitionWatermark, RelationshipState


class PartitionSplit(NamedTuple):
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


class Differs(NamedTuple):
    """So many facts are on the log only, or in the state only: neither can be left behind."""

    log_only: int
    state_only: int


def repartitioned(old: RelationshipState, account: FullHistory) -> RelationshipState | Differs:
    """The state as the new log makes it. How far its rows are out, and which of them wait for a heal, stays: all that
    was told stays told. The old positions are below every new one."""
    read = memory.trimmed(account.facts)
    said, known = set(_anywhere(read)), set(_anywhere(old.facts))
    if said != known:
        return Differs(len(said - known), len(known - said))
    return replace(old, facts=read, position=max(old.position, account.position))


def carried(watermark: PartitionWatermark, offset: int) -> PartitionWatermark:
    """The watermark of a new partition whose last record has this offset."""
    return PartitionWatermark(offset, watermark.clock, watermark.clock)


def is_finished(watermark: PartitionWatermark) -> bool:
    """Whether what was announced is out."""
    return watermark.clock_next <= watermark.clock


def _anywhere(facts: Facts) -> Iterator[tuple[Key, Fact]]:
    """The facts wherever they are on the log; a mark without its fact is nowhere on any."""
    for key, fact in facts.items():
        yield key, fact._replace(position=min(fact.position, 0))
