"""Outcomes of the parts of a batch of events or people, on a real broker that refuses records without a key (compacted
topic)."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import pytest
from kafka.errors import InvalidRecordError

from deploy.local.kafka import LocalKafka
from schemas.topics import EVENTS
from services.ingest.domain.admission import EventAdmission
from services.ingest.domain.ids import pseudonym_of
from services.ingest.domain.scope import Scope
from services.ingest.flow.event_writer import EventWriter, Receipt
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.ingest.gateway.directory_endpoint import answer_people, settle
from services.ingest.gateway.events_endpoint import EventIntake, Outcome, answer_batch, answer_single
from services.ingest.gateway.fair_scheduler import FairScheduler
from services.ingest.gateway.limits import BoundedWriter, InFlightLimiter, RequestSize
from services.runtime.http.problems import ProblemError
from services.runtime.kafka import (
    OutgoingRecord,
    Producer,
    ProducerReplacedError,
    RecordRefusedError,
    create_topics,
    read_to_end,
)
from services.runtime.kafka.write_group import GroupedRecord, WriteGroup
from services.runtime.settings import Settings
from tests.ingest.conftest import SOURCE, event
from tests.receiver import eventually

_epochs = count(50_000)
ADMIN = Scope("acme", frozenset({SOURCE}), admin=True)


@pytest.fixture
def settings(local_kafka: LocalKafka) -> Settings:
    return Settings(kafka=local_kafka.bootstrap)


@pytest.fixture
def producer(settings: Settings) -> Iterator[Producer]:
    """It gathers for a moment, so that what is sent together shares a batch."""
    with closing(Producer(settings, linger_ms=100)) as producer:
        yield producer


def compacted(settings: Settings, partitions: int) -> str:
    topic = EVENTS.at(next(_epochs))
    configs = {"cleanup.policy": "compact"}
    create_topics(settings, {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})
    return topic


def intake(producer: Producer, topic: str) -> EventIntake:
    limiter = InFlightLimiter(2**20, 60.0, threading.Event())
    programs = ProgramLookup(lambda *_: None, lambda *_: False, lambda: False)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    admission = EventAdmission(lambda: now, "log", programs, partial(pseudonym_of, "a key for tests"))
    return EventIntake(EventWriter(producer, 10_000, topic), BoundedWriter(limiter, FairScheduler()), admission)


def without_key() -> dict[str, Any]:
    """Recorded in every partition, and not of a relationship: its records have no key."""
    kept = {"specversion", "source", "time"}
    at = "2026-03-01T10:00:00Z"
    return {name: value for name, value in event().items() if name in kept} | {
        "id": "c-1",
        "type": "mentoring.clock.reached.v1",
        "data": {"time": at},
    }


def taken(to: EventIntake, events: Sequence[object]) -> list[Outcome]:
    return asyncio.run(to.record(events, ADMIN, RequestSize("a sender", 1_000)))


def told(outcomes: Sequence[Outcome]) -> tuple[int, list[tuple[int, str]]]:
    answer = answer_batch(outcomes)
    found = json.loads(bytes(answer.body))
    assert found["recorded"] + found["duplicates"] + found["rejected"] + found.get("unavailable", 0) == len(outcomes)
    return answer.status_code, [(entry["status"], entry["reason"]) for entry in found["events"]]


def told_at_last(to: EventIntake, events: Sequence[object]) -> tuple[int, list[tuple[int, str]]]:
    """While the producer is being replaced, the whole request is to come once more."""
    found = list[tuple[int, list[tuple[int, str]]]]()

    def is_told() -> bool:
        try:
            found.append(told(taken(to, events)))
        except UnavailableError:
            return False
        return True

    eventually(is_told)
    return found[-1]


def on_the_log(settings: Settings, topic: str) -> list[str]:
    return sorted(json.loads(record.value or b"")["id"] for record in read_to_end(settings, [topic]))


def test_only_the_refused_event_is_answered_so_and_the_others_are_recorded_once(
    settings: Settings, producer: Producer
) -> None:
    topic = compacted(settings, partitions=1)
    to, events = intake(producer, topic), [event(), without_key(), event(), event()]

    first = told(taken(to, events))
    again = told_at_last(to, events)

    assert first == (207, [(202, "recorded"), (422, "refused"), (202, "recorded"), (202, "recorded")])
    assert again == (207, [(202, "duplicate"), (422, "refused"), (202, "duplicate"), (202, "duplicate")])
    assert on_the_log(settings, topic) == sorted(one["id"] for one in events if one["id"] != "c-1")


def test_beside_a_refused_one_in_another_window_all_others_are_recorded(
    settings: Settings, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.gateway.limits.BATCH_RECORDS", 20)
    topic = compacted(settings, partitions=1)
    to, events = intake(producer, topic), [without_key(), *(event() for _ in range(50))]

    reasons = [reason for _, reason in told(taken(to, events))[1]]

    assert reasons[:20] == ["refused", *["recorded"] * 19]
    # Right after a refusal the producer may still be replaced: what is not sent says so, and is taken the next time.
    assert set(reasons[20:]) <= {"recorded", "unavailable"}
    assert {reason for _, reason in told_at_last(to, events[1:])[1]} <= {"recorded", "duplicate"}
    assert on_the_log(settings, topic) == sorted(one["id"] for one in events[1:])


def test_a_pending_event_of_another_partition_is_answered_503_and_recorded_once(
    settings: Settings, producer: Producer
) -> None:
    topic = compacted(settings, partitions=3)
    to, events = intake(producer, topic), [event(subject=f"rel-{number}") for number in range(30)]

    status, found = told(taken(to, [*events, without_key()]))

    assert status == 207
    assert found[-1] == (422, "refused")
    assert set(found[:-1]) <= {(202, "recorded"), (503, "unavailable")}
    assert (202, "recorded") in found
    left = [one for one, (_, reason) in zip(events, found, strict=False) if reason == "unavailable"]
    assert not left or {reason for _, reason in told_at_last(to, left)[1]} <= {"recorded", "duplicate"}
    assert on_the_log(settings, topic) == sorted(one["id"] for one in events)


def test_a_single_refused_event_is_answered_with_its_problem(settings: Settings, producer: Producer) -> None:
    to = intake(producer, compacted(settings, partitions=1))

    (outcome,) = taken(to, [without_key()])

    with pytest.raises(ProblemError) as problem:
        answer_single(outcome)
    assert (problem.value.status, problem.value.code) == (422, "refused")


def test_where_none_is_refused_and_the_broker_does_not_acknowledge_the_whole_request_may_come_again(
    settings: Settings,
) -> None:
    """A linger of seconds stands for a broker that does not acknowledge."""
    topic = compacted(settings, partitions=1)
    with closing(Producer(settings, linger_ms=5_000)) as slow:
        to = EventIntake(
            EventWriter(slow, 10, topic),
            BoundedWriter(InFlightLimiter(2**20, 0.2, threading.Event()), FairScheduler()),
            intake(slow, topic)._admission,
        )
        with pytest.raises(UnavailableError, match="does not acknowledge"):
            taken(to, [event()])


def test_each_person_of_a_batch_is_answered_with_its_own_outcome() -> None:
    handed: list[GroupedRecord] = []
    sending = WriteGroup(lambda _: None, handed.extend)
    places = [sending.send(OutgoingRecord("any", b"{}", b"a key", [])) for _ in range(3)]
    sending.close()

    handed[0].succeed(None)
    handed[1].fail(RecordRefusedError("any", InvalidRecordError()))
    assert not sending.written.done()
    handed[2].fail(ProducerReplacedError("may be sent again"))

    answer = answer_people([settle((f"p-{place}", Receipt(sending, place))) for place in places])
    people = json.loads(bytes(answer.body))["participants"]
    assert answer.status_code == 207
    assert [(one["id"], one["status"], one["reason"]) for one in people] == [
        ("p-0", 202, "recorded"),
        (None, 422, "refused"),
        (None, 503, "unavailable"),
    ]


class FailingMeanwhile(Future[None]):
    """Fails as soon as `done` is called."""

    def __init__(self, fail: Callable[[], None]) -> None:
        super().__init__()
        self._fail = fail

    def done(self) -> bool:
        self._fail()
        return super().done()


def test_what_fails_while_it_is_asked_for_is_not_taken_for_recorded() -> None:
    handed: list[GroupedRecord] = []
    sending = WriteGroup(lambda _: None, handed.extend)
    sending.written = FailingMeanwhile(lambda: handed[0].fail(ProducerReplacedError("may be sent again")))
    place = sending.send(OutgoingRecord("any", b"{}", b"a key", []))
    sending.close()

    assert isinstance(Receipt(sending, place).outcome(), UnavailableError)
