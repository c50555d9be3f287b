"""A broker that accepts requests and answers none, like one whose process or disk hangs."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaConfig, LocalKafka
from services.runtime.following import Follower
from services.runtime.kafka import (
    BrokerUnreachableError,
    Committed,
    KafkaError,
    OutgoingRecord,
    Partition,
    Producer,
    Reader,
    create_topics,
    producer,
    read_to_end,
    reader,
)
from services.runtime.settings import Settings
from tests.conftest import JARS_CACHE
from tests.receiver import eventually

PLACE = Partition("silent", 0)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A separate broker: other tests need theirs."""
    config = KafkaConfig(data=tmp_path_factory.mktemp("kafka"), cache=JARS_CACHE)
    with LocalKafka(config) as found:
        settings = Settings(kafka=found.bootstrap)
        options = {"num_partitions": 1, "replication_factor": 1, "configs": {}}
        create_topics(settings, {PLACE.topic: options, "silent-too": options})
        with closing(Producer(settings)) as writer:
            writer.send(PLACE.topic, b"key", b"value", partition=0).get(60)
        yield found


@pytest.fixture
def member(kafka: LocalKafka) -> Iterator[Reader]:
    """A group member that has requested its committed offset once."""
    with closing(Reader(Settings(kafka=kafka.bootstrap), "silent-group")) as found:
        found.assign([PLACE.topic])
        assert found.committed(PLACE) is None
        yield found


@contextmanager
def short_waits() -> Iterator[None]:
    """For the time in which the broker stands still: one that answers may take as long as a busy machine needs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(producer, "TRANSACTION_SECONDS", 1.0)
        patched.setattr(reader, "ANSWER_SECONDS", 1.0)
        patched.setattr(reader, "SILENT_SECONDS", 2.0)
        yield


def test_a_transaction_without_answer_times_out_and_its_successor_writes(kafka: LocalKafka) -> None:
    settings = Settings(kafka=kafka.bootstrap)
    with closing(Reader(settings, "silent-folder")) as folder, closing(Producer(settings, "silent-writer")) as first:
        folder.assign([PLACE.topic])
        first.start_transactions()
        first.begin()
        first.send("silent-too", None, b"1", partition=0)
        unanswered = pytest.raises(KafkaError, match="has not taken a transaction within 1 s")
        with standing_still(kafka), short_waits(), unanswered:
            first.commit({}, folder)

        second = Producer(settings, "silent-writer")
        second.start_transactions()
        second.begin()
        second.send("silent-too", None, b"2", partition=0)
        second.commit({PLACE: Committed(1)}, folder)
        second.close()

        assert folder.committed(PLACE) == Committed(1)
    told = [record.value for record in read_to_end(settings, ["silent-too"], isolation_level="read_committed")]
    assert told[-1:] == [b"2"]


def test_a_start_waits_for_a_broker_that_stalls_for_a_moment(kafka: LocalKafka) -> None:
    with closing(Producer(Settings(kafka=kafka.bootstrap))) as writer, ThreadPoolExecutor(1) as threads:
        writer.partitions(PLACE.topic)
        with standing_still(kafka):
            known = threads.submit(writer.preload, [PLACE.topic])
            time.sleep(4)

        known.result(30)


@contextmanager
def standing_still(kafka: LocalKafka) -> Iterator[None]:
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        # On a busy machine some of its threads continue for a while, and answer.
        eventually(lambda: set(map(state_of, Path(f"/proc/{kafka.pid}/task").iterdir())) == {"T"}, what="its threads")
        yield
    finally:
        os.kill(kafka.pid, signal.SIGCONT)


def state_of(thread: Path) -> str:
    """The state field of proc(5), where T means stopped. The name before it may contain anything."""
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda member: member.committed(PLACE), "has not told how far silent 0 is done within 1 s"),
        (lambda member: member.position(PLACE), "has not told where to read silent 0 within 1 s"),
        (lambda member: member.group_lag({PLACE: 1}), "has not told how far silent 0 is done within 1 s"),
    ],
    ids=["committed", "position", "behind"],
)
def test_a_request_without_an_answer_is_an_error_that_names_it(
    kafka: LocalKafka, member: Reader, ask: Callable[[Reader], object], words: str
) -> None:
    with standing_still(kafka), short_waits(), pytest.raises(BrokerUnreachableError, match=words):
        ask(member)


def test_reading_up_to_an_end_times_out_and_continues_when_the_broker_is_back(
    kafka: LocalKafka, member: Reader
) -> None:
    member.seek(PLACE, 0)
    words = "nothing of silent 0 has come for 2 s: it is read up to 0, its end is 1"
    with standing_still(kafka), short_waits(), pytest.raises(BrokerUnreachableError, match=words):
        list(member.poll_until({PLACE: 1}))

    found = [record.value for polled in member.poll_until({PLACE: 1}) for record in polled[PLACE]]

    assert found == [b"value"]


def test_a_follower_does_not_wait_for_ever_for_existing_records(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SILENT_SECONDS", 1.0)
    # Nothing is fetched: equivalent to a broker that hangs between the request for the end and the answer.
    monkeypatch.setattr(Reader, "poll", lambda *_: {})

    with (
        pytest.raises(BrokerUnreachableError, match="nothing of silent 0 has come for 1 s"),
        Follower(lambda _: None).following(Settings(kafka=kafka.bootstrap), [PLACE.topic]),
    ):
        pass


def test_a_record_that_expires_after_it_was_sent_leaves_a_producer_that_writes(kafka: LocalKafka) -> None:
    """Otherwise kafka-python would neither write nor fail a record any more."""
    settings = Settings(kafka=kafka.bootstrap)
    with closing(Producer(settings, request_timeout_ms=1_000, delivery_timeout_ms=1_500)) as writing:
        writing.send("silent-too", b"key", b"before", partition=0).get(30)
        with standing_still(kafka), pytest.raises(KafkaError):
            writing.send("silent-too", b"key", b"meanwhile", partition=0).get(30)

        together = writing.write_group()
        together.send(OutgoingRecord("silent-too", b"after", b"key", [], 0))
        together.close()
        with suppress(KafkaError):
            together.written.result(30)

        writing.send("silent-too", b"key", b"at last", partition=0).get(30)
