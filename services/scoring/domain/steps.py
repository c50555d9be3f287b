"""What a worker does with a partition, as phases of writes. Each phase must be acknowledged before the next begins:
outputs, then states, then the watermark. A crash anywhere repeats work; it leaves no hole and tells nothing twice."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from schemas.events import MentoringEvent
from schemas.primitives import to_micros
from services.scoring.domain.bounds import NONE
from services.scoring.domain.changelog import (
    PROGRAMME,
    WATERMARK,
    Entry,
    discarded,
    programme_entry,
    state_entry,
    watermark_entry,
)
from services.scoring.domain.partition import Emission, Partition, Watermark
from services.scoring.domain.programme_record import ProgrammeRecord

Write = Emission | Entry
Phase = Sequence[Write]
PAUSE: Phase = ()
"""Nothing to write: others may be let in, for what comes next may take a while."""
ROUND = 500
"""Rows between two rounds of acknowledgements: a tenth of a second of work, so that heartbeats and a stop get in."""


class Record(NamedTuple):
    """`event` None: the value was no event; it is quarantined elsewhere and only counts as read."""

    offset: int
    key: str
    event: MentoringEvent | None


class Generation:
    """One assignment of one partition: writes under its own number, and deletes what older ones left."""

    def __init__(self, number: int, partition: Partition, older: dict[str, set[int]]) -> None:
        self.partition = partition
        self._number = number
        self._older = {name: set(numbers) - {number} for name, numbers in older.items()}
        self._marked = False

    def run(self, records: Iterable[Record]) -> Iterator[Phase]:
        """Applies records one by one, so that what an event tells never depends on where a run ends. A run that tells
        much is acknowledged in several rounds."""
        outputs: list[Emission] = []
        touched: set[str] = set()
        for offset, key, event in records:
            yield PAUSE
            if event is None:
                self.partition.offset = offset
                continue
            # The same record does this again after a crash in between: its span need not be announced.
            for due in self.partition.advance(to_micros(event.recordedtime)):
                outputs += due
                if len(outputs) >= ROUND:
                    yield from self._round(outputs, touched)
                    outputs, touched = [], set()
            outputs += self.partition.apply(event, key, offset)
            touched.add(key)
            if len(outputs) >= ROUND:
                yield from self._round(outputs, touched)
                outputs, touched = [], set()
        yield from self._round(outputs, touched)

    def _round(self, outputs: list[Emission], touched: set[str]) -> Iterator[Phase]:
        yield outputs
        states = self.partition.clocked(touched)
        yield [state_entry(name, self._number, state) for name, state in states.items()]
        yield [*self._forget(states), *self._watermark()]

    def tick(self, clock: int) -> Iterator[Phase]:
        """Moves the clock by time alone. The span is announced first: after a crash it is told again as it was,
        before any later record."""
        if clock <= self.partition.clock:
            return
        yield self._watermark(clock)
        yield from self.resume(clock)

    def resume(self, clock_next: int) -> Iterator[Phase]:
        """Finishes a span that was announced."""
        yield from self.partition.advance(clock_next)
        yield self._watermark()

    def discard(self, keys: Iterable[bytes]) -> Iterator[Phase]:
        """Deletes what could not be read. First the watermark as it is without it, and only that one: else a crash in
        between would leave an older one, which vouches for what is missing."""
        yield self._watermark()
        yield self._forget([WATERMARK])
        yield [discarded(key) for key in keys]

    def told(self, records: Sequence[ProgrammeRecord]) -> Iterator[Phase]:
        """Programmes have other profiles. The relationships whose rows that are out would have been others are stale:
        their states first, then what was told, so that after a crash in between it is told again; and only then is
        forgotten what was told before."""
        news, stale = {record.name: record for record in records}, set[str]()
        for record in records:
            stale |= self.partition.tell(*record)
            yield PAUSE
        states = self.partition.clocked(stale)
        yield [state_entry(name, self._number, state) for name, state in states.items()]
        yield [programme_entry(self._number, record) for record in news.values()]
        yield self._forget([*states, *(PROGRAMME + name for name in news)])

    def _watermark(self, clock_next: int = NONE) -> list[Entry]:
        offset, clock = self.partition.offset, self.partition.clock
        forgotten = self._forget([WATERMARK]) if self._marked else []
        self._marked = True
        return [*forgotten, watermark_entry(self._number, Watermark(offset, clock, max(clock, clock_next)))]

    def _forget(self, names: Iterable[str]) -> list[Entry]:
        """Tombstones for the records of older generations that were merged into what is now acknowledged."""
        return [Entry(name, number, None) for name in names for number in sorted(self._older.pop(name, ()))]
