"""How a group member gets its partitions, on the real broker."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from kafka import KafkaAdminClient

from deploy.local.kafka import LocalKafka
from services.runtime.kafka import (
    KafkaError,
    Partition,
    Producer,
    Reader,
    Record,
    create_topics,
    latest_by_key,
    read_to_end,
)
from services.runtime.kafka import reader as reading
from services.runtime.settings import Settings

LONGEST_WAIT_SECONDS = 60
# A poll of a millisecond ends in the middle of every join.
SHORT_POLL_SECONDS = 0.001


@pytest.fixture
def settings(local_kafka: LocalKafka) -> Settings:
    return Settings(kafka=local_kafka.bootstrap)


@pytest.fixture
def topic(settings: Settings) -> str:
    """Creates a topic of one partition."""
    name = f"reader-{uuid.uuid4().hex[:8]}"
    create_topics(settings, {name: {"num_partitions": 1, "replication_factor": 1, "configs": {}}})
    return name


@pytest.fixture
def member(settings: Settings, topic: str) -> Iterator[Reader]:
    """A reader of a new group, which notices new partitions at once."""
    with closing(Reader(settings, f"group-of-{topic}", metadata_max_age_ms=200)) as reader:
        reader.subscribe([topic])
        yield reader


def test_the_first_member_of_a_group_assigns_every_partition_when_it_first_joins(member: Reader, topic: str) -> None:
    poll_until(member, {Partition(topic, 0)}, seconds=1.0)

    assert member.group_metadata().generation_id == 1


def test_a_join_continues_when_polls_end_in_its_middle(member: Reader, topic: str) -> None:
    poll_until(member, {Partition(topic, 0)}, SHORT_POLL_SECONDS)


def test_a_join_for_new_partitions_continues_when_polls_end_in_its_middle(
    member: Reader, topic: str, settings: Settings
) -> None:
    poll_until(member, {Partition(topic, 0)}, SHORT_POLL_SECONDS)

    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka)) as admin:
        admin.create_partitions({topic: 2})

    poll_until(member, {Partition(topic, 0), Partition(topic, 1)}, SHORT_POLL_SECONDS)


MANY, FEW = 2_000, 100
"""The records of a partition, which one fetch returns, and the records that one poll returns."""


@pytest.fixture
def two_full(settings: Settings) -> list[Partition]:
    """Creates a topic of two partitions with records in both."""
    name = f"reader-{uuid.uuid4().hex[:8]}"
    create_topics(settings, {name: {"num_partitions": 2, "replication_factor": 1, "configs": {}}})
    with closing(Producer(settings)) as producer:
        for number in (0, 1):
            for value in range(MANY):
                producer.send(name, None, str(value).encode(), partition=number)
        producer.flush(30)
    return [Partition(name, 0), Partition(name, 1)]


@pytest.fixture
def paused(settings: Settings, two_full: list[Partition]) -> Iterator[tuple[Reader, dict[Partition, int]]]:
    """Returns a reader that has paused a partition after some records of a fetch, and has read the other partition to
    its end; and the offsets that it has reached."""
    with closing(Reader(settings, group=None, max_poll_records=FEW)) as reader:
        reader.assign_partitions(two_full)
        first = next(iter(read_on(reader, {}, bool)))
        reader.pause([first])
        (other,) = {*two_full} - {first}
        reached = read_on(reader, {}, lambda reached: reached.get(other) == MANY)
        assert first not in reached
        yield reader, {first: reader.position(first), other: MANY}


def test_a_partition_that_was_paused_during_a_fetch_continues_when_it_is_resumed(
    paused: tuple[Reader, dict[Partition, int]],
) -> None:
    reader, reached = paused
    first = min(reached, key=lambda partition: reached[partition])

    reader.resume([first])

    assert read_on(reader, reached, lambda reached: reached[first] == MANY)[first] == MANY


def test_a_partition_that_was_revoked_while_paused_is_read_when_it_is_reassigned(
    paused: tuple[Reader, dict[Partition, int]],
) -> None:
    reader, reached = paused
    first = min(reached, key=lambda partition: reached[partition])
    (other,) = {*reached} - {first}
    reader.assign_partitions([other])
    reader.poll(0.1)

    reader.assign_partitions([first, other])
    reader.seek(first, 0)
    reader.seek(other, MANY)

    assert read_on(reader, {first: 0}, lambda reached: reached[first] == MANY)[first] == MANY


def read_on(
    reader: Reader, reached: dict[Partition, int], enough: Callable[[dict[Partition, int]], bool]
) -> dict[Partition, int]:
    """Polls until these offsets are reached; no record is skipped or read twice."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not enough(reached):
        assert time.monotonic() < deadline, f"it stands at {reached}"
        for partition, records in reader.poll(0.1).items():
            begin = reached.get(partition, 0)
            assert [record.offset for record in records] == list(range(begin, begin + len(records)))
            reached = {**reached, partition: begin + len(records)}
    return reached


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_a_log_that_ends_with_aborted_records_and_markers_is_read_to_its_end(
    settings: Settings, topic: str, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of these yields a record, however long one waits; the log is read to its end nevertheless."""
    monkeypatch.setattr(reading, "SILENT_SECONDS", 10.0)
    with (
        closing(Reader(settings, group=None)) as nobody,
        closing(Producer(settings, transactional_id=f"writer-of-{topic}")) as producer,
    ):
        producer.start_transactions()
        producer.begin()
        producer.send(topic, b"key", b"stays")
        producer.commit({}, nobody)
        for _ in range(2):
            producer.begin()
            producer.send(topic, b"key", b"given up").get(10)
            producer._client.abort_transaction()

    found = [record.value for record in read_to_end(settings, [topic], isolation_level=isolation)]

    assert found == [b"stays", *([] if isolation == "read_committed" else [b"given up", b"given up"])]


def test_a_topic_that_does_not_exist_is_named_at_once(settings: Settings) -> None:
    with closing(Reader(settings, "group-of-nothing")) as reader:
        with pytest.raises(KafkaError, match="there is no topic misspelt: run `rapport topics create`"):
            reader.subscribe(["misspelt"])
        with pytest.raises(KafkaError, match="there is no topic misspelt"):
            reader.assign(["misspelt"])


def test_a_topic_that_does_not_exist_is_named_while_the_client_asks_for_it_by_itself(settings: Settings) -> None:
    with closing(Reader(settings, "group-of-nothing")) as reader:
        for number in range(5):
            reader._client.subscribe([f"misspelt-{number}"])
            until = time.monotonic() + 0.2
            while not reader._client._cluster.metadata_refresh_in_progress and time.monotonic() < until:
                pass

            with pytest.raises(KafkaError, match=f"there is no topic misspelt-{number}"):
                reader.assign([f"misspelt-{number}"])


def test_the_newest_record_of_each_key_is_kept_up_to_a_number_of_keys() -> None:
    told = [record("a", 0), record("b", 1), record("a", 2, b"2"), record("c", 3), record("b", 4, None)]

    every, bounded = list(latest_by_key(iter(told))), list(latest_by_key(iter(told), most=2))

    assert [(one.key, one.offset) for one in every] == [(b"a", 2), (b"c", 3), (b"b", 4)]
    assert [(one.key, one.offset) for one in bounded] == [(b"a", 0), (b"b", 1), (b"a", 2), (b"c", 3), (b"b", 4)]


def test_equal_keys_of_other_partitions_and_topics_are_distinct() -> None:
    told = [Record(topic, number, 0, b"a", b"1", (), 0) for topic in ("x", "y") for number in (0, 1)]

    assert list(latest_by_key(iter(told))) == told


def record(key: str, offset: int, value: bytes | None = b"1") -> Record:
    return Record("x", 0, offset, key.encode(), value, (), 0)


def poll_until(member: Reader, assigned: set[Partition], seconds: float) -> None:
    """Polls, each for this many seconds, until the member has these partitions."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while member.assignment() != assigned:
        assert time.monotonic() < deadline, f"it has only {member.assignment()}"
        member.poll(seconds)


class RawName(str):
    """A header name of arbitrary bytes, which Kafka accepts and kafka-python does not write."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return bytes(map(ord, self))


def test_a_record_whose_header_names_are_no_utf8_is_read_and_so_is_the_next(settings: Settings, topic: str) -> None:
    with closing(Producer(settings)) as producer:
        headers = [(RawName("\xff\xfeä"), b"1"), ("plain", b"\xff"), ("ü", b"")]
        producer.send(topic, b"\x00key", b"value", headers=headers).get(30)
        producer.send(topic, None, b"next").get(30)

    found = list(read_to_end(settings, [topic]))

    assert [(one.offset, one.key, one.value) for one in found] == [(0, b"\x00key", b"value"), (1, None, b"next")]
    assert found[0].headers == (("\\xff\\xfe\\xe4", b"1"), ("plain", b"\xff"), ("ü", b""))
    assert found[0].timestamp_ms > 0
