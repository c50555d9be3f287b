"""Reading: consumers that commit by hand, and topics read to their end."""

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

from services.runtime.kafka.connecting import BrokerUnreachableError, ask_for_topics_at_once, client_options
from services.runtime.kafka.records import (
    Committed,
    FetchedRecords,
    Partition,
    Record,
    offsets_and_metadata,
    topic_partition,
)
from services.runtime.settings import Settings

ANSWER_SECONDS = 15.0
"""What a broker has not answered within this it will not answer: some questions of kafka-python would wait for ever."""
SILENT_SECONDS = 60.0
"""Who reads up to an end gives up where nothing of it has come for so long."""
WAITING_FETCH_MS = 1_000
"""So long the broker keeps a fetch open for which it has nothing. Whoever waits for news most of the time, as a member
of a group does, asks seldom: every empty answer costs it and the broker a millisecond."""
ASKING_FETCH_MS = 100
"""For whoever asks between polls, since the answer comes after that of the fetch: the connection is the same."""
POLL_SECONDS = 0.5
"""A record ends the wait at once; a stop waits for it."""


class Reader:
    """A consumer that commits by hand, for one thread. With `assign` it reads what it is told and shares with nobody;
    with `subscribe` it is a member of its group."""

    def __init__(self, settings: Settings, group: str | None, **options: Any) -> None:  # noqa: ANN401
        defaults: dict[str, Any] = {
            "group_id": group,
            "group_instance_id": f"{group}-{settings.instance}" if settings.instance and group else None,
            # So long the partitions of a dead member wait for it; under an instance name it takes them up at once.
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
        ask_for_topics_at_once(self._client._cluster)  # noqa: SLF001 (there is no public way)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Joins the group with the next poll. Raises KafkaError if a topic does not exist."""
        self._client.subscribe(list(topics))
        # A member that joins before it knows the partitions shares out none. It joins again when it knows them, but if
        # it dies in between, its successor under the same instance name is handed the same nothing, for good.
        for topic in topics:
            self._partition_numbers(topic)

    def assign(self, topics: Sequence[str]) -> list[Partition]:
        """Takes every partition of the topics. Raises KafkaError if one does not exist."""
        partitions = [Partition(t, n) for t in topics for n in sorted(self._partition_numbers(t))]
        self._client.assign(list(map(topic_partition, partitions)))
        return partitions

    def take(self, partitions: Sequence[Partition]) -> None:
        """Takes these partitions and no others."""
        self._client.assign(list(map(topic_partition, partitions)))

    def partition_count(self, topic: str) -> int:
        """Raises KafkaError if the topic does not exist."""
        return len(self._partition_numbers(topic))

    def _partition_numbers(self, topic: str) -> set[int]:
        # Asked twice: kafka-python may take the answer to its own earlier question, about no topics, for this one's. If
        # that was about a topic that does not exist, it raises the answer here.
        for _ in range(2):
            with suppress(UnknownTopicOrPartitionError):
                if numbers := self._client.partitions_for_topic(topic):
                    return set(numbers)
        raise KafkaError(f"there is no topic {topic}: run `rapport topics create`")

    def assignment(self) -> set[Partition]:
        return {Partition(tp.topic, tp.partition) for tp in self._client.assignment()}

    def poll(self, timeout: float, most: int | None = None) -> dict[Partition, list[Record]]:
        """What has arrived, by partition, in offset order; empty after `timeout` seconds."""
        # A poll that ends in the middle of a join leaves it to the next one. Where new metadata was the cause of the
        # join, kafka-python (3.0.12) does not go on with it: Java's `rejoinNeededOrPending` asks for a join under way,
        # its `need_rejoin` does not. The member would stay without partitions and heartbeats for ever.
        if self._client.group_metadata().state == MemberState.REBALANCING:
            self._client._coordinator.request_rejoin()  # noqa: SLF001 (there is no public way)
        # What was fetched of a partition before it was paused kafka-python (3.0.12) keeps aside, fetches no more of it
        # meanwhile, and takes it up again only where nothing else lies in its one place for the next records. There the
        # last ones of another partition stay when they have been handed out: the partition would stand still for ever.
        # Without what is kept aside, it is fetched again from its position.
        parked = self._client._fetcher._paused_partition_records  # noqa: SLF001 (there is no public way)
        for tp in parked.keys() - self._client.paused():
            del parked[tp]
        polled = self._client.poll(timeout_ms=round(timeout * 1000), max_records=most)
        return {Partition(tp.topic, tp.partition): records for tp, records in polled.items() if records}

    def up_to(self, ends: Mapping[Partition, int]) -> Iterator[dict[Partition, list[Record]]]:
        """Poll by poll, with whatever lies beyond the ends, until each of these partitions is read up to its own.
        Raises BrokerUnreachableError: whoever waited for a broker that is away would wait for ever, without a word."""
        heard, before = time.monotonic(), dict[Partition, int]()
        while behind := {one: at for one, end in ends.items() if (at := self.position(one)) < end}:
            if behind != before:
                heard, before = time.monotonic(), behind
            elif time.monotonic() - heard > SILENT_SECONDS:
                (partition, at), *others = behind.items()
                more = f" and {len(others)} more" if others else ""
                raise BrokerUnreachableError(
                    f"nothing of {partition.topic} {partition.number}{more} has come for {SILENT_SECONDS:g} s: "
                    f"it is read up to {at}, its end is {ends[partition]}"
                )
            found = self.poll(POLL_SECONDS)
            yield found
            if found:
                # Also of another partition. What whoever reads made of it may have taken long.
                heard = time.monotonic()

    def position(self, partition: Partition) -> int:
        """Raises BrokerUnreachableError."""
        found = self._client.position(topic_partition(partition), timeout_ms=round(ANSWER_SECONDS * 1000))
        if found is None:
            raise _not_told(f"where to read {partition.topic} {partition.number}")
        return int(found)

    def seek(self, partition: Partition, offset: int) -> None:
        self._client.seek(topic_partition(partition), offset)

    def pause(self, partitions: Sequence[Partition]) -> None:
        self._client.pause(*map(topic_partition, partitions))

    def resume(self, partitions: Sequence[Partition]) -> None:
        self._client.resume(*map(topic_partition, partitions))

    def committed(self, partition: Partition) -> Committed | None:
        """Raises BrokerUnreachableError."""
        asked, patience = topic_partition(partition), round(ANSWER_SECONDS * 1000)
        try:
            found = self._client.committed(asked, metadata=True, timeout_ms=patience)
        except KafkaTimeoutError as late:
            raise _not_told(f"how far {partition.topic} {partition.number} is done") from late
        return None if found is None else Committed(found.offset, found.metadata or "")

    def behind(self, ends: Mapping[Partition, int]) -> int:
        """Records before these ends that the group has not committed. Each partition for itself: one that is further by
        now makes up for no other. Raises BrokerUnreachableError."""
        done = {partition: self.committed(partition) for partition in ends}
        return sum(max(0, end - (found.offset if (found := done[one]) else 0)) for one, end in ends.items())

    def commit(self, offsets: Mapping[Partition, Committed]) -> bool:
        """False during a rebalance: afterwards the partitions are still ours, or their new owner repeats the work."""
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
        """Of the first record that is not older than so many milliseconds since 1970; None if all are."""
        asked = topic_partition(partition)
        found = self._client.offsets_for_times({asked: since_ms})[asked]
        return None if found is None else int(found.offset)

    def lag(self) -> int:
        """Records between what was read and the end of the assigned partitions, as the last fetches told; before the
        first fetch the broker is asked."""
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
def reading(settings: Settings, topics: Sequence[str], **options: Any) -> Iterator[Reader]:  # noqa: ANN401
    """A reader without a group, at the beginning of every partition of the topics."""
    reader = Reader(settings, group=None, **options)
    try:
        partitions = reader.assign(topics)
        for partition, offset in reader.beginning_offsets(partitions).items():
            reader.seek(partition, offset)
        yield reader
    finally:
        reader.close()


def read_to_end(settings: Settings, topics: Sequence[str], **options: Any) -> Iterator[Record]:  # noqa: ANN401
    """Every record from the beginning up to the end as it is at the call, partition by partition as they arrive."""
    with reading(settings, topics, **options) as reader:
        ends = reader.end_offsets(sorted(reader.assignment()))
        for polled in reader.up_to(ends):
            for partition, records in polled.items():
                yield from (record for record in records if record.offset < ends[partition])


def partition_count(settings: Settings, topic: str) -> int:
    """Raises KafkaError if the topic does not exist."""
    with closing(Reader(settings, group=None)) as reader:
        return reader.partition_count(topic)


def newest_of_keys(records: Iterable[Record], most: int = 100_000) -> Iterator[Record]:
    """Of compacted topics, read to their ends, the newest record of each key: compaction lags far behind, and what it
    will remove need not be understood. Holds the bytes of at most so many keys; beyond that an older record of a key
    may come before its newest. Records come in the order of their partitions."""
    held: dict[tuple[str, int, bytes | None], Record] = {}
    for record in records:
        place = (record.topic, record.partition, record.key)
        held.pop(place, None)
        held[place] = record
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
    """Every record of one partition that is not older than so many milliseconds since 1970, up to the end as it is at
    the call."""
    with closing(Reader(settings, group=None, **options)) as reader:
        reader.take([partition])
        end = reader.end_offsets([partition])[partition]
        first = reader.offset_at(partition, since_ms)
        reader.seek(partition, end if first is None else first)
        for polled in reader.up_to({partition: end}):
            yield from (record for record in polled.get(partition, ()) if record.offset < end)


def _not_told(what: str) -> BrokerUnreachableError:
    return BrokerUnreachableError(f"the broker has not told {what} within {ANSWER_SECONDS:g} s")
