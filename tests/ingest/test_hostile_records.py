"""Hostile records on the topics that ingest reads: each ends with an outcome, and the next record is read."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from schemas.topics import (
    DEFAULT_MAX_BYTES,
    DIRECTORY,
    DIRECTORY_STATEMENTS,
    EVENTS,
    PROGRAMS,
    RAW_CLOUDEVENTS,
    REJECTED,
    SYNC_TOKENS,
    TOKENS,
    raw_topic,
)
from services.ingest.domain.admission import EventAdmission
from services.ingest.domain.cloudevents import Parsed, read_record
from services.ingest.domain.ids import pseudonym_of
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.dead_letters import quarantine
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.in_flight import PendingWrites, record_time
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.ingest.flow.raw_cloudevents import RawEvents, RawSender
from services.ingest.flow.shared import IngestMetrics
from services.ingest.flow.supervise import supervise
from services.runtime.kafka import KafkaError, Partition, Producer, Record, RecordRefusedError
from services.runtime.kafka.records import OutgoingRecord
from services.runtime.kafka.write_group import record_size
from services.runtime.partition_buffer import Batch
from services.runtime.settings import Settings
from services.runtime.unexpected import BadDeployError
from tests.foreign import ForeignProducer, RawName, foreign_producer
from tests.ingest.conftest import SOURCE, Gateway, Log, event, make_token, running_gateway
from tests.ingest.hostile import CONTENT_TYPES, hostile
from tests.ingest.tooling import JOINED, connections_file, make_pair, meeting_id, of, zoom
from tests.receiver import eventually

HEADERS = [("connection", b"zoom_acme"), ("content-type", b"application/json")]
FOLLOWED = (EVENTS, DIRECTORY_STATEMENTS, DIRECTORY, PROGRAMS, TOKENS, SYNC_TOKENS)


@pytest.fixture(scope="module")
def ways(broker: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    raw: dict[str, Any] = {"ingest_raw_tenant": "rawcorp", "ingest_raw_sources": (SOURCE,)}
    file = connections_file(tmp_path_factory.mktemp("connections"))
    parts = ("projector", "raw", "tools", "attendance")
    with running_gateway(
        broker.kafka, make_token(broker), ingest_connections=file, ingest_parts=parts, **raw
    ) as running:
        yield running


@pytest.fixture(scope="module")
def writer(broker: Settings) -> Iterator[ForeignProducer]:
    with foreign_producer(broker) as producer:
        yield producer


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("count", [80, pytest.param(20_000, marks=pytest.mark.drill)])
def test_each_hostile_raw_record_is_quarantined_and_the_next_valid_one_is_admitted(
    ways: Gateway, writer: ForeignProducer, broker: Settings, count: int
) -> None:
    pair, log, kept = make_pair(broker), Log(broker, EVENTS.name), Log(broker, REJECTED.name)
    topics = (RAW_CLOUDEVENTS.name, raw_topic("zoom"))

    for topic in topics:
        for one in hostile((), count, seed=count):
            writer.send(topic, one.key, one.value, one.headers, partition=0, timestamp_ms=one.timestamp_ms)
    writer.flush()
    good, meeting = event(), meeting_id()
    writer.put(RAW_CLOUDEVENTS.name, b"k", json.dumps(good).encode(), partition=0)
    for address in (pair.mentor, pair.mentee):
        writer.put(raw_topic("zoom"), b"k", json.dumps(zoom(JOINED, meeting, address)).encode(), HEADERS, partition=0)

    eventually(lambda: len(of(pair, log)) >= 2, 300)
    eventually(lambda: any(good["id"].encode() in (one.value or b"") for one in log.records()), 300)
    origins = Counter((one.key or b"").rpartition(b"/")[0].decode() for one in kept.records())
    assert all(origins[f"{topic}/0"] > count / 3 for topic in topics)
    assert ways.readiness()[0] == 200


@pytest.mark.parametrize("count", [40, pytest.param(5_000, marks=pytest.mark.drill)])
def test_hostile_records_of_what_ingest_follows_change_nothing(
    ways: Gateway, writer: ForeignProducer, broker: Settings, count: int
) -> None:
    for topic in FOLLOWED:
        for one in hostile((), count, seed=count):
            if one.key is not None or topic is EVENTS:
                writer.send(topic.name, one.key, one.value, one.headers, partition=0, timestamp_ms=one.timestamp_ms)
    writer.flush()

    # Who is written now is known a moment later, to those who followed and to those who begin anew.
    secret, pair = make_token(broker), make_pair(broker)
    eventually(lambda: ways.post(event(), authorization=f"Bearer {secret}").status_code == 202)
    with running_gateway(broker.kafka, secret) as anew:
        assert anew.post(event()).status_code == 202
    assert pair.tenant == "acme"
    assert ways.readiness()[0] == 200


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_no_content_type_is_an_error_of_ours(ways: Gateway, content_type: str) -> None:
    sendable = content_type.encode("latin-1", "ignore").replace(b"\x00", b"")

    answer = ways.client.post("/v1/events", content=json.dumps(event()), headers={b"content-type": sendable})

    assert answer.status_code in {202, 415}


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.drill)])
def test_every_record_is_read_or_rejected_and_can_be_put_aside(count: int) -> None:
    writing = Sizes()
    samples = [json.dumps(event()).encode()]

    for offset, one in enumerate(hostile(samples, count, seed=count)):
        record = Record("mentoring.raw.zoom", 0, offset, one.key, one.value, one.headers, one.timestamp_ms)
        result = read_record(record.headers, record.value)
        assert isinstance(result, Parsed | Rejected)
        quarantine(writing, record, result if isinstance(result, Rejected) else rejected("failed", "", "x"))  # type: ignore[arg-type]

    assert writing.largest <= DEFAULT_MAX_BYTES


def test_headers_without_a_value_are_not_kept_and_those_of_no_bytes_count() -> None:
    writing = Sizes()
    headers: Any = [("nothing", None), ("a", b"1"), *[("", b"")] * 1_000]

    quarantine(writing, Record("t", 0, 0, None, b"v", headers, 0), rejected("failed", "", "x"))  # type: ignore[arg-type]

    names = [name for name, _ in writing.sent[-1].headers if name.startswith("header")]
    assert names[0] == "header.a"
    assert "headers_cut" in names
    assert len(names) <= 101


@pytest.mark.parametrize("stamp", [-1, -(2**63), 0, 2**62, 10**15])
def test_a_record_of_any_time_has_one_of_ours(stamp: int) -> None:
    assert 1970 <= record_time(Record("t", 0, 0, None, b"", (), stamp)).year <= 2199


def test_an_error_of_ours_puts_its_record_aside_and_a_hundred_in_a_row_end_the_part(broker: Settings) -> None:
    kept = Log(broker, REJECTED.name)
    producer = Producer(broker)
    work = raw_events(producer)

    outcomes = work.handle(batch(20))
    with pytest.raises(BadDeployError, match=r"ZeroDivisionError at tests/ingest/test_hostile_records\.py"):
        work.handle(batch(99))

    assert outcomes == {"failed": 20}
    said = [dict(record.headers) for record in kept.records()]
    assert {one["reason"] for one in said} == {b"failed"}
    assert said[0]["detail"] == b"met an error of ours: ZeroDivisionError"
    producer.close()


def test_a_part_that_gave_up_leaves_the_others_at_work() -> None:
    stop, worked = threading.Event(), threading.Event()

    def gives_up() -> None:
        raise BadDeployError("a hundred")

    def works() -> None:
        worked.set()
        stop.wait(30)

    ending = threading.Timer(0.5, stop.set)
    ending.start()
    supervise({"gives up": gives_up, "works": works}, stop)

    assert worked.is_set()
    assert not ending.is_alive()


def test_a_record_that_the_broker_refuses_is_quarantined_once_and_the_others_are_resent() -> None:
    put_aside: list[Rejected] = []
    pending_writes = PendingWrites()

    def aside(why: Rejected) -> Future[None]:
        put_aside.append(why)
        return done()

    pending_writes.set_origin(aside)
    pending_writes.add(done(RecordRefusedError("t", KafkaError("x"))), done)
    with pytest.raises(Exception, match="does not acknowledge"):
        pending_writes.settle()
    pending_writes.settle()

    assert [one.reason for one in put_aside] == ["refused"]


class Sizes:
    """Stands for a producer where only the size of what is sent matters."""

    def __init__(self) -> None:
        self.largest = 0
        self.sent: list[OutgoingRecord] = []

    def send(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> "Sizes":
        self.sent = [OutgoingRecord(topic, value, key, list(headers))]
        self.largest = max(self.largest, record_size(self.sent[0]))
        return self

    def add_callback(self, _: object) -> None:
        """It is never settled."""

    def add_errback(self, _: object) -> None:
        """It is never settled."""


def raw_events(producer: Producer) -> RawEvents:
    def now() -> datetime:
        raise ZeroDivisionError("a secret that was sent")

    programs = ProgramLookup(lambda *_: None, lambda *_: True, lambda: False)
    sender = RawSender(
        Scope("acme", frozenset({SOURCE})), EventAdmission(now, "wall", programs, partial(pseudonym_of, "")), str
    )
    return RawEvents(producer, EventWriter(producer, 10), sender, IngestMetrics(CollectorRegistry()))


def batch(count: int) -> Batch:
    topic = f"raw-{uuid4().hex[:8]}"
    records = [Record(topic, 0, n, b"k", b"{}", ((RawName("x"), b"1"),), 0) for n in range(count)]
    return Batch(Partition(topic, 0), records)


def done(failure: Exception | None = None) -> Future[None]:
    found: Future[None] = Future()
    if failure is None:
        found.set_result(None)
    else:
        found.set_exception(failure)
    return found
