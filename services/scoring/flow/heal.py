"""`rapport scoring heal`: relationships whose rows the bounded memory could not tell are told from the whole log.

Only one heal at a time, and no replay beside it: what a forgotten one still writes would be taken for newer than what
is stored. So it asks before each step that writes whether it still may (`HealEnvironment.check`)."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import NamedTuple

from schemas.events import OfPartition
from schemas.topics import SCORING_STATE, position
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Partition, Producer, Sent, partition_count
from services.runtime.settings import Settings
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.healing import HealBound, Healing, healed_entry, healing, is_within_reach
from services.scoring.domain.serialization import score_event
from services.scoring.flow.decoding import Refusal, event_at
from services.scoring.flow.log_reading import Passed, Stored, records_up_to, stored
from services.scoring.flow.records import STRUCTURED
from services.scoring.flow.sink import GROUP, await_sink
from services.scoring.flow.stored_rows import stored_rows
from services.scoring.topics import Topics

PASSES = 3
"""Relationships become stale while others are healed: then these follow, but not for ever."""
READ_AT_ONCE = 2_000
"""Relationships whose whole log is in memory at once: some hundred MB."""
TOLD_AT_ONCE = 50
"""Relationships that are compared with the table, told and marked together."""

Progress = Callable[[str, int, int], object]
"""What is being done, how much of it is done, and how much there is to do (0: nobody knows)."""


class NoStateError(Exception):
    """Scoring has no state of the relationship."""


@dataclass
class HealReport:
    """`healed`: rows that were told and instants that were taken away, by relationship. `again`: stale again since, by
    what came meanwhile. `left`: stale still; scoring has not yet finished applying what made them so."""

    healed: dict[str, tuple[int, int]] = field(default_factory=dict)
    again: Sequence[str] = ()
    left: Sequence[str] = ()


@dataclass(frozen=True)
class HealEnvironment:
    """Where the log, the states and the table are; `sink` is the group that fills the table. `check` raises where
    maintenance is no more ours (maintenance)."""

    settings: Settings
    names: Topics
    sink: str = GROUP
    check: Callable[[], object] = lambda: None


def heal(place: HealEnvironment, asked: Collection[str], progress: Progress) -> HealReport:
    """Heals the relationships asked for, or all, that are stale. Cut off, the next heal does the rest. Raises
    NoStateError, LogCutOffError, SinkBehindError, MaintenanceLostError, KafkaError, ClickHouseError."""
    report = HealReport()
    for passes in range(PASSES + 1):
        progress("reading the stored states", 0, 0)
        known = stored(place.settings, place.names)
        _refuse_unknown(asked, known)
        stale = [name for name in known.stale if not asked or name in asked]
        ready = [name for name in stale if is_within_reach(known.states[name], _mark(place, known, name))]
        if not ready or passes == PASSES:
            break
        progress("waiting for the warehouse to store what was told", 0, 0)
        await_sink(place.settings, place.names.scores, place.sink)
        for name, found in _healed(place, known, ready, progress):
            deleted = sum(emission.row is None for emission in found.emissions)
            report.healed[name] = len(found.emissions) - deleted, deleted
    report.again = [name for name in stale if name in report.healed]
    report.left = [name for name in stale if name not in report.healed]
    return report


def _refuse_unknown(asked: Collection[str], known: Stored) -> None:
    for name in asked:
        if name not in known.states:
            raise NoStateError(f"there is no relationship {name} among {len(known.states)} (tenant/id)")


def _mark(place: HealEnvironment, known: Stored, name: str) -> HealBound:
    number = known.partition_of[name]
    offset, clock, _ = known.watermarks[number]
    return HealBound(position(place.names.epoch, offset), clock, known.programmes[number])


def _healed(
    place: HealEnvironment, known: Stored, ready: Sequence[str], progress: Progress
) -> Iterator[tuple[str, Healing]]:
    """Each relationship when it is told and marked."""
    done = 0
    with (
        closing(ClickHouse(place.settings)) as table,
        closing(HealWriter(place.settings, place.names, place.check)) as telling,
    ):
        for some in _portions(known, ready):
            accounts = _accounts(place, known, some, progress)
            for begin in range(0, len(some), TOLD_AT_ONCE):
                progress("healing", done, len(ready))
                names = some[begin : begin + TOLD_AT_ONCE]
                marks = {name: _mark(place, known, name) for name in names}
                found = _healings(table, accounts, marks)
                telling.tell(found, known.partition_of)
                yield from found.items()
                done += len(names)


def _portions(known: Stored, ready: Sequence[str]) -> Iterator[Sequence[str]]:
    """Partition by partition, so that none is read more often than it must."""
    in_order = sorted(ready, key=lambda name: (known.partition_of[name], name))
    for begin in range(0, len(in_order), READ_AT_ONCE):
        yield in_order[begin : begin + READ_AT_ONCE]


def _accounts(place: HealEnvironment, known: Stored, some: Sequence[str], progress: Progress) -> dict[str, FullHistory]:
    wanted = [
        Wanted(number, frozenset(names), known.watermarks[number].offset)
        for number, names in groupby(some, key=known.partition_of.__getitem__)
    ]
    total, read = sum(one.upto + 1 for one in wanted), 0

    def passed(count: int) -> None:
        nonlocal read
        read += count
        progress("reading the log", read, total)

    found: dict[str, FullHistory] = {}
    for one in wanted:
        found |= histories_of_log(place.settings, place.names, one, passed)
    return found


def _healings(
    table: ClickHouse, accounts: Mapping[str, FullHistory], marks: Mapping[str, HealBound]
) -> dict[str, Healing]:
    """By the rows that are stored, each relationship's up to its own mark."""
    told = stored_rows(table, list(marks), max(mark.clock for mark in marks.values()))
    found = {}
    for name, mark in marks.items():
        rows = {at: row for at, row in told.get(name, {}).items() if at <= mark.clock}
        found[name] = healing(name, accounts[name], rows, mark)
    return found


class Wanted(NamedTuple):
    """Relationships of one partition, and the offset up to which it is read."""

    number: int
    relationships: frozenset[str]
    upto: int


def histories_of_log(settings: Settings, names: Topics, wanted: Wanted, passed: Passed) -> dict[str, FullHistory]:
    """Raises LogCutOffError, KafkaError."""
    accounts = {relationship.encode(): FullHistory() for relationship in wanted.relationships}
    partitions = partition_count(settings, names.events)
    for record in records_up_to(settings, Partition(names.events, wanted.number), wanted.upto, passed):
        account = accounts.get(record.key or b"")
        if account is None:
            continue
        event = event_at(record, partitions)
        if not isinstance(event, Refusal | OfPartition):
            account.add(event, position(names.epoch, record.offset))
    return {key.decode(): account for key, account in accounts.items()}


UNDER_WAY = 2_000
"""Records that are under way at once: some MB."""
ACKNOWLEDGED_WITHIN = 20
"""Seconds; the producer itself gives up after 15."""


class HealWriter:
    """Writes the healings of some relationships at a time."""

    def __init__(self, settings: Settings, names: Topics, check: Callable[[], object]) -> None:
        """`check` raises where this heal may write no more."""
        self._names, self._check = names, check
        self._producer = Producer(settings, max_request_size=SCORING_STATE.most_bytes)

    def tell(self, healings: Mapping[str, Healing], partition_of: Mapping[str, int]) -> None:
        """Returns when everything is acknowledged. Raises KafkaError: then the relationships stay stale."""
        # 1. The rows. 2. That they are told: a crash in between repeats them.
        self._acknowledged(self._rows(healings, partition_of))
        self._acknowledged(self._marks(healings, partition_of))

    def close(self) -> None:
        self._producer.close()

    def _rows(self, healings: Mapping[str, Healing], partition_of: Mapping[str, int]) -> Iterator[Sent]:
        for name, found in healings.items():
            for emission in found.emissions:
                value = score_event(emission, "heal")
                yield self._producer.send(self._names.scores, name.encode(), value, partition_of[name], STRUCTURED)

    def _marks(self, healings: Mapping[str, Healing], partition_of: Mapping[str, int]) -> Iterator[Sent]:
        for name, found in healings.items():
            entry = healed_entry(name, found.state, time.time_ns())
            yield self._producer.send(self._names.state, entry.key, entry.value, partition_of[name])

    def _acknowledged(self, sent: Iterable[Sent]) -> None:
        sending = iter(sent)
        self._check()
        while some := list(islice(sending, UNDER_WAY)):
            for acknowledgement in some:
                acknowledgement.get(ACKNOWLEDGED_WITHIN)
            self._check()
