"""Deduplication in the event writer: written events are remembered, pending ones are never forgotten."""

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from deploy.local.kafka import LocalKafka
from schemas.events import MENTORING_EVENT, MentoringEvent
from schemas.topics import EVENTS
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.event_writer import EventWriter, Receipt, prepare
from services.runtime.kafka import Producer, ProducerReplacedError, RecordRefusedError, create_topics, read_to_end
from services.runtime.settings import Settings
from tests.receiver import eventually

REMEMBERED = 3
_epochs = count(40_000)


@pytest.fixture
def topic(local_kafka: LocalKafka) -> str:
    name = EVENTS.at(next(_epochs))
    create_topics(Settings(kafka=local_kafka.bootstrap), {name: {"num_partitions": 2, "replication_factor": 1}})
    return name


@contextmanager
def recording(local_kafka: LocalKafka, topic: str, **options: Any) -> Iterator[EventWriter]:  # noqa: ANN401 (kafka-python's own)
    producer = Producer(Settings(kafka=local_kafka.bootstrap), **options)
    try:
        yield EventWriter(producer, REMEMBERED, topic)
    finally:
        producer.close()


def made(number: int, minutes: int = 30) -> MentoringEvent:
    raw = {
        "source": "urn:a",
        "id": f"e-{number}",
        "type": "mentoring.session.held.v1",
        "time": datetime(2026, 3, 1, 10, tzinfo=UTC),
        "recordedtime": datetime(2026, 3, 1, 10, tzinfo=UTC),
        "tenant": "acme",
        "subject": "rel-1",
        "program": "p",
        "partitionkey": "acme/rel-1",
        "data": {"session_id": "s-1", "started_at": datetime(2026, 3, 1, 10, tzinfo=UTC), "minutes": minutes},
    }
    return MENTORING_EVENT.validate_python(raw)


def receipt(found: Receipt | Rejected) -> Receipt:
    assert isinstance(found, Receipt)
    return found


def test_any_number_of_pending_events_is_recognised(local_kafka: LocalKafka, topic: str) -> None:
    """A linger of seconds stands for a broker that does not acknowledge."""
    with recording(local_kafka, topic, linger_ms=3_000) as event_writer:
        first = [receipt(event_writer.record(made(number))) for number in range(20)]
        assert not any(one.written.done() for one in first)

        again = [receipt(event_writer.record(made(number))) for number in range(20)]
        contradicted = event_writer.record(made(0, minutes=45))

        assert [one.duplicate for one in first + again] == [False] * 20 + [True] * 20
        assert isinstance(contradicted, Rejected)
        written: list[Future[None]] = [one.written for one in again]
        for one in written:
            one.result(20)
    assert len(list(read_to_end(Settings(kafka=local_kafka.bootstrap), [topic]))) == 20


def of_all_partitions() -> MentoringEvent:
    """Its records have no key: a compacted topic refuses them."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    envelope = {"source": "urn:a", "id": "c-1", "time": at, "recordedtime": at, "tenant": "acme"}
    return MENTORING_EVENT.validate_python(envelope | {"type": "mentoring.clock.reached.v1", "data": {"time": at}})


def test_an_aborted_batch_reports_an_earlier_refusal(local_kafka: LocalKafka) -> None:
    settings, topic = Settings(kafka=local_kafka.bootstrap), EVENTS.at(next(_epochs))
    configs = {"cleanup.policy": "compact"}
    create_topics(settings, {topic: {"num_partitions": 2, "replication_factor": 1, "configs": configs}})

    with recording(local_kafka, topic, linger_ms=200) as event_writer, event_writer.batch() as recorded:
        event_writer.record_in(recorded, prepare(made(1)))
        event_writer.record_in(recorded, prepare(of_all_partitions()))
        recorded.abort(ProducerReplacedError("the producer is being replaced after a refusal"))
    with pytest.raises(RecordRefusedError):
        recorded.written.result(20)


def test_an_aborted_batch_reports_the_abort_if_all_before_it_is_written(local_kafka: LocalKafka, topic: str) -> None:
    with recording(local_kafka, topic) as event_writer, event_writer.batch() as recorded:
        event_writer.record_in(recorded, prepare(made(1)))
        recorded.abort(ProducerReplacedError("the producer is being replaced after a refusal"))
    with pytest.raises(ProducerReplacedError):
        recorded.written.result(20)


def test_of_what_is_written_so_many_are_remembered_and_the_oldest_is_forgotten_first(
    local_kafka: LocalKafka, topic: str
) -> None:
    with recording(local_kafka, topic) as event_writer:
        for number in range(REMEMBERED + 1):
            receipt(event_writer.record(made(number))).written.result(20)

        repeats = [receipt(event_writer.record(made(number))).duplicate for number in (1, 2, 3, 0)]

    assert repeats == [True, True, True, False]


def test_what_is_on_the_log_is_freed_without_a_search_for_garbage(local_kafka: LocalKafka, topic: str) -> None:
    """Each event that waited for one would make the searches frequent, and they stop the whole process."""
    with recording(local_kafka, topic) as event_writer:
        events = [made(number) for number in range(3)]
        seen = [weakref.ref(one) for one in events]
        gc.disable()
        try:
            with event_writer.batch() as recorded:
                for one in events:
                    event_writer.record_in(recorded, prepare(one))
            recorded.written.result(20)
            del recorded, events, one

            eventually(lambda: [ref() for ref in seen] == [None] * 3, 20, "freed")
        finally:
            gc.enable()
