"""Outcomes from observed attendance, on the real broker."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from schemas.directory import DirectoryStatement
from schemas.events import OfRelationship, to_json
from schemas.payloads import SessionHeld
from schemas.primitives import to_rfc3339
from schemas.topics import DIRECTORY_STATEMENTS
from services.ingest.flow.attendance import GROUP, StartedPairs
from services.runtime.kafka import Partition, Reader
from services.runtime.settings import Settings
from tests import warm
from tests.ingest.people.building import event, minute
from tests.ingest.people.harness import PARTITIONS, OwnLog, await_outcomes
from tests.receiver import eventually

RUN = Path(__file__).with_name("run_attendance.py")
MAX_SAID = 2**20
QUIET_SECONDS = 2.0
"""In which something that should not happen would have happened."""


@pytest.fixture
def log_time(broker: Settings) -> Iterator[OwnLog]:
    own = OwnLog(broker.kafka, clock="log")
    yield own
    own.producer.close()


def came(number: int, at: float, role: str = "mentor") -> OfRelationship:
    return _attendance("joined", number, at, role)


def went(number: int, at: float, role: str = "mentor") -> OfRelationship:
    return _attendance("left", number, at, role)


def _attendance(verb: str, number: int, at: float, role: str) -> OfRelationship:
    data = {"session_id": f"s-{number}", "role": role}
    return event(f"session.{verb}", data, subject=f"rel-{number}", time=minute(at))


def held(number: int, at: float = 0) -> list[OfRelationship]:
    return [
        came(number, at),
        came(number, at + 1, "mentee"),
        went(number, at + 40, "mentee"),
        went(number, at + 41),
    ]


def booking(number: int) -> OfRelationship:
    data = {"session_id": f"s-{number}", "starts_at": minute(0), "ends_at": minute(60)}
    return event("session.scheduled", data, subject=f"rel-{number}", time=minute(-60))


def tick(number: int, at: float) -> OfRelationship:
    """Something else that is recorded then, on the partition of that relationship."""
    return event("message.sent", {"by": "mentor", "channel": "slack"}, subject=f"rel-{number}", time=minute(at))


def ids(outcomes: list[OfRelationship]) -> set[str]:
    return {one.id for one in outcomes}


def test_a_session_that_was_attended_is_held(log: OwnLog) -> None:
    with log.worker():
        log.write(*held(1))

        (one,) = await_outcomes(log, 1)

    assert one.type == "mentoring.session.held.v1"
    assert (one.subject, one.data.session_id, one.data.minutes) == ("rel-1", "s-1", 39.0)
    assert one.time == minute(41)
    assert one.recordedtime > datetime.now(UTC) - timedelta(minutes=5)


def test_what_cannot_be_read_does_not_stop_the_others(log: OwnLog) -> None:
    for value in (
        b"",
        b"\xff",
        b'{"type":"mentoring.session.joined.v1"}',
        b'{"recordedtime":"2026-99-99T00:00:00Z","x":1}',
    ):
        log.write_everywhere(value)

    with log.worker():
        log.write(*held(1))

        assert len(await_outcomes(log, 1)) == 1


def test_on_the_clock_of_the_log_nothing_is_due_before_the_log_is_there(log_time: OwnLog) -> None:
    with log_time.worker() as worker:
        log_time.write(*held(1))
        eventually(lambda: worker.condition.state == "ready" and "lag 0" in worker.condition.detail)
        time.sleep(QUIET_SECONDS)
        assert log_time.outcomes() == []

        log_time.write(tick(1, 60))
        (one,) = await_outcomes(log_time, 1)

    assert one.time == one.recordedtime == minute(41)


def test_the_end_of_an_import_makes_the_rest_due(log_time: OwnLog) -> None:
    numbers = range(8)
    for number in numbers:
        log_time.write(*held(number))
    instant = to_rfc3339(minute(600))
    clock = {"type": "mentoring.clock.reached.v1", "source": "urn:test:import", "id": "c", "tenant": "acme"}
    reached = {"specversion": "1.0", "time": instant, "recordedtime": instant, "data": {"time": instant}}
    # As ingest writes it, without blanks.
    log_time.write_everywhere(json.dumps(clock | reached, separators=(",", ":")).encode())

    with log_time.worker():
        outcomes = await_outcomes(log_time, 8)

    assert {one.subject for one in outcomes} == {f"rel-{number}" for number in numbers}


def test_a_restart_emits_nothing_twice_and_loses_nothing(log_time: OwnLog) -> None:
    with log_time.worker():
        log_time.write(*held(1), tick(1, 60), *held(2)[:3])
        first = await_outcomes(log_time, 1)

    with log_time.worker():
        log_time.write(held(2)[3], tick(2, 60))
        second = await_outcomes(log_time, 2)
        time.sleep(QUIET_SECONDS)

    assert {one.subject for one in second} == {"rel-1", "rel-2"}
    assert len(log_time.outcomes()) == 2
    assert first[0] in second


def test_who_came_unidentified_before_a_restart_is_not_forgotten(log_time: OwnLog) -> None:
    guest = {"session_id": "s-1", "role": "unidentified"}
    with log_time.worker():
        log_time.write(*(one for number in (1, 2) for one in (booking(number), came(number, 0))))
        log_time.write(event("session.joined", guest, subject="rel-1", time=minute(1)))
        eventually(lambda: committed(log_time) == 5)

    with log_time.worker():
        log_time.write(*(one for number in (1, 2) for one in (went(number, 50), tick(number, 90))))
        (one,) = await_outcomes(log_time, 1)
        time.sleep(QUIET_SECONDS)

    assert (one.type, one.subject) == ("mentoring.session.missed.v1", "rel-2")
    assert log_time.outcomes() == [one]


def test_with_the_wall_clock_a_restart_emits_nothing_twice(log: OwnLog) -> None:
    with log.worker():
        log.write(*held(1))
        await_outcomes(log, 1)

    with log.worker():
        log.write(*held(2))
        await_outcomes(log, 2)
        time.sleep(QUIET_SECONDS)

    assert len(log.outcomes()) == 2


def test_a_copied_log_without_offsets_emits_nothing_twice(log_time: OwnLog, broker: Settings) -> None:
    with log_time.worker():
        log_time.write(*held(1), tick(1, 60))
        await_outcomes(log_time, 1)
    copy = OwnLog(broker.kafka, clock="log")
    copy.write(*log_time.events())

    with copy.worker():
        copy.write(*held(2), tick(2, 60))
        outcomes = await_outcomes(copy, 2)
    copy.producer.close()

    assert len(outcomes) == len(ids(outcomes)) == 2


def test_an_exit_stated_before_the_start_of_the_pair_ends_it(log: OwnLog) -> None:
    name = f"late-{log.epoch}"
    change = {"status": "exited", "told": to_rfc3339(minute(60)), "statement": "exit", "left_on": "2026-03-02"}
    by = {"tool": "hr", "connection": "feed", "native_type": "employee", "native_id": name, "time_zone": "UTC"}
    person = {"name": "Ada", "time_zone": "UTC", "status": "exited", "consent": True, "change": change | by}
    said = {"id": name, "tenant": "acme", "feed": "urn:rapport:acme:hr:feed", "kind": "merges", "person": person}
    statement = DirectoryStatement.model_validate_json(json.dumps(said | {"recordedtime": to_rfc3339(minute(60))}))
    log.producer.send(DIRECTORY_STATEMENTS.name, statement.key, statement.model_dump_json().encode()).get(30)

    with log.worker():
        started = {"mentors": [name], "mentees": ["p-ben"]}
        log.write(event("relationship.started", started, subject="rel-late", time=minute(-3_000)))
        eventually(lambda: len(log.events()) == 2, what="the end of the pair")

    (_, ended) = log.events()
    assert (ended.type, ended.subject, ended.source) == (
        "mentoring.relationship.ended.v1",
        "rel-late",
        "urn:rapport:acme:hr:feed",
    )
    assert ended.time == datetime(2026, 3, 2, tzinfo=UTC)


def test_pairs_that_began_are_looked_at_twice() -> None:
    pairs = StartedPairs()
    start = event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben"]})
    target = {"source": start.source, "id": start.id, "type": start.type, "time": start.time, "slot": ""}
    for one in (start, tick(2, 0), start):
        pairs.add(one)

    assert pairs.due(0.0) == [("acme", "rel-1")]
    assert pairs.due(59.0) == []
    assert pairs.due(60.0) == [("acme", "rel-1")]
    assert pairs.due(200.0) == []
    pairs.add(event("event.retracted", {"by": "admin", "evidence": "admin", **target}))
    assert pairs.due(200.0) == [("acme", "rel-1")]


def test_two_workers_and_then_one_alone_emit_each_outcome(log_time: OwnLog) -> None:
    numbers = range(12)
    with log_time.worker() as first:
        for number in numbers:
            log_time.write(*held(number)[:2])
        with log_time.worker() as second:
            eventually(lambda: all("attendance: 2 partitions" in one.condition.detail for one in (first, second)))
            for number in numbers:
                log_time.write(held(number)[2])
        for number in numbers:
            log_time.write(held(number)[3], tick(number, 60))
        outcomes = await_outcomes(log_time, 12)

    assert {one.subject for one in outcomes} == {f"rel-{number}" for number in numbers}
    assert {one.type for one in outcomes} == {"mentoring.session.held.v1"}
    assert len({to_json(one) for one in outcomes}) == 12


def test_what_a_killed_process_had_seen_is_seen_again_by_another(log_time: OwnLog) -> None:
    numbers = range(12)
    for number in numbers:
        log_time.write(*held(number)[:2])
    with process(log_time, "one") as doomed, process(log_time, "two"):
        for number in numbers:
            log_time.write(held(number)[2])
        eventually(lambda: committed(log_time) == 36)
        doomed.kill()
        doomed.wait(10)
        for number in numbers:
            log_time.write(held(number)[3], tick(number, 60))
        outcomes = await_outcomes(log_time, 12)

    assert {one.subject for one in outcomes} == {f"rel-{number}" for number in numbers}
    assert {one.data.minutes for one in outcomes if isinstance(one.data, SessionHeld)} == {39.0}
    assert len({to_json(one) for one in outcomes}) == 12


@contextmanager
def process(log: OwnLog, instance: str) -> Iterator[warm.WarmProcess]:
    """When it is ready; killed at the end."""
    with TemporaryFile() as said:
        running = started(log, instance, said.fileno())
        try:
            lines = partial(os.pread, said.fileno(), MAX_SAID, 0)
            eventually(lambda: running.poll() is not None or b"ready" in lines().splitlines())
            assert running.poll() is None, lines().decode()
            yield running
        finally:
            running.kill()
            running.wait(10)


def started(log: OwnLog, instance: str, said: int) -> warm.WarmProcess:
    """`said`: the open file that it writes to."""
    return warm.start(RUN, [log.bootstrap, str(log.epoch), instance], os.environ | {"PYTHONPATH": str(warm.ROOT)}, said)


def committed(log: OwnLog) -> int:
    """How many records the group has handled."""
    reader = Reader(log.settings, GROUP)
    try:
        found = [reader.committed(Partition(log.topic, number)) for number in range(PARTITIONS)]
    finally:
        reader.close()
    return sum(one.offset for one in found if one)
