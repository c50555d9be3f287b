"""`rapport scoring repartition`: the steps in order, each of which may be repeated after a crash. The log is copied
record by record, from each old partition to its new ones, together with the state of notify.

An old partition always yields the same sequence of records for a new one. So an interrupted copy continues behind the
existing records, and at the end the digest of the expected records is compared with that of the copy. The states of the
new partitions are rebuilt from their log; each is compared with the old state."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from schemas.topics import SCORING_STATE
from services.runtime.kafka import (
    Committed,
    Partition,
    Producer,
    Reader,
    Record,
    Sent,
    await_acknowledged,
    create_topics,
    open_reader,
    partition_count,
    partition_of,
    read_partition,
    read_to_end,
)
from services.runtime.kafka.admin import delete_topics, existing, replicas, seal, unseal
from services.runtime.settings import Settings
from services.scoring.domain.changelog import WATERMARK, Recovery, programme_entry, state_entry, watermark_entry
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.layout import RelationshipState
from services.scoring.domain.maintenance import PartitionSplit, StateMismatch, carry_watermark, repartitioned
from services.scoring.flow.log_reading import events_of, histories_of_events, recovered_partitions
from services.scoring.flow.repartition.plan import (
    Advance,
    NotRepartitionedError,
    Repartitioning,
    StartProgress,
    problems,
)

OF_PARTITION = b"\0"
"""Key prefix of records that belong to a partition, not to a relationship; records without a key do too."""


class Digest:
    """Of a sequence of records; equal for the same records in the same order."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = hashlib.blake2b()

    def add(self, record: Record) -> None:
        self.count += 1
        parts = (record.key, record.value, repr((record.headers, record.timestamp_ms)).encode())
        for part in parts:
            self._hash.update(b"-" if part is None else b"%d:%b" % (len(part), part))

    @property
    def value(self) -> tuple[int, bytes]:
        return self.count, self._hash.digest()


def children_of(key: bytes | None, number: int, split: PartitionSplit) -> Sequence[int]:
    """The new partitions of a record of an old one. Raises NotRepartitionedError if its key does not belong to the old
    partition."""
    if key is None or key.startswith(OF_PARTITION):
        return split.children(number)
    child = partition_of(key, split.new)
    if child not in split.children(number):
        raise NotRepartitionedError(
            f"partition {number} holds the key {key.decode(errors='replace')!r}, which murmur2 puts elsewhere: "
            "another partitioner wrote this log"
        )
    return (child,)


def copy_partition(
    settings: Settings, source: Partition, target: str, split: PartitionSplit, advance: Advance
) -> dict[int, Digest]:
    """Returns the digest that each new partition has now, unless others wrote to it. Raises KafkaError and
    NotRepartitionedError."""
    number = source.number
    expected = {child: Digest() for child in split.children(number)}
    with closing(Reader(settings, group=None)) as reader:
        there = reader.end_offsets([Partition(target, child) for child in expected])

    def copies() -> Iterator[Sent]:
        for record in read_partition(settings, source):
            of_relationship = record.key is not None and not record.key.startswith(OF_PARTITION)
            # Every reader refuses a record on a partition that does not match its key. It stays refused: all new
            # partitions of this one are wrong for it, too.
            is_misplaced = of_relationship and partition_of(record.key or b"", split.old) != number
            for child in split.children(number)[:1] if is_misplaced else children_of(record.key, number, split):
                target_partition = Partition(target, child)
                expected[child].add(record)
                if expected[child].count > there[target_partition]:
                    yield producer.copy(record, target_partition)
            advance(1)

    with closing(Producer(settings)) as producer:
        await_acknowledged(copies())
    return expected


CompactedTopic = Mapping[int, Mapping[bytes, bytes]]
"""By partition, the value of every key of a compacted topic."""


def copy_alert_state(settings: Settings, repartitioning: Repartitioning, split: PartitionSplit) -> None:
    """Idempotent. Raises KafkaError, NotRepartitionedError."""
    target = repartitioning.new.alert_state
    expected: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for number, values in _compacted(settings, repartitioning.old.alert_state).items():
        for key, value in values.items():
            for child in children_of(key, number, split):
                expected[child][key] = value
    with closing(Producer(settings)) as producer:
        await_acknowledged(
            producer.send(target, *item, child) for child, values in expected.items() for item in values.items()
        )
    if _compacted(settings, target) != expected:
        raise NotRepartitionedError(f"{target} is not what was copied: another producer writes to it")


def _compacted(settings: Settings, topic: str) -> CompactedTopic:
    kept: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for record in read_to_end(settings, [topic], isolation_level="read_committed"):
        assert record.key is not None, "a compacted topic has keys"
        if record.value is None:
            kept[record.partition].pop(record.key, None)
        else:
            kept[record.partition][record.key] = record.value
    return {number: values for number, values in kept.items() if values}


@dataclass(frozen=True)
class Repartitioned:
    """The content of the new log."""

    records: int
    relationships: int


def rebuild_states(
    settings: Settings,
    repartitioning: Repartitioning,
    recovered: Mapping[int, Recovery],
    expected: Mapping[int, Digest],
    start_progress: StartProgress,
) -> Repartitioned:
    """Rebuild the states of the new partitions from their logs. `recovered`: the old partitions; `expected`: the digest
    of each new one. Raises NotRepartitionedError where a new partition differs from what was copied, KafkaError."""
    topics, records, relationships = repartitioning.new.topics, sum(digest.count for digest in expected.values()), 0
    advance = start_progress("rebuilding the states", records)

    def reread(child: int, digest: Digest) -> Iterator[Record]:
        for record in read_partition(settings, Partition(topics.events, child)):
            digest.add(record)
            yield record
            advance(1)

    for child, digest in expected.items():
        read = Digest()
        histories = histories_of_events(events_of(reread(child, read), topics, len(expected)))
        if read.value != digest.value:
            raise NotRepartitionedError(f"{topics.events} {child} is not what was copied: --abandon it and begin again")
        old, generation = recovered[child % len(recovered)], time.time_ns()
        states = _rebuilt_states(
            {n: s for n, s in old.states.items() if partition_of(n.encode(), len(expected)) == child}, histories
        )
        # The watermark comes last: it states that everything is there.
        entries = chain(
            (state_entry(name, generation, state) for name, state in states.items()),
            (programme_entry(generation, applied) for applied in old.profiles.values()),
            [watermark_entry(generation, carry_watermark(old.watermark, digest.count - 1))],
        )
        repartitioning.check()
        with closing(Producer(settings, max_request_size=SCORING_STATE.most_bytes)) as producer:
            await_acknowledged(producer.send(topics.state, entry.key, entry.value, child) for entry in entries)
        relationships += len(states)
    return Repartitioned(records, relationships)


def _rebuilt_states(
    old: Mapping[str, RelationshipState], histories: Mapping[str, FullHistory]
) -> dict[str, RelationshipState]:
    """Raises NotRepartitionedError where log and state differ: any later rebuild would lose the difference."""
    states: dict[str, RelationshipState] = {}
    for name in old.keys() | histories.keys():
        state = repartitioned(old.get(name, RelationshipState()), histories.get(name, FullHistory()))
        if isinstance(state, StateMismatch):
            raise NotRepartitionedError(
                f"{name}: of its state {state.state_only} facts are not on the log, of the log {state.log_only} not in "
                "its state; a log that has lost records must be restored before it grows"
            )
        states[name] = state
    return states


def repartition(
    settings: Settings, repartitioning: Repartitioning, partitions: int, start_progress: StartProgress
) -> Repartitioned:
    """After a crash the same call continues where it stopped. Raises NotRepartitionedError and KafkaError."""
    old, new, check = repartitioning.old, repartitioning.new, repartitioning.check
    source, target = old.topics.events, new.topics.events
    split = PartitionSplit(partition_count(settings, source), partitions)
    if problem := split.problem or _conflict_with_begun(settings, repartitioning, split):
        raise NotRepartitionedError(problem)
    # 1. No consumer is running, and everything is read.
    found = recovered_partitions(settings, old.topics)
    # Includes partitions for which nothing was ever stored.
    recovered = {number: found[number] for number in range(split.old)}
    if faults := problems(settings, repartitioning, recovered):
        raise NotRepartitionedError("\n  ".join(["not yet:", *faults]))
    check()
    # 2. From here on the old log is sealed. Records that came in just before are found now.
    seal(settings, list(old.target_topics))
    if faults := problems(settings, repartitioning, recovered):
        if not existing(settings, list(new.target_topics)):
            unseal(settings, {name: topic.most_bytes for name, topic in old.target_topics.items()})
        raise NotRepartitionedError("\n  ".join(["not yet:", *faults]))
    # 3. The new topics.
    check()
    create_topics(settings, new.options(partitions, replicas(settings, source)))
    # 4. The log.
    with open_reader(settings, [source]) as reader:
        source_partitions = sorted(reader.assignment())
        total = sum(reader.end_offsets(source_partitions).values()) - sum(
            reader.beginning_offsets(source_partitions).values()
        )
    advance, expected = start_progress("copying the log", total), dict[int, Digest]()
    for target_partition in source_partitions:
        check()
        expected |= copy_partition(settings, target_partition, target, split, advance)
    # 5. The state of other services. Groups that have read the old log continue behind the copies.
    copy_alert_state(settings, repartitioning, split)
    for group in (group for group, topics in repartitioning.readers.items() if source in topics):
        with closing(Reader(settings, group)) as reader:
            reader.assign([target])
            reader.commit({Partition(target, child): Committed(digest.count) for child, digest in expected.items()})
    # 6. The states, from the copied log. The last watermark completes the repartition.
    return rebuild_states(settings, repartitioning, recovered, expected, start_progress)


def _conflict_with_begun(settings: Settings, repartitioning: Repartitioning, split: PartitionSplit) -> str | None:
    """Why an earlier, interrupted repartition cannot be continued; None: it can, or there is none."""
    topics = repartitioning.new.topics
    if not existing(settings, [topics.events]):
        return None
    if (begun := partition_count(settings, topics.events)) != split.new:
        return f"{topics.events} was begun with {begun} partitions: go on with those, or --abandon it"
    if is_repartitioned(settings, repartitioning):
        return f"it has grown: set RAPPORT_LOG_EPOCH={topics.epoch} for every service and command"
    return None


def abandon(settings: Settings, repartitioning: Repartitioning) -> list[str]:
    """Delete the new topics and unseal the old log; returns the deleted topics. Raises NotRepartitionedError,
    KafkaError."""
    begun = existing(settings, [*repartitioning.new.target_topics, *repartitioning.new.projections])
    if is_repartitioned(settings, repartitioning):
        raise NotRepartitionedError("the log has grown, and services may have worked on it: it is not given up")
    if begun:
        delete_topics(settings, begun)
    unseal(settings, {name: topic.most_bytes for name, topic in repartitioning.old.target_topics.items()})
    return begun


def is_repartitioned(settings: Settings, repartitioning: Repartitioning) -> bool:
    """Whether every partition of the new log has its states."""
    topics = repartitioning.new.topics
    if len(existing(settings, list(repartitioning.new.target_topics))) < len(repartitioning.new.target_topics):
        return False
    finished = [one for one in recovered_partitions(settings, topics).values() if WATERMARK in one.generations]
    return len(finished) == partition_count(settings, topics.events)
