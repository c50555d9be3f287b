"""Reading the log and the changelog from the beginning, for commands that recompute: all relationships, or one, which
is on the partition that its key determines."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from schemas.events import ClockReached, MentoringEvent, OfPartition, ProfileSet
from schemas.primitives import to_micros
from schemas.topics import position
from services.runtime.kafka import Partition, Record, partition_count, partition_of, read_partition, read_to_end
from services.runtime.settings import Settings
from services.scoring.domain.bounds import NONE
from services.scoring.domain.changelog import Recovery
from services.scoring.domain.explaining.known_history import Logged
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.layout import PartitionWatermark, RelationshipState
from services.scoring.domain.profiles import Profiles, Programmes, applied_profiles, programmes_of
from services.scoring.flow.decoding import Refusal, event_at
from services.scoring.topics import Topics


@dataclass(frozen=True)
class Stored:
    """What the workers have acknowledged, by partition."""

    states: Mapping[str, RelationshipState]
    watermarks: Mapping[int, PartitionWatermark]
    clock_of: Mapping[str, int] = field(default_factory=dict)
    partition_of: Mapping[str, int] = field(default_factory=dict)
    programmes: Mapping[int, Programmes] = field(default_factory=dict)
    """The profiles that each partition has applied, by which its rows are scored."""

    @property
    def clock(self) -> int | None:
        """The lowest stored clock: all rows up to it are emitted. None while there is no watermark."""
        return min((watermark.clock for watermark in self.watermarks.values()), default=None)

    @property
    def stale(self) -> list[str]:
        return sorted(name for name, state in self.states.items() if state.is_stale(self.clock_of[name]))


def recovered_partitions(settings: Settings, topics: Topics) -> dict[int, Recovery]:
    """The recovery of each partition with changelog records. Raises KafkaError."""
    found: dict[int, Recovery] = defaultdict(Recovery)
    for record in read_to_end(settings, [topics.state]):
        found[record.partition].add(record.key, record.value)
    for recovery in found.values():
        recovery.finish()
    return found


def stored(settings: Settings, topics: Topics) -> Stored:
    recoveries = recovered_partitions(settings, topics)
    states: dict[str, RelationshipState] = {}
    clock_of: dict[str, int] = {}
    partition_of: dict[str, int] = {}
    for number, recovery in recoveries.items():
        states |= recovery.states
        clock_of |= dict.fromkeys(recovery.states, recovery.watermark.clock)
        partition_of |= dict.fromkeys(recovery.states, number)
    watermarks = {number: recovery.watermark for number, recovery in recoveries.items()}
    programmes = {number: programmes_of(recovery.profiles.values()) for number, recovery in recoveries.items()}
    return Stored(states, watermarks, clock_of, partition_of, programmes)


class LoggedEvent(NamedTuple):
    """An event with its partition, and its position in the order of all."""

    partition: int
    position: int
    event: MentoringEvent


def events_of(records: Iterable[Record], topics: Topics, partitions: int) -> Iterator[LoggedEvent]:
    """Skips records that are no events: they went to the dead letters. `partitions`: of the log."""
    for record in records:
        event = event_at(record, record.partition, partitions)
        if not isinstance(event, Refusal):
            yield LoggedEvent(record.partition, position(topics.epoch, record.offset), event)


def histories_of_events(events: Iterable[LoggedEvent]) -> dict[str, FullHistory]:
    """Of all relationships that have a fact."""
    found: dict[str, FullHistory] = defaultdict(FullHistory)
    for _, log_position, event in events:
        if not isinstance(event, OfPartition):
            found[event.partitionkey].add(event, log_position)
    return {name: history for name, history in found.items() if history.facts}


@dataclass(frozen=True)
class FullLog:
    """The facts of every relationship on the log, and the profiles by which each partition scores."""

    histories: Mapping[str, FullHistory]
    programmes: Mapping[int, Programmes]

    def profiles_of(self, relationship: str, program: str) -> Profiles:
        number = partition_of(relationship.encode(), len(self.programmes))
        return self.programmes[number].of(relationship, program)


def full_log(settings: Settings, topics: Topics, upto: Mapping[int, PartitionWatermark]) -> FullLog:
    """Up to the watermarks."""
    partitions = partition_count(settings, topics.events)
    programmes = {number: Programmes() for number in range(partitions)}

    def applied() -> Iterator[LoggedEvent]:
        every = read_to_end(settings, [topics.events])
        applied_records = (one for one in every if one.partition in upto and one.offset <= upto[one.partition].offset)
        for one in events_of(applied_records, topics, partitions):
            if isinstance(one.event, ProfileSet):
                programmes[one.partition].apply(*applied_profiles(one.event, one.position))
            yield one

    return FullLog(histories_of_events(applied()), programmes)


PROGRESS_EVERY = 5_000
"""Records between two progress reports."""
Passed = Callable[[int], object]
"""Reports how many more records were read."""


class LogCutOffError(Exception):
    """The log has lost its beginning: results computed from it would be wrong."""


def records_up_to(settings: Settings, partition: Partition, upto: int, passed: Passed) -> Iterator[Record]:
    """Up to and including an offset. Raises LogCutOffError, KafkaError."""
    read = NONE
    for record in read_partition(settings, partition):
        if read == NONE and record.offset > 0:
            raise LogCutOffError(
                f"{partition.topic} {partition.number} begins at offset {record.offset}: restore it first"
            )
        if record.offset > upto:
            break
        read = record.offset
        if (read + 1) % PROGRESS_EVERY == 0:
            passed(PROGRESS_EVERY)
        yield record
    passed((read + 1) % PROGRESS_EVERY)


SUGGESTIONS = 5


class UnknownRelationshipError(Exception):
    """The log does not have it, or several tenants do; the message lists similar names."""


@dataclass(frozen=True)
class RelationshipLog:
    """All events of one relationship with their offsets, in log order. `clock`: the instant up to which its score can
    be computed, on the wall clock or on the log's own. `programmes`: as on its partition of the log."""

    relationship: str
    events: Sequence[Logged]
    clock: int
    programmes: Programmes


def read_relationship(settings: Settings, topics: Topics, asked: str, passed: Callable[[], object]) -> RelationshipLog:
    """`asked`: tenant/id, or the id alone; `passed` is called for every record read. Raises UnknownRelationshipError
    and KafkaError."""
    asked = asked if "/" in asked else _full_name(asked, sorted(stored(settings, topics).states))
    key, events, clock, programmes = asked.encode(), list[Logged](), NONE, Programmes()
    partitions = partition_count(settings, topics.events)

    def needed() -> Iterator[Record]:
        for record in read_partition(settings, Partition(topics.events, partition_of(key, partitions))):
            passed()
            # The wall clock needs no other records; the log's clock is the latest recorded time of all of them.
            if record.key in {key, None} or settings.clock == "log":
                yield record

    for _, log_position, event in events_of(needed(), topics, partitions):
        clock = max(clock, to_micros(event.recordedtime))
        if isinstance(event, ProfileSet):
            programmes.apply(*applied_profiles(event, log_position))
        elif not isinstance(event, ClockReached) and event.partitionkey == asked:
            events.append((log_position, event))
    if not events:
        raise UnknownRelationshipError(_unknown(asked, sorted(stored(settings, topics).states)))
    return RelationshipLog(asked, events, clock if settings.clock == "log" else time.time_ns() // 1000, programmes)


def _full_name(asked: str, known: Sequence[str]) -> str:
    of_that_id = [name for name in known if _id(name) == asked]
    if len(of_that_id) > 1:
        tenants = ", ".join(of_that_id)
        raise UnknownRelationshipError(f"more than one tenant has {asked}: {tenants}; name one of them")
    if not of_that_id:
        raise UnknownRelationshipError(_unknown(asked, known))
    return of_that_id[0]


def _unknown(asked: str, known: Sequence[str]) -> str:
    if not known:
        return f"there is no relationship {asked} on the log, and scoring has seen none yet"
    near = get_close_matches(_id(asked), {_id(name) for name in known}, SUGGESTIONS)
    suggestions = [name for name in known if _id(name) in near]
    hint = f"; did you mean {' or '.join(suggestions)}?" if suggestions else f"; scoring knows {len(known)} others"
    return f"there is no relationship {asked} on the log{hint}"


def _id(name: str) -> str:
    return name.rpartition("/")[2]
