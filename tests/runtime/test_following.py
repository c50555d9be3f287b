"""Topics that are followed beside the work of a process, on the real broker."""

import uuid

import pytest

from deploy.local.kafka import LocalKafka
from services.runtime.following import Follower
from services.runtime.kafka import KafkaError, Producer, Record, create_topics
from services.runtime.settings import Settings
from tests.receiver import eventually


@pytest.fixture
def settings(local_kafka: LocalKafka) -> Settings:
    return Settings(kafka=local_kafka.bootstrap)


@pytest.fixture
def topic(settings: Settings) -> str:
    name = f"followed-{uuid.uuid4().hex[:8]}"
    create_topics(settings, {name: {"num_partitions": 2, "replication_factor": 1, "configs": {}}})
    return name


def write(settings: Settings, topic: str, *values: bytes) -> None:
    producer = Producer(settings)
    for value in values:
        producer.send(topic, None, value, partition=value[0] % 2).get(60)
    producer.close()


def test_existing_records_are_applied_before_the_block_and_new_ones_within_it(settings: Settings, topic: str) -> None:
    write(settings, topic, b"1", b"2", b"3")
    found: list[bytes | None] = []
    follower = Follower(lambda record: found.append(record.value))

    with follower.following(settings, [topic]):
        assert sorted(map(bytes, filter(None, found))) == [b"1", b"2", b"3"]
        write(settings, topic, b"4")
        eventually(lambda: b"4" in found, what="the record")
    follower.check()


def test_since_now_only_new_records_are_applied(settings: Settings, topic: str) -> None:
    write(settings, topic, b"1", b"2")
    found: list[bytes | None] = []

    with Follower(lambda record: found.append(record.value)).following(settings, [topic], since="now"):
        write(settings, topic, b"3")
        eventually(lambda: found, what="the record")

    assert found == [b"3"]


def test_since_an_instant_older_records_are_skipped(settings: Settings, topic: str) -> None:
    producer = Producer(settings)
    for value, at in ((b"1", 1_000), (b"3", 5_000), (b"5", 9_000)):
        producer._client.send(topic, value, partition=1, timestamp_ms=at).get(10)
    producer.close()
    found: list[bytes | None] = []

    with Follower(lambda record: found.append(record.value)).following(settings, [topic], since=5_000):
        write(settings, topic, b"7")
        eventually(lambda: b"7" in found, what="the record")

    assert found == [b"3", b"5", b"7"]


def test_a_check_raises_the_failure_that_ended_the_following(settings: Settings, topic: str) -> None:
    def apply(record: Record) -> None:
        raise RuntimeError(f"offset {record.offset}")

    follower = Follower(apply)
    with follower.following(settings, [topic]):
        write(settings, topic, b"1")

        def has_ended() -> bool:
            try:
                follower.check()
            except RuntimeError:
                return True
            return False

        eventually(has_ended, what="the end")


def test_a_topic_that_is_not_there_is_refused(settings: Settings) -> None:
    with pytest.raises(KafkaError, match="there is no topic"), Follower(print).following(settings, ["nowhere"]):
        pass
