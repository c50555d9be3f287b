"""The effect of maintenance on states. Healing: rows that the bounded memory of a relationship could not compute are
computed from its full log.

Repartition: which new partitions an old one splits into, and how its states change. The new number of partitions is a
multiple of the old one, so every new partition holds relationships of one old partition only, in their order, and has
its clock: nothing has to be emitted again.

Gaps: a log that begins beyond what was applied. The records in between are lost, and only an operator may accept that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from services.scoring.domain import memory
from services.scoring.domain.bounds import FOREVER, NONE
from services.scoring.domain.changelog import ChangelogEntry, state_entry
from services.scoring.domain.facts import Fact, Facts, FullHistory, Key
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.layout import PartitionWatermark, RelationshipState
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.verification import ComparableRow, comparable

OF_HEAL = 1 << 63
"""Set in the generation of every heal, never in that of a worker."""


class HealBound(NamedTuple):
    """How far a partition is applied: the position of its last record, its clock, and the profiles in use."""

    position: int
    clock: int
    programmes: Programmes


class Healing(NamedTuple):
    """Once the emissions are acknowledged, in this order, `state` is stored: it merges with any state that a worker has
    or writes later."""

    emissions: list[Emission]
    state: RelationshipState


def healing(relationship: str, history: FullHistory, stored: Mapping[int, ComparableRow], bound: HealBound) -> Healing:
    """`history` and `stored` (the rows of the table) reach up to the bound. Emits the rows that are stored differently
    or not at all, and deletes stored instants that have no row, oldest first; at the end always the newest row as
    `score.changed` (without any row, the last deletion). Emissions have the position of the relationship's last fact,
    as the live rows that they replace."""
    profiles = bound.programmes.of(relationship, history.program)
    true = ScoreHistory(history.facts, profiles).rows(NONE, bound.clock)
    comparable_rows = {at: comparable(row) for at, row in true.items()}
    rows = {at: true.get(at) for at in sorted(true.keys() | stored.keys()) if comparable_rows.get(at) != stored.get(at)}
    newest = next(reversed(true), None)
    if newest is not None:
        rows.pop(newest, None)
        rows[newest] = true[newest]
    last = next(reversed(rows), None)
    emissions = [
        Emission(relationship, history.program, at, history.position, row, changed=at == last, trigger=None)
        for at, row in rows.items()
    ]
    # What an older version recorded about the programme no longer matters: the log has it.
    state = RelationshipState(healed_position=bound.position, healed_clock=bound.clock, healed_programme=FOREVER)
    return Healing(emissions, state)


def healed_entry(relationship: str, state: RelationshipState, number: int) -> ChangelogEntry:
    """`number` is different for every write. Under a number that a worker has merged already, the entry would be lost:
    the worker deletes the generations that it has merged, including later records under them."""
    return state_entry(relationship, OF_HEAL | number, state)


def is_within_reach(state: RelationshipState, bound: HealBound) -> bool:
    """Whether the bound covers a fact of the relationship, and the one that made it stale: states run ahead of their
    watermark."""
    return max(state.enrolment.position, state.stale_position) <= bound.position


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
        """The new partitions that an old one splits into: a key's hash modulo `new` is, modulo `old`, what it was."""
        return range(number, self.new, self.old)


class StateMismatch(NamedTuple):
    """The number of facts on the log only, and in the state only: neither may be dropped."""

    log_only: int
    state_only: int


def repartitioned(old: RelationshipState, history: FullHistory) -> RelationshipState | StateMismatch:
    """The state as the new log makes it. How far its rows are emitted, and whether it waits for a heal, stays the same.
    The old positions are below every new one."""
    read = memory.trimmed(history.facts)
    from_log, from_state = set(_without_positions(read)), set(_without_positions(old.facts))
    if from_log != from_state:
        return StateMismatch(len(from_log - from_state), len(from_state - from_log))
    return replace(old, facts=read, position=max(old.position, history.position))


def carry_watermark(watermark: PartitionWatermark, offset: int) -> PartitionWatermark:
    """The watermark of a new partition whose last record has this offset."""
    return PartitionWatermark(offset, watermark.clock, watermark.clock)


def is_finished(watermark: PartitionWatermark) -> bool:
    """Whether everything announced is emitted."""
    return watermark.clock_next <= watermark.clock


def _without_positions(facts: Facts) -> Iterator[tuple[Key, Fact]]:
    """The facts without their log positions; a mark without its fact has none on either log."""
    for key, fact in facts.items():
        yield key, fact._replace(position=min(fact.position, 0))


class Gap(NamedTuple):
    """`wanted` is the offset to apply next, `begin` the first that the log still has."""

    wanted: int
    begin: int

    @property
    def lost(self) -> int:
        return self.begin - self.wanted


class GapAccepted(NamedTuple):
    """`watermark` records the acceptance in the changelog: under a generation of its own, and greater than all
    others."""

    lost: int
    watermark: PartitionWatermark


class GapRefused(NamedTuple):
    reason: str


def gap_of(watermark: PartitionWatermark, begin: int) -> Gap | None:
    """If nothing was applied yet, reading begins where the log does, and there is no gap."""
    wanted = watermark.offset + 1
    return Gap(wanted, begin) if watermark.offset > NONE and wanted < begin else None


def accept(watermark: PartitionWatermark, begin: int, offset: int) -> GapAccepted | GapRefused:
    """Whether work may continue at `offset`. Only where the log begins: existing records are never skipped."""
    gap = gap_of(watermark, begin)
    if gap is None:
        return GapRefused(f"there is no gap: the log begins at {begin}, and offset {watermark.offset + 1} comes next")
    if offset < begin:
        return GapRefused(f"offset {offset} is lost as well: the log begins at {begin}")
    if offset > begin:
        return GapRefused(f"the records from {begin} to {offset - 1} still exist: only {begin} can be accepted")
    return GapAccepted(gap.lost, watermark._replace(offset=begin - 1))
