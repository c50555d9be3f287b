"""The follower of the projected topics, on the real broker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from schemas.directory import Participant
from schemas.events import to_json
from schemas.topics import DIRECTORY
from services.ingest.commands.erase import read_erasable
from services.ingest.domain.activity import Person
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.in_flight import PendingWrites
from services.ingest.flow.log_reading import BEGINNING, log_end
from services.ingest.flow.people.followers import ProjectionFollower, projection_now
from services.ingest.flow.tools.tool_records import ToolRecords
from services.runtime.health import Health, PartsReadiness
from services.runtime.kafka import Partition, partition_of
from services.runtime.loop import TryLaterError
from services.runtime.partition_buffer import Batch
from tests.ingest.people.building import NOON, event, minute, pair, participant
from tests.ingest.people.harness import PARTITIONS, OwnLog
from tests.receiver import eventually

NO_RECORDS = Batch(Partition("mentoring.raw.zoom", 0), ())


@contextmanager
def following(log: OwnLog) -> Iterator[Projection]:
    """From the beginning, as after every start; yields when it has caught up."""
    projection, health = Projection(), Health()
    with log.projected(), running(ProjectionFollower(log.settings, projection, health)):
        yield projection
        eventually(lambda: health.condition.state == "ready")


@contextmanager
def running(follower: ProjectionFollower) -> Iterator[None]:
    """On a thread; yields when it has caught up."""
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        follower.wait_until_caught_up(stop)
        yield
    finally:
        stop.set()
        thread.join(30)


def put(log: OwnLog, person: Participant | None, key: str = "") -> None:
    key = key or f"{person.tenant}/{person.id}" if person else key
    value = person.model_dump_json().encode() if person else None
    log.producer.send(DIRECTORY.name, key.encode(), value).get(60)


def test_all_that_was_written_is_known_before_anybody_is_judged(log: OwnLog) -> None:
    tenant = f"t{uuid4().hex}"
    log.write(pair(tenant=tenant))
    booking = {"session_id": "s-1", "starts_at": minute(0), "ends_at": minute(60)}
    log.write(event("session.scheduled", booking, tenant=tenant), event("goal.set", {"goal_id": "g"}, tenant=tenant))
    put(log, participant("ada", tenant=tenant))

    with following(log) as projection:
        assert [one.id for one in projection.roster.pairs(tenant, None, frozenset({"p-ada", "p-ben"}), NOON)] == [
            "rel-1"
        ]
        assert projection.roster.participant(tenant, "slack", Person(id="UADA")) == "p-ada"
        assert projection.bookings.booking(tenant, "rel-1", "s-1") is not None


def test_what_is_written_later_becomes_known(log: OwnLog) -> None:
    tenant = f"t{uuid4().hex}"
    with following(log) as projection:
        log.write(pair(tenant=tenant))
        put(log, participant("ada", tenant=tenant))

        eventually(lambda: projection.roster.relationship(tenant, "rel-1"))
        eventually(lambda: projection.roster.registered(tenant, "p-ada"))


def test_who_is_erased_is_forgotten_now_and_after_every_start(log: OwnLog) -> None:
    tenant = f"t{uuid4().hex}"
    log.write(pair(tenant=tenant))
    put(log, participant("ada", tenant=tenant))
    with following(log) as projection:
        assert projection.roster.registered(tenant, "p-ada")
        log.write(event("relationship.erased", {}, tenant=tenant, time=NOON))
        put(log, None, f"{tenant}/p-ada")

        eventually(lambda: projection.roster.is_erased(tenant, "rel-1"))
        eventually(lambda: projection.roster.registered(tenant, "p-ada") is None)

    log.write(pair(tenant=tenant, time=minute(600)))
    with following(log) as again:
        assert again.roster.relationship(tenant, "rel-1") is None
        assert again.roster.identify(tenant, "slack", Person(id="UADA")) == frozenset()


def test_what_cannot_be_read_is_passed_over_and_a_person_in_it_forgotten(log: OwnLog) -> None:
    tenant = f"t{uuid4().hex}"
    log.write_everywhere(b'{"type":"mentoring.relationship.started.v1"}')
    put(log, participant("ada", tenant=tenant))
    log.producer.send(DIRECTORY.name, f"{tenant}/p-ada".encode(), b'{"id": 5}').get(60)
    log.write(pair(tenant=tenant))

    with following(log) as projection:
        assert projection.roster.registered(tenant, "p-ada") is None
        assert projection.roster.relationship(tenant, "rel-1") is not None


def test_recent_statements_can_be_retracted_after_a_restart(log: OwnLog) -> None:
    tenant, source = f"t{uuid4().hex}", "urn:rapport:acme:slack:slack_acme"
    log.write(event("message.sent", {"by": "mentor", "channel": "slack"}, tenant=tenant, source=source, id="k.1"))

    with following(log) as projection:
        assert [one.slot for one in projection.statement_index.find(tenant, source, "k")] == ["mentor"]


def test_without_a_projector_nothing_is_decided(log: OwnLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.flow.people.followers.FRESH_SECONDS", 2.0)
    health, projection = Health(), Projection()
    follower = ProjectionFollower(log.settings, projection, health)
    tools: Any = SimpleNamespace(connections={}, fetcher=None, follower=follower)
    nothing_said: Any = SimpleNamespace(pending_writes=PendingWrites())
    work, batch = ToolRecords(tools, nothing_said, log.producer, log.shared(PartsReadiness(health)).metrics), NO_RECORDS
    with running(follower):
        assert work.handle(batch) == {}
        log.write(pair(tenant="late"))

        eventually(lambda: not follower.is_fresh, what="the projection to be behind")
        with pytest.raises(TryLaterError, match="does `rapport ingest work` run its projector"):
            work.handle(batch)
        eventually(lambda: health.condition.state == "degraded", what="readiness to say so")

        with log.projected():
            eventually(lambda: follower.is_fresh, what="the projection to be caught up with")
            assert projection.roster.relationship("late", "rel-1") is not None


def test_what_lies_elsewhere_than_its_key_belongs_is_no_second_history(log: OwnLog) -> None:
    tenant = f"t{uuid4().hex}"
    mine = pair(tenant=tenant)
    key = mine.partitionkey.encode()
    home = partition_of(key, PARTITIONS)
    elsewhere = [number for number in range(PARTITIONS) if number != home]
    for number in elsewhere:
        log.producer.send(log.topic, key, to_json(mine), partition=number).get(60)
    for other in (b"another", f"{tenant}/rel-2".encode(), None):
        log.producer.send(log.topic, other, to_json(mine), partition=home).get(60)
    log.write(pair(tenant=tenant, subject="rel-9"))

    with following(log) as projection:
        known, gone = projection.roster.relationship(tenant, "rel-9"), projection.roster.relationship(tenant, "rel-1")
    assert known is not None
    assert gone is None
    assert projection_now(log.settings).roster.relationship(tenant, "rel-1") is None
    assert "rel-1" not in read_erasable(log.settings, tenant).programs


def test_stray_events_do_not_mark_the_end_of_the_log(log: OwnLog) -> None:
    stray = pair(tenant=f"t{uuid4().hex}").model_copy(update={"recordedtime": NOON + timedelta(days=9_000)})
    log.producer.send(log.topic, b"another", to_json(stray)).get(60)

    assert log_end(log.settings) == BEGINNING
