"""A record that cannot be written blocks no other record: on the real broker, which refuses for its own reasons."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import cast

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import InvalidRecordError, InvalidTimestampError, KafkaTimeoutError

from deploy.local.kafka import LocalKafka
from services.runtime.kafka import (
    KafkaError,
    Partition,
    Producer,
    ProducerReplacedError,
    Reader,
    Record,
    RecordRefusedError,
    RecordTooLargeError,
    Sent,
    TopicSealedError,
    create_topics,
    is_fenced,
    read_to_end,
)
from services.runtime.kafka.admin import seal, unseal
from services.runtime.kafka.records import OutgoingRecord
from services.runtime.kafka.replacement import Replacement, Suspect
from services.runtime.kafka.write_group import GroupedRecord, TopicLimits, WriteGroup, record_size
from services.runtime.settings import Settings
from tests.receiver import eventually

ACKNOWLEDGED_SECONDS = 30
LIMIT = 20_000
# Bytes without redundancy: compression saves nothing.
NOISE = Random(1).randbytes(3 * LIMIT)


@pytest.fixture
def settings(local_kafka: LocalKafka) -> Settings:
    return Settings(kafka=local_kafka.bootstrap)


@pytest.fixture
def troubles() -> list[str | None]:
    """The availability reports of the producer."""
    return []


@pytest.fixture
def producer(settings: Settings, troubles: list[str | None]) -> Iterator[Producer]:
    """With a linger, so that records sent together share a batch."""
    with closing(Producer(settings, on_availability=troubles.append, linger_ms=200)) as producer:
        yield producer


def test_the_largest_record_of_a_topic_is_written_and_one_byte_more_is_refused_before_it_is_sent(
    settings: Settings, producer: Producer
) -> None:
    topic = made(settings, {"max.message.bytes": str(LIMIT)})
    headers = [("content-type", b"application/json"), ("ü" * 40, b"x" * 300)]
    spare = LIMIT - record_size(OutgoingRecord(topic, b"", b"a key", headers))
    # Long lengths are encoded in several bytes.
    spare -= record_size(OutgoingRecord(topic, NOISE[:spare], b"a key", headers)) - LIMIT

    producer.send(topic, b"a key", NOISE[:spare], headers=headers).get(ACKNOWLEDGED_SECONDS)
    with pytest.raises(RecordTooLargeError, match=f"at most {LIMIT} bytes .*this one has {LIMIT + 1}") as refused:
        producer.send(topic, b"a key", NOISE[: spare + 1], headers=headers)

    assert not refused.value.retriable
    assert [len(record.value or b"") for record in read_to_end(settings, [topic])] == [spare]


def test_the_maximum_request_size_bounds_a_record_if_its_topic_allows_more(settings: Settings) -> None:
    topic = made(settings, {"max.message.bytes": str(10 * LIMIT)})

    with closing(Producer(settings, max_request_size=LIMIT)) as producer:
        producer.send(topic, None, NOISE[: LIMIT - 200]).get(ACKNOWLEDGED_SECONDS)
        with pytest.raises(RecordTooLargeError, match=f"at most {LIMIT} bytes"):
            producer.send(topic, None, NOISE[:LIMIT])


def test_empty_headers_count_too(settings: Settings, producer: Producer) -> None:
    topic = made(settings, {"max.message.bytes": str(LIMIT)})

    with pytest.raises(RecordTooLargeError):
        producer.send(topic, None, b"x", headers=[("", b"")] * LIMIT)


def test_a_refused_record_fails_alone_and_those_of_its_batch_are_written(
    settings: Settings, producer: Producer, troubles: list[str | None]
) -> None:
    topic = made(settings, {"cleanup.policy": "compact"})

    sent = [producer.send(topic, key, b"%d" % n) for n, key in enumerate([b"a", None, b"b", None, b"c"])]

    assert [outcome(one) for one in sent] == ["written", "refused", "written", "refused", "written"]
    assert [record.key for record in read_to_end(settings, [topic])] == [b"a", b"b", b"c"]
    assert len(troubles) == 2, troubles
    assert "being replaced" in (troubles[0] or "")
    assert troubles[1] is None


def test_a_failing_availability_listener_costs_no_record(settings: Settings) -> None:
    """The listener runs on the client's threads, which would lose the records that they settle."""
    heard: list[str | None] = []

    def fails(why: str | None) -> None:
        heard.append(why)
        raise ValueError("an error of who listens")

    with closing(Producer(settings, on_availability=fails, linger_ms=200)) as producer:
        topic = made(settings, {"cleanup.policy": "compact"})

        sent = [producer.send(topic, key, b"1") for key in (b"a", None, b"b")]

        assert [outcome(one) for one in sent] == ["written", "refused", "written"]
        eventually_sent(producer, topic, b"2").get(ACKNOWLEDGED_SECONDS)
    assert len(heard) == 2
    assert heard[1] is None


def test_in_a_write_group_the_refused_record_is_reported_and_the_others_are_written(
    settings: Settings, producer: Producer
) -> None:
    topic, together = made(settings, {"cleanup.policy": "compact"}), producer.write_group()

    for number, key in enumerate([b"a", None, b"b"]):
        together.send(OutgoingRecord(topic, b"%d" % number, key, []))
    together.close()

    with pytest.raises(RecordRefusedError):
        together.written.result(ACKNOWLEDGED_SECONDS)
    assert [record.key for record in read_to_end(settings, [topic])] == [b"a", b"b"]
    assert list(together.failures) == [1]
    assert isinstance(together.failures[1], RecordRefusedError)


@pytest.mark.parametrize("refused_at", [0, 1, 2])
def test_the_refused_record_is_reported_whatever_else_failed_because_of_it(refused_at: int) -> None:
    """Records in flight to other partitions fail at once and may be sent again; resending the refused record would fail
    again for ever."""
    handed: list[GroupedRecord] = []
    together = WriteGroup(lambda _: None, handed.extend)
    for number in range(3):
        together.send(OutgoingRecord("any", b"%d" % number, b"a key", []))
    together.close()

    for number, one in enumerate(handed):
        assert not together.written.done()
        refused = RecordRefusedError("any", InvalidRecordError())
        one.fail(refused if number == refused_at else ProducerReplacedError("may be sent again"))

    assert isinstance(together.written.exception(), RecordRefusedError)


def test_the_refused_record_is_reported_even_if_more_is_sent_long_after_its_batch(
    settings: Settings, producer: Producer, troubles: list[str | None]
) -> None:
    topic, together = made(settings, {"cleanup.policy": "compact"}), producer.write_group()

    for number, key in enumerate([b"a", None, b"b"]):
        together.send(OutgoingRecord(topic, b"%d" % number, key, []))
    together.submit_pending()
    until = time.monotonic() + ACKNOWLEDGED_SECONDS
    while len(troubles) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    together.send(OutgoingRecord(topic, b"3", b"c", []))
    together.close()

    with pytest.raises(RecordRefusedError):
        together.written.result(ACKNOWLEDGED_SECONDS)
    assert {record.key for record in read_to_end(settings, [topic])} == {b"a", b"b", b"c"}


def test_all_records_of_a_batch_that_is_too_large_for_their_topic_are_awaited(
    settings: Settings, producer: Producer
) -> None:
    topic, together = made(settings, {"max.message.bytes": str(LIMIT)}), producer.write_group()

    for start in range(0, 2 * LIMIT, LIMIT // 4):
        together.send(OutgoingRecord(topic, NOISE[start : start + LIMIT // 4], b"a key", []))
    assert not together.written.done()
    together.close()
    together.written.result(ACKNOWLEDGED_SECONDS)

    assert b"".join(record.value or b"" for record in read_to_end(settings, [topic])) == NOISE[: 2 * LIMIT]


def test_a_batch_that_is_split_repeatedly_has_each_record_once_and_settles_each(
    settings: Settings, producer: Producer
) -> None:
    """The topic accepts a tenth of the gathered records; meanwhile more are appended to the batches that were split
    off."""
    topic = made(settings, {"max.message.bytes": str(LIMIT)})
    sending, several = [], 8
    for first in range(several):
        together = producer.write_group()
        for number in range(60):
            value = b"%d " % (first * 60 + number) + NOISE[number * 500 : number * 500 + 500]
            together.send(OutgoingRecord(topic, value, b"a key", [], 0))
            if number % 7 == 0:
                together.submit_pending()
        together.close()
        sending.append(together)
        time.sleep(0.1)

    for together in sending:
        together.written.result(ACKNOWLEDGED_SECONDS)

    found = [int((record.value or b"").split(b" ")[0]) for record in read_to_end(settings, [topic])]
    assert sorted(found) == list(range(several * 60))


def test_a_record_that_no_client_can_write_leaves_no_other_record_unsettled(
    settings: Settings, producer: Producer
) -> None:
    """A bug of ours: nothing would ever release the capacity of the awaited records."""
    topic, together = made(settings, {}), producer.write_group()
    producer.partitions(topic)

    for number, name in enumerate(["a", "b", "\ud800", "c"]):
        together.send(OutgoingRecord(topic, b"%d" % number, b"a key", [(name, b"")], 0))
    with pytest.raises(UnicodeEncodeError):
        together.close()

    with pytest.raises(ProducerReplacedError):
        together.written.result(ACKNOWLEDGED_SECONDS)
    assert sorted(together.failures) == [2, 3]
    assert [record.value for record in read_to_end(settings, [topic])] == [b"0", b"1"]


def test_a_deleted_topic_delays_no_record_of_another(settings: Settings) -> None:
    """Otherwise all users of the producer would wait for the topic in turn, among them an event loop or holders of a
    lock."""
    gone, there = made(settings, {}), made(settings, {})
    with closing(Producer(settings, max_block_ms=10_000)) as producer:
        producer.preload([gone, there])
        delete(settings, producer, gone)

        began = time.monotonic()
        lost, kept = producer.write_group(), producer.write_group()
        lost.send(OutgoingRecord(gone, b"1", b"a key", [], 0))
        lost.close()
        kept.send(OutgoingRecord(there, b"1", b"a key", [], 0))
        kept.close()
        seconds = time.monotonic() - began

        with pytest.raises(KafkaTimeoutError, match=f"there is no topic {gone}"):
            lost.written.result(ACKNOWLEDGED_SECONDS)
        kept.written.result(ACKNOWLEDGED_SECONDS)
    assert seconds < 3


def test_in_a_write_group_only_the_records_of_a_missing_topic_fail(
    settings: Settings,
) -> None:
    gone, there = made(settings, {}), made(settings, {})
    with closing(Producer(settings)) as producer:
        producer.preload([gone, there])
        delete(settings, producer, gone)
        together = producer.write_group()

        for topic in (there, gone, there):
            together.send(OutgoingRecord(topic, b"1", b"a key", [], 0))
        together.close()

        with pytest.raises(KafkaTimeoutError, match=f"there is no topic {gone}"):
            together.written.result(ACKNOWLEDGED_SECONDS)
    assert list(together.failures) == [1]
    assert [record.value for record in read_to_end(settings, [there])] == [b"1", b"1"]


def test_a_topic_that_is_recreated_is_written_again(settings: Settings) -> None:
    topic = made(settings, {})
    with closing(Producer(settings)) as producer:
        producer.preload([topic])
        assert failure_of(producer, OutgoingRecord(topic, b"before", b"a key", [])) is None
        delete(settings, producer, topic)

        create_topics(settings, {topic: {"num_partitions": 1, "replication_factor": 1}})
        outgoing = OutgoingRecord(topic, b"after", b"a key", [])
        eventually(lambda: failure_of(producer, outgoing) is None, ACKNOWLEDGED_SECONDS)

    assert [record.value for record in read_to_end(settings, [topic])] == [b"after"]


def failure_of(producer: Producer, outgoing: OutgoingRecord) -> BaseException | None:
    together = producer.write_group()
    together.send(outgoing)
    together.close()
    return together.written.exception(ACKNOWLEDGED_SECONDS)


def delete(settings: Settings, producer: Producer, topic: str) -> None:
    """Repeats until the producer has noticed the deletion."""
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka)) as admin:
        admin.delete_topics([topic])
    eventually(lambda: forgets(producer, topic), ACKNOWLEDGED_SECONDS)


def forgets(producer: Producer, topic: str) -> bool:
    producer._client._metadata.request_update()
    return producer._client._metadata.partitions_for_topic(topic) is None


def test_sending_to_preloaded_topics_sends_no_request_for_metadata(
    settings: Settings, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = made(settings, {"max.message.bytes": str(LIMIT)}), made(settings, {})
    producer.preload([one, other])
    monkeypatch.setattr("services.runtime.kafka.write_group.KafkaAdminClient", None)
    together = producer.write_group()

    for topic in (one, other):
        together.send(OutgoingRecord(topic, b"1", b"a key", []))
    with pytest.raises(RecordTooLargeError):
        together.send(OutgoingRecord(one, NOISE, b"a key", []))
    together.close()

    together.written.result(ACKNOWLEDGED_SECONDS)


def test_a_replacement_producer_knows_the_topics_of_its_predecessor(
    settings: Settings, producer: Producer, troubles: list[str | None]
) -> None:
    compact, plain = made(settings, {"cleanup.policy": "compact"}), made(settings, {})
    producer.preload([compact, plain])
    with pytest.raises(RecordRefusedError):
        producer.send(compact, None, b"without a key").get(ACKNOWLEDGED_SECONDS)
    eventually(lambda: len(troubles) == 2, ACKNOWLEDGED_SECONDS)

    together = producer.write_group()
    together.send(OutgoingRecord(plain, b"1", b"a key", [], 0))
    together.close()

    together.written.result(ACKNOWLEDGED_SECONDS)


def test_a_producer_that_is_closed_while_it_is_replaced_settles_no_record_twice(settings: Settings) -> None:
    """A second notification would be taken for the settlement of another record."""
    told: list[tuple[int, str]] = []
    replacement = Replacement(
        Refusing(), InvalidRecordError(), lambda: Refusing(replacement.stop), TopicLimits(settings, LIMIT)
    )
    batch = object()
    for number in range(3):
        suspect = Suspect(OutgoingRecord("any", b"1", None, []), Telling(number, told))
        assert replacement.accepts(replacement._client, batch, suspect)

    assert replacement.run() is None

    assert told == [(0, "RecordRefusedError"), (1, "ProducerReplacedError"), (2, "ProducerReplacedError")]


class Refusing:
    """A client of a broker that accepts nothing; `closing` is called when it is closed."""

    def __init__(self, closing: Callable[[], None] = lambda: None) -> None:
        self._closing = closing

    def send(self, *_: object) -> object:
        raise InvalidRecordError

    def close(self, timeout: float) -> None:
        assert timeout
        self._closing()


@dataclass(frozen=True)
class Telling:
    """Waits for one record."""

    number: int
    told: list[tuple[int, str]]

    def succeed(self, metadata: object) -> None:
        self.told.append((self.number, f"written: {metadata}"))

    def fail(self, failure: BaseException) -> None:
        self.told.append((self.number, type(failure).__name__))


def test_an_empty_write_group_completes_when_it_is_closed(producer: Producer) -> None:
    together = producer.write_group()
    assert not together.written.done()

    together.close()

    assert together.written.done()


def test_a_producer_goes_on_after_a_refusal(settings: Settings, producer: Producer) -> None:
    compact, plain = made(settings, {"cleanup.policy": "compact"}), made(settings, {})
    with pytest.raises(RecordRefusedError, match="InvalidRecordError") as refused:
        producer.send(compact, None, b"without a key").get(ACKNOWLEDGED_SECONDS)

    for number in range(3):
        eventually_sent(producer, plain, b"%d" % number).get(ACKNOWLEDGED_SECONDS)

    assert not refused.value.retriable
    assert [record.value for record in read_to_end(settings, [plain])] == [b"0", b"1", b"2"]


def test_records_in_flight_on_other_partitions_may_be_sent_again_and_are_accepted(
    settings: Settings, producer: Producer
) -> None:
    compact, plain = made(settings, {"cleanup.policy": "compact"}), made(settings, {})

    # Both topics are preloaded: on a busy machine, fetching one takes longer than the linger of the batch.
    producer.partitions(plain)
    producer._limits.check(OutgoingRecord(plain, b"", None, []))

    poison = producer.send(compact, None, b"without a key")
    others = [(number, producer.send(plain, None, b"%d" % number)) for number in range(5)]
    with pytest.raises(RecordRefusedError):
        poison.get(ACKNOWLEDGED_SECONDS)
    for number, sent in others:
        if outcome(sent) == "again":
            eventually_sent(producer, plain, b"%d" % number).get(ACKNOWLEDGED_SECONDS)

    assert {record.value for record in read_to_end(settings, [plain])} == {b"%d" % number for number in range(5)}


def test_a_limit_that_was_lowered_meanwhile_refuses_the_record_and_nothing_else(
    settings: Settings, producer: Producer
) -> None:
    topic = made(settings, {"max.message.bytes": str(2 * LIMIT)})
    producer.send(topic, None, b"the limit is known").get(ACKNOWLEDGED_SECONDS)
    configure(settings, topic, {"max.message.bytes": str(LIMIT)})

    with pytest.raises(RecordRefusedError, match="MessageSizeTooLargeError"):
        producer.send(topic, None, NOISE[: LIMIT + 5_000]).get(ACKNOWLEDGED_SECONDS)
    eventually_sent(producer, topic, b"small").get(ACKNOWLEDGED_SECONDS)
    with pytest.raises(RecordTooLargeError, match=f"at most {LIMIT} bytes"):
        producer.send(topic, None, NOISE[: LIMIT + 5_000])


def test_a_timestamp_that_the_topic_rejects_refuses_its_record_only(settings: Settings, producer: Producer) -> None:
    topic = made(settings, {"message.timestamp.after.max.ms": "1000"})
    (target,) = partitions_of(topic)
    ahead = round(time.time() * 1000) + 10**9

    sent = [producer.copy(Record(topic, 0, n, None, b"%d" % n, (), at), target) for n, at in enumerate([1, ahead, 2])]

    assert [outcome(one) for one in sent] == ["written", "refused", "written"]


def test_a_sealed_topic_is_not_the_fault_of_a_record(settings: Settings, producer: Producer) -> None:
    topic = made(settings, {})
    producer.send(topic, None, b"before").get(ACKNOWLEDGED_SECONDS)
    seal(settings, [topic])

    with pytest.raises(ProducerReplacedError, match="is sealed"):
        producer.send(topic, None, b"meanwhile").get(ACKNOWLEDGED_SECONDS)
    with pytest.raises(TopicSealedError) as sealed:
        eventually_sent(producer, topic, b"meanwhile")
    unseal(settings, {topic: LIMIT})

    assert sealed.value.retriable
    with closing(Producer(settings)) as later:
        later.send(topic, None, b"after").get(ACKNOWLEDGED_SECONDS)


@pytest.mark.parametrize("first_step", ["send", "commit", "begin"])
def test_whichever_step_meets_a_fence_names_it(settings: Settings, first_step: str) -> None:
    """kafka-python keeps only its text once the producer is unusable: a leader would end instead of standing by."""
    topic, transactional_id = made(settings, {}), f"fenced-{uuid.uuid4().hex[:8]}"
    old = Producer(settings, transactional_id)
    with closing(Producer(settings, transactional_id)) as new:
        old.start_transactions()
        old.begin()
        old.send(topic, None, b"before").get(ACKNOWLEDGED_SECONDS)
        new.start_transactions()
        with pytest.raises(KafkaError):
            old.send(topic, None, b"after").get(ACKNOWLEDGED_SECONDS)
        steps: dict[str, Callable[[], object]] = {
            "send": lambda: old.send(topic, None, b"again"),
            "commit": lambda: old.commit({}, cast("Reader", None)),
            "begin": old.begin,
        }

        with pytest.raises(KafkaError) as met:
            steps[first_step]()
        old.close(1)

    assert is_fenced(met.value)


def test_an_error_without_a_fence_is_none(settings: Settings) -> None:
    with closing(Producer(settings, f"early-{uuid.uuid4().hex[:8]}")) as early, pytest.raises(KafkaError) as met:
        early.begin()

    assert not is_fenced(met.value)


def test_a_record_that_fails_with_its_producer_names_the_cause(settings: Settings, producer: Producer) -> None:
    topic = made(settings, {"message.timestamp.after.max.ms": "1000"})
    (target,) = partitions_of(topic)
    producer.copy(Record(topic, 0, 0, None, b"0", (), round(time.time() * 1000) + 10**9), target)
    producer._client.flush(ACKNOWLEDGED_SECONDS)

    def send_many() -> None:
        for _ in range(1_000):
            producer.send(topic, b"a key", b"1")

    with pytest.raises(ProducerReplacedError) as met:
        send_many()

    assert isinstance(met.value.__cause__, InvalidTimestampError)


def made(settings: Settings, configs: dict[str, str]) -> str:
    """Creates a topic of one partition."""
    name = f"producer-{uuid.uuid4().hex[:8]}"
    create_topics(settings, {name: {"num_partitions": 1, "replication_factor": 1, "configs": configs}})
    return name


def configure(settings: Settings, topic: str, configs: dict[str, str]) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    time.sleep(1)  # the controller answers first, the broker applies the change a moment later


def partitions_of(topic: str) -> list[Partition]:
    return [Partition(topic, 0)]


def outcome(sent: Sent) -> str:
    try:
        sent.get(ACKNOWLEDGED_SECONDS)
    except RecordRefusedError:
        return "refused"
    except ProducerReplacedError:
        return "again"
    return "written"


def eventually_sent(producer: Producer, topic: str, value: bytes) -> Sent:
    """Like every caller: resends retriable failures later."""
    until = time.monotonic() + ACKNOWLEDGED_SECONDS
    while True:
        try:
            return producer.send(topic, b"a key", value)
        except ProducerReplacedError:
            assert time.monotonic() < until, "the producer was not replaced"
            time.sleep(0.05)
