"""Consumers with manual commits, and functions that read topics to their end."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from kafka import KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    KafkaError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import MemberState

from services.runtime.kafka.connecting import BrokerUnreachableError, client_options, request_metadata_at_once
from services.runtime.kafka.records import (
    Committed,
    FetchedRecords,
    Partition,
    Record,
    offsets_and_metadata,
    topic_partition,
)
from services.runtime.progress import note_progress
from services.runtime.settings import Settings

ANSWER_SECONDS = 15.0
"""Timeout for an answer of the broker: some calls of kafka-python would otherwise wait for ever."""
SILENT_SECONDS = 60.0
"""Reading up to an end offset fails after this long without progress."""
WAITING_FETCH_MS = 1_000
"""How long the broker holds a fetch that finds no records. A group member waits most of the time, so it polls rarely:
every empty response costs it and the broker a millisecond."""
ASKING_FETCH_MS = 100
"""For readers that send other requests between polls: their answers queue behind the fetch on the same connection."""
POLL_SECONDS = 0.5
"""Bounds how long a loop needs to notice a stop; a record ends the poll at once."""


class Reader:
    """A consumer with manual commits, for one thread. After `assign` it reads the given partitions without a group;
    after `subscribe` it is a member of its group."""

    def __init__(self, settings: Settings, group: str | None, **options: Any) -> None:  # noqa: ANN401
        defaults: dict[str, Any] = {
            "group_id": group,
            "group_instance_id": f"{group}-{settings.instance}" if settings.instance and group else None,
            # A dead member's partitions stay unassigned this long; a member with the same instance name resumes at
            # once.
            "session_timeout_ms": 10_000,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_poll_records": 5_000,
            "fetch_max_wait_ms": WAITING_FETCH_MS if group else ASKING_FETCH_MS,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
        }
        self._client = KafkaConsumer(**(client_options(settings) | defaults | options))
        self._client._fetcher.PartitionRecords = FetchedRecords  # noqa: SLF001 (there is no public way)
        request_metadata_at_once(self._client._cluster)  # noqa: SLF001 (there is no public way)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Join the group with the next poll. Raises KafkaError if a topic does not exist."""
        self._client.subscribe(list(topics))
        # A leader that joins before it knows the partitions assigns none. It rejoins when it knows them, but if it dies
        # in between, its successor under the same instance name keeps the empty assignment for good.
        for topic in topics:
            self._partition_numbers(topic)

    def assign(self, topics: Sequence[str]) -> list[Partition]:
        """Assign every partition of the topics. Raises KafkaError if a topic does not exist."""
        partitions = [Partition(t, n) for t in topics for n in sorted(self._partition_numbers(t))]
        self._client.assign(list(map(topic_partition, partitions)))
        return partitions

    def assign_partitions(self, partitions: Sequence[Partition]) -> None:
        """Assign exactly these partitions."""
        self._client.assign(list(map(topic_partition, partitions)))

    def partition_count(self, topic: str) -> int:
        """Raises KafkaError if the topic does not exist."""
        return len(self._partition_numbers(topic))

    def _partition_numbers(self, topic: str) -> set[int]:
        # Asked twice: kafka-python may take the response to its own earlier metadata request, which listed no topics,
        # for this one's. If that response concerned a missing topic, it raises the error here.
        for _ in range(2):
            with suppress(UnknownTopicOrPartitionError):
                if numbers := self._client.partitions_for_topic(topic):
                    return set(numbers)
        raise KafkaError(f"there is no topic {topic}: run `rapport topics create`")

    def assignment(self) -> set[Partition]:
        return {Partition(tp.topic, tp.partition) for tp in self._client.assignment()}

    def poll(self, timeout: float, most: int | None = None) -> dict[Partition, list[Record]]:
        """Return the records that arrived, by partition and in offset order; empty after `timeout` seconds."""
        # A poll that ends during a join leaves the join to the next poll. If new metadata caused the join, kafka-python
        # (3.0.12) does not continue it: Java's `rejoinNeededOrPending` includes a pending join, its `need_rejoin` does
        # not. The member would stay without partitions and heartbeats for ever.
        if self._client.group_metadata().state == MemberState.REBALANCING:
            self._client._coordinator.request_rejoin()  # noqa: SLF001 (there is no public way)
        # kafka-python (3.0.12) parks records that were fetched before their partition was paused, and fetches no more
        # of it meanwhile. It takes them up again only if its single slot for the next records is empty, but the last
        # records of another partition stay in that slot after they were returned: the partition would stall for ever.
        # Without the parked records, it is fetched again from its position.
        parked = self._client._fetcher._paused_partition_records  # noqa: SLF001 (there is no public way)
        for tp in parked.keys() - self._client.paused():
            del parked[tp]
        polled = self._client.poll(timeout_ms=round(timeout * 1000), max_records=most)
        found = {Partition(tp.topic, tp.partition): records for tp, records in polled.items() if records}
        if found:
            # A turn of a loop may read long stretches of the log. Polls that return nothing are no progress.
            note_progress()
        return found

    def poll_until(self, ends: Mapping[Partition, int]) -> Iterator[dict[Partition, list[Record]]]:
        """Yield poll by poll until each partition is read up to its end; later records may be included. Raises
        BrokerUnreachableError if nothing arrives any more: a caller would otherwise wait silently for ever."""
        progressed_at, before = time.monotonic(), dict[Partition, int]()
        while behind := {one: at for one, end in ends.items() if (at := self.position(one)) < end}:
            if behind != before:
                progressed_at, before = time.monotonic(), behind
            elif time.monotonic() - progressed_at > SILENT_SECONDS:
                (partition, at), *others = behind.items()
                more = f" and {len(others)} more" if others else ""
                raise BrokerUnreachableError(
                    f"nothing of {partition.topic} {partition.number}{more} has come for {SILENT_SECONDS:g} s: "
                    f"it is read up to {at}, its end is {ends[partition]}"
                )
            found = self.poll(POLL_SECONDS)
            yield found
            if found:
                # Progress of another partition counts. The caller may also have taken long with the records.
                progressed_at = time.monotonic()

    def position(self, partition: Partition) -> int:
        """Raises BrokerUnreachableError."""
        found = self._client.position(topic_partition(partition), timeout_ms=round(ANSWER_SECONDS * 1000))
        if found is None:
            raise _no_answer(f"where to read {partition.topic} {partition.number}")
        return int(found)

    def seek(self, partition: Partition, offset: int) -> None:
        self._client.seek(topic_partition(partition), offset)

    def pause(self, partitions: Sequence[Partition]) -> None:
        self._client.pause(*map(topic_partition, partitions))

    def resume(self, partitions: Sequence[Partition]) -> None:
        self._client.resume(*map(topic_partition, partitions))

    def committed(self, partition: Partition) -> Committed | None:
        """Raises BrokerUnreachableError."""
        asked, timeout_ms = topic_partition(partition), round(ANSWER_SECONDS * 1000)
        try:
            found = self._client.committed(asked, metadata=True, timeout_ms=timeout_ms)
        except KafkaTimeoutError as late:
            raise _no_answer(f"how far {partition.topic} {partition.number} is done") from late
        return None if found is None else Committed(found.offset, found.metadata or "")

    def group_lag(self, ends: Mapping[Partition, int]) -> int:
        """Return how many records before these ends the group has not committed. A partition that is further than its
        end does not offset another one. Raises BrokerUnreachableError."""
        done = {partition: self.committed(partition) for partition in ends}
        return sum(max(0, end - (found.offset if (found := done[one]) else 0)) for one, end in ends.items())

    def commit(self, offsets: Mapping[Partition, Committed]) -> bool:
        """Return False during a rebalance: then we still own the partitions, or their new owner repeats the work."""
        try:
            self._client.commit(offsets_and_metadata(offsets), timeout_ms=15_000)
        except (CommitFailedError, RebalanceInProgressError):
            return False
        return True

    def end_offsets(self, partitions: Sequence[Partition], timeout: float = 15) -> dict[Partition, int]:
        found = self._client.end_offsets(list(map(topic_partition, partitions)), timeout_ms=round(timeout * 1000))
        return {Partition(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def beginning_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        found = self._client.beginning_offsets(list(map(topic_partition, partitions)), timeout_ms=15_000)
        return {Partition(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def offset_at(self, partition: Partition, since_ms: int) -> int | None:
        """Return the offset of the first record not older than `since_ms` (since 1970), or None if all are older."""
        asked = topic_partition(partition)
        found = self._client.offsets_for_times({asked: since_ms})[asked]
        return None if found is None else int(found.offset)

    def lag(self) -> int:
        """Return the number of unread records of the assigned partitions, by the high watermarks of the last fetches;
        before the first fetch the broker is asked."""
        assigned = self._client.assignment()
        ends = {tp: self._client.highwater(tp) for tp in assigned}
        unknown = [tp for tp, end in ends.items() if end is None]
        if unknown:
            ends |= self._client.end_offsets(unknown, timeout_ms=15_000)
        return sum(max(0, end - self.position(Partition(tp.topic, tp.partition))) for tp, end in ends.items())

    def group_metadata(self) -> Any:  # noqa: ANN401 (kafka-python's own token for send_offsets_to_transaction)
        return self._client.group_metadata()

    def close(self) -> None:
        self._client.close(autocommit=False)


@contextmanager
def open_reader(settings: Settings, topics: Sequence[str], **options: Any) -> Iterator[Reader]:  # noqa: ANN401
    """Open a reader without a group at the beginning of every partition of the topics."""
    reader = Reader(settings, group=None, **options)
    try:
        partitions = reader.assign(topics)
        for partition, offset in reader.beginning_offsets(partitions).items():
            reader.seek(partition, offset)
        yield reader
    finally:
        reader.close()


def read_to_end(settings: Settings, topics: Sequence[str], **options: Any) -> Iterator[Record]:  # noqa: ANN401
    """Yield every record from the beginning up to the end at the time of the call, as the partitions arrive."""
    with open_reader(settings, topics, **options) as reader:
        ends = reader.end_offsets(sorted(reader.assignment()))
        for polled in reader.poll_until(ends):
            for partition, records in polled.items():
                yield from (record for record in records if record.offset < ends[partition])


def partition_count(settings: Settings, topic: str) -> int:
    """Raises KafkaError if the topic does not exist."""
    with closing(Reader(settings, group=None)) as reader:
        return reader.partition_count(topic)


def latest_by_key(records: Iterable[Record], most: int = 100_000) -> Iterator[Record]:
    """Yield the newest record of each key of compacted topics that are read to their ends. Compaction lags far behind,
    and records that it will remove need not be readable. Holds the records of at most `most` keys; beyond that, an
    older record of a key may be yielded before its newest. Records keep the order of their partitions."""
    held: dict[tuple[str, int, bytes | None], Record] = {}
    for record in records:
        identity = (record.topic, record.partition, record.key)
        held.pop(identity, None)
        held[identity] = record
        if len(held) >= most:
            yield from held.values()
            held.clear()
    yield from held.values()


def read_partition(
    settings: Settings,
    partition: Partition,
    since_ms: int = 0,
    **options: Any,  # noqa: ANN401
) -> Iterator[Record]:
    """Yield every record of one partition not older than `since_ms` (since 1970), up to the end at the call."""
    with closing(Reader(settings, group=None, **options)) as reader:
        reader.assign_partitions([partition])
        end = reader.end_offsets([partition])[partition]
        first = reader.offset_at(partition, since_ms)
        reader.seek(partition, end if first is None else first)
        for polled in reader.poll_until({partition: end}):
            yield from (record for record in polled.get(partition, ()) if record.offset < end)


def _no_answer(what: str) -> BrokerUnreachableError:
    return BrokerUnreachableError(f"the broker has not told {what} within {ANSWER_SECONDS:g} s")
