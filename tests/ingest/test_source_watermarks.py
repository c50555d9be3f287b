"""Watermarks of sources: the latest event time of each, written at a bounded rate."""

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.kafka import LocalKafka
from schemas.events import MENTORING_EVENT, MentoringEvent
from schemas.programs import SourceWatermark
from services.ingest.flow import source_watermarks
from services.ingest.flow.event_writer import EventWriter, Receipt
from services.ingest.flow.source_watermarks import WRITE_INTERVAL_SECONDS, SourceWatermarks
from services.runtime.kafka import Producer, create_topics, read_to_end
from services.runtime.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Writing:
    """An event writer and its watermarks, on topics of their own."""

    def __init__(self, settings: Settings) -> None:
        self.settings, prefix = settings, uuid.uuid4().hex[:8]
        self.events, self.sources = f"{prefix}.events", f"{prefix}.sources"
        options = {"num_partitions": 2, "replication_factor": 1}
        create_topics(settings, {self.events: options, self.sources: options | {"num_partitions": 1}})
        self.producer = Producer(settings)
        self.writer = EventWriter(self.producer, 100, self.events)
        self.watermarks = SourceWatermarks(self.producer, self.writer.drain_progress, self.sources)

    def speak(self, *events: MentoringEvent) -> None:
        for receipt in map(self.writer.record, events):
            assert isinstance(receipt, Receipt)
            receipt.written.result(15)

    def marks(self) -> list[SourceWatermark]:
        self.producer.flush()
        found = read_to_end(self.settings, [self.sources])
        return [SourceWatermark.model_validate_json(record.value or b"") for record in found]


@pytest.fixture
def writing(local_kafka: LocalKafka) -> Iterator[Writing]:
    found = Writing(Settings(kafka=local_kafka.bootstrap))
    yield found
    found.producer.close()


def event(number: int, source: str = "/calendar", tenant: str = "acme", ahead: int = 0) -> MentoringEvent:
    at = NOON + timedelta(minutes=number)
    raw = {
        "source": source,
        "id": f"e-{number}",
        "type": "mentoring.session.held.v1",
        "time": at + timedelta(minutes=ahead),
        "recordedtime": at,
        "tenant": tenant,
        "subject": "rel-1",
        "program": "p",
        "partitionkey": f"{tenant}/rel-1",
        "data": {"session_id": "s-1", "started_at": NOON, "minutes": 30},
    }
    return MENTORING_EVENT.validate_python(raw)


def test_each_source_of_each_tenant_has_its_latest_event(writing: Writing) -> None:
    writing.speak(event(5), event(2), event(1, "/chat"), event(3, tenant="other"))

    assert writing.watermarks.write(0) == 3

    found = {(mark.tenant, mark.source): mark.time - NOON for mark in writing.marks()}
    assert found == {
        ("acme", "/calendar"): timedelta(minutes=5),
        ("acme", "/chat"): timedelta(minutes=1),
        ("other", "/calendar"): timedelta(minutes=3),
    }


def test_a_source_is_written_at_once_and_then_once_a_minute_where_it_has_moved(writing: Writing) -> None:
    writing.speak(event(1))
    assert writing.watermarks.write(0) == 1
    writing.speak(event(2), event(3))
    assert writing.watermarks.write(WRITE_INTERVAL_SECONDS - 1) == 0
    assert writing.watermarks.write(WRITE_INTERVAL_SECONDS) == 1
    writing.speak(event(3))

    assert writing.watermarks.write(10 * WRITE_INTERVAL_SECONDS) == 0
    assert [mark.time - NOON for mark in writing.marks()] == [timedelta(minutes=1), timedelta(minutes=3)]


def test_nobody_speaks_from_the_future(writing: Writing) -> None:
    writing.speak(event(1, ahead=999))
    writing.watermarks.write(0)

    (mark,) = writing.marks()
    assert mark.time == mark.recordedtime


def test_what_has_moved_is_written_at_the_stop(writing: Writing) -> None:
    stop = threading.Event()
    stop.set()
    writing.speak(event(1))

    writing.watermarks.run(stop)

    assert len(writing.marks()) == 1


def test_of_too_many_sources_the_quietest_are_forgotten_when_they_are_written(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_watermarks, "MAX_SOURCES", 2)
    writing.speak(*(event(number, f"/feed-{number}") for number in range(5)))
    assert writing.watermarks.write(0) == 5

    writing.speak(event(9, "/feed-0"), event(9, "/feed-4"))

    # The one that was forgotten is new, and written at once.
    assert writing.watermarks.write(1) == 1
