"""The writes of a worker for one partition, in phases. Each phase must be acknowledged before the next begins: outputs,
then states, then the watermark. A crash at any point repeats work; it leaves no gap and emits nothing twice.

Rows that time alone brings are announced before they are emitted: the watermark states how far the clock may be. After
a crash they are emitted again before any record is applied, so that a row removed by a late fact is known and deleted.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from schemas.events import MentoringEvent, ProfileSet
from schemas.primitives import to_micros
from services.scoring.domain.bounds import FOREVER, NONE
from services.scoring.domain.changelog import PROGRAMME, WATERMARK, ChangelogEntry, Discarded, programme_entry
from services.scoring.domain.layout import PartitionWatermark, dump, dump_watermark
from services.scoring.domain.partition import Emission, ScoredPartition

Write = Emission | ChangelogEntry
Phase = Sequence[Write]
PAUSE: Phase = ()
"""Nothing to write: other tasks may run, because the next step may take a while. Rows may still be unwritten, so a
caller that wants to restart must not stop here."""
ROUND = 500
"""Rows, or states, per round of acknowledgements: a tenth of a second of work, so that heartbeats and a stop are
served."""


class LogRecord(NamedTuple):
    """`event` None: the value was no event; it goes to the dead letters elsewhere and only counts as read."""

    offset: int
    key: str
    event: MentoringEvent | None


class PartitionProcessor:
    """One assignment of one partition: writes under its own generation, and deletes the records of older ones.
    `announced`: the instant up to which rows may be emitted already."""

    def __init__(
        self, number: int, partition: ScoredPartition, older: dict[str, set[int]], announced: int = NONE
    ) -> None:
        self.partition = partition
        self._number = number
        self._older = {name: set(numbers) - {number} for name, numbers in older.items()}
        self._watermark_written = False
        self._stored = PartitionWatermark(partition.offset, partition.clock, max(partition.clock, announced))

    def run(self, records: Iterable[LogRecord], ceiling: int = FOREVER) -> Iterator[Phase]:
        """Apply records one by one, so that what an event emits never depends on batch boundaries. A batch with many
        emissions is acknowledged in several rounds. `ceiling`: no record moves the clock beyond it."""
        round_ = _PendingRound()
        for offset, key, event in records:
            yield PAUSE
            if event is None:
                self.partition.offset = offset
                continue
            recorded = to_micros(event.recordedtime)
            clock = min(recorded, ceiling)
            if clock > self.partition.clock:
                for due in self.partition.advance(clock):
                    yield PAUSE
                    round_.announce_until = max(round_.announce_until, clock) if due else round_.announce_until
                    round_.outputs += due
                    if len(round_.outputs) >= ROUND:
                        yield from self._acknowledge(round_)
            # An exact type check: isinstance of a pydantic model takes twenty times as long.
            if type(event) is ProfileSet:
                yield from self._acknowledge(round_)
                yield from self._apply_profiles(event, offset)
                continue
            changed = self.partition.apply(event, key, offset)
            round_.changed_names.add(key)
            if not changed:
                continue
            # If the wall clock capped the record, a retry may not emit even the record's own row.
            if self._emits_beyond_own(changed, to_micros(event.time) if recorded == clock else NONE):
                round_.announce_until = self.partition.clock
            round_.outputs += changed
            if len(round_.outputs) >= ROUND:
                yield from self._acknowledge(round_)
        yield from self._acknowledge(round_)

    def tick(self, clock: int) -> Iterator[Phase]:
        """Move the clock by time alone. The caller may stop after a phase that wrote, let records in, and call
        again."""
        if clock <= self.partition.clock:
            if self.partition.clock > self._stored.clock:
                # The caller stopped after the last rows.
                yield self._watermark()
            return
        yield from self._announce(clock)
        yield from self.resume(clock)

    def resume(self, clock_next: int) -> Iterator[Phase]:
        """Complete a span of time that was announced."""
        rows: list[Emission] = []
        for due in self.partition.advance(clock_next):
            rows += due
            yield PAUSE
            if len(rows) >= ROUND:
                yield rows
                rows = []
        yield rows
        yield self._watermark()

    def discard(self, keys: Iterable[bytes]) -> Iterator[Phase]:
        """Delete unreadable records. First write the current watermark, and remove all others: a crash in between would
        otherwise leave an older one, which vouches for what is missing."""
        yield self._watermark()
        yield self._tombstones([WATERMARK])
        yield [Discarded(key.decode("latin-1"), 0, None) for key in keys]

    def _apply_profiles(self, event: ProfileSet, offset: int) -> Iterator[Phase]:
        """Relationships whose emitted rows would have differed become stale: write their states first, then the applied
        profiles. After a crash in between, the event is applied again with the same result."""
        applied = self.partition.resolve_profiles(event, offset)
        stale: set[str] = set()
        for name in self.partition.apply_profiles(applied, offset):
            yield PAUSE
            if name is not None:
                stale.add(name)
            if len(stale) >= ROUND:
                yield from self._store(stale)
                stale = set()
        yield from self._store(stale)
        yield [programme_entry(self._number, applied)]
        yield [*self._tombstones([PROGRAMME + applied.name]), *self._watermark()]

    def _store(self, names: set[str]) -> Iterator[Phase]:
        states = self.partition.states_to_store(names)
        yield [ChangelogEntry(name, self._number, dump(state)) for name, state in states.items()]
        yield self._tombstones(states)

    def _acknowledge(self, round_: "_PendingRound") -> Iterator[Phase]:
        if (self.partition.offset, self.partition.clock) == self._stored[:2] and not round_.outputs:
            return
        if round_.announce_until > self._stored.clock_next:
            yield from self._announce(round_.announce_until)
        yield round_.outputs
        states = self.partition.states_to_store(round_.changed_names)
        yield [ChangelogEntry(name, self._number, dump(state)) for name, state in states.items()]
        yield [*self._tombstones(states), *self._watermark()] if self._older else self._watermark()
        round_.clear()

    def _emits_beyond_own(self, emissions: Sequence[Emission], own: int) -> bool:
        """Whether rows lie beyond the stored clock that the same record may not emit again after a crash: rows due by
        its recorded time, besides its `own`."""
        # Runs for every event: a loop, where `any` would create a generator.
        for emission in emissions:  # noqa: SIM110
            if self._stored.clock < emission.as_of != own:
                return True
        return False

    def _announce(self, clock: int) -> Iterator[Phase]:
        """On top of the stored watermark: nothing applied since then is stored yet."""
        if clock > self._stored.clock_next:
            self._stored = self._stored._replace(clock_next=clock)
            yield self._watermark_of(self._stored)

    def _watermark(self) -> list[ChangelogEntry]:
        offset, clock = self.partition.offset, self.partition.clock
        self._stored = PartitionWatermark(offset, clock, max(clock, self._stored.clock_next))
        return self._watermark_of(self._stored)

    def _watermark_of(self, watermark: PartitionWatermark) -> list[ChangelogEntry]:
        forgotten = self._tombstones([WATERMARK]) if self._watermark_written and self._older else []
        self._watermark_written = True
        return [*forgotten, ChangelogEntry(WATERMARK, self._number, dump_watermark(watermark))]

    def _tombstones(self, names: Iterable[str]) -> list[ChangelogEntry]:
        """Tombstones for the records of older generations that were merged into what is now acknowledged."""
        stale_names = [name for name in names if name in self._older]
        return [ChangelogEntry(name, number, None) for name in stale_names for number in sorted(self._older.pop(name))]


class _PendingRound:
    """Computed and not yet written. `announce_until`: how far its rows that time alone brought may go."""

    def __init__(self) -> None:
        self.outputs: list[Emission] = []
        self.changed_names: set[str] = set()
        self.announce_until = NONE

    def clear(self) -> None:
        self.outputs, self.changed_names, self.announce_until = [], set(), NONE
