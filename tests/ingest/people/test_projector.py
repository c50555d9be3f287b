"""The projector on the real broker: restarts, several members, and unreadable topics."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from click.testing import CliRunner

from schemas.events import OfRelationship
from schemas.topics import BOOKINGS, ROSTER, Topic
from services.ingest.__main__ import main
from services.ingest.domain.people.relationship_history import RelationshipHistory, StartedFact
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.people.followers import ProjectionBehindError, projection_now
from services.ingest.flow.people.projected_topics import PROGRESS_KEY, roster_value
from services.ingest.flow.people.projector import GROUP
from services.runtime.kafka import Record, create_topics, partition_of, read_to_end
from services.runtime.kafka.admin import delete_topics
from services.runtime.settings import Settings
from tests.foreign import ForeignProducer, foreign_producer
from tests.ingest.people.building import NOON, START, event, minute, pair
from tests.ingest.people.harness import PARTITIONS, OwnLog
from tests.receiver import eventually

RELATIONSHIPS = 40


@pytest.fixture
def writer(broker: Settings) -> Iterator[ForeignProducer]:
    with foreign_producer(broker) as producer:
        yield producer


def story(number: int) -> list[OfRelationship]:
    """Of one relationship: it begins, is paused, has a session booked, and every third one is erased."""
    names = {"subject": f"rel-{number}"}
    times = {"starts_at": minute(number), "ends_at": minute(number + 30)}
    told = [
        pair(**names),
        event("relationship.paused", {"pause_id": "leave", "reason": "leave"}, time=START + timedelta(days=1), **names),
        event("session.scheduled", {"session_id": f"s-{number}", **times}, **names),
        event("goal.set", {"goal_id": "g"}, **names),
    ]
    return [*told, event("relationship.erased", {}, time=NOON, **names)] if number % 3 == 0 else told


def write(log: OwnLog, whole: Projection, numbers: range) -> Projection:
    """Write the histories to the log, and apply them to `whole`, the projection of the complete log."""
    told = [one for number in numbers for one in story(number)]
    # All under way at once: to wait for each by itself took half of these tests.
    log.write(*told)
    for one in told:
        whole.apply(one)
    return whole


def answers(projection: Projection) -> object:
    names = [f"rel-{number}" for number in range(RELATIONSHIPS)]
    roster, bookings = projection.roster, projection.bookings
    return [
        (
            roster.relationship("acme", one),
            roster.pauses("acme", one),
            roster.is_erased("acme", one),
            bookings.sessions("acme", one),
        )
        for one in names
    ]


def projected(log: OwnLog, topic: Topic) -> list[Record]:
    records = read_to_end(log.settings, [topic.at(log.epoch)], isolation_level="read_committed")
    return [record for record in records if record.key != PROGRESS_KEY]


def test_a_start_has_the_state_of_the_log_without_reading_it(log: OwnLog) -> None:
    whole = write(log, Projection(), range(RELATIONSHIPS))

    with log.projected():
        read = projection_now(log.settings)

    assert answers(read) == answers(whole)
    assert len({record.key for record in projected(log, ROSTER)}) == RELATIONSHIPS


def test_a_restart_goes_on_where_it_stopped_and_forgets_nothing(log: OwnLog) -> None:
    whole = write(log, Projection(), range(10))
    with log.projected():
        projection_now(log.settings)
    written = {(record.partition, record.offset) for record in projected(log, ROSTER)}
    write(log, whole, range(10, RELATIONSHIPS))

    with log.projected():
        read = projection_now(log.settings)

    assert answers(read) == answers(whole)
    new = [record for record in projected(log, ROSTER) if (record.partition, record.offset) not in written]
    assert {record.key for record in new} == {f"acme/rel-{number}".encode() for number in range(10, RELATIONSHIPS)}


def test_history_and_bookings_are_written_only_when_they_change(
    log: OwnLog,
) -> None:
    log.write(pair(subject="rel-1"), pair(subject="rel-2"))
    with log.projected():
        projection_now(log.settings)
    times = {"starts_at": minute(1), "ends_at": minute(31)}
    log.write(event("session.scheduled", {"session_id": "s-1", **times}, subject="rel-1"))
    log.write(event("relationship.paused", {"pause_id": "leave", "reason": "leave"}, subject="rel-2"))

    with log.projected():
        read = projection_now(log.settings)

    assert [one.booking.session for one in read.bookings.sessions("acme", "rel-1")] == ["s-1"]
    assert [one.pause_id for one in read.roster.pauses("acme", "rel-2")] == ["leave"]
    assert sorted(record.key or b"" for record in projected(log, ROSTER)) == [
        b"acme/rel-1",
        b"acme/rel-2",
        b"acme/rel-2",
    ]
    assert sorted(record.key or b"" for record in projected(log, BOOKINGS)) == [
        b"acme/rel-1",
        b"acme/rel-1",
        b"acme/rel-2",
    ]


def test_two_members_share_the_partitions_and_one_that_leaves_loses_nothing(log: OwnLog) -> None:
    with ExitStack() as first:
        first.enter_context(log.projected())
        with log.projected():
            whole = write(log, Projection(), range(20))
        write(log, whole, range(20, RELATIONSHIPS))

        eventually(lambda: answers(projection_now(log.settings)) == answers(whole), what="everything is projected")


@pytest.mark.parametrize("topic", [ROSTER, BOOKINGS], ids=["roster", "bookings"])
def test_what_another_version_or_anybody_else_wrote_there_is_folded_from_the_log_again(
    log: OwnLog, topic: Topic
) -> None:
    whole = write(log, Projection(), range(RELATIONSHIPS))
    with log.projected():
        projection_now(log.settings)
    for number in range(4):
        log.producer.send(topic.at(log.epoch), b"acme/rel-1", b'{"version": 99}', partition=number).get(60)
    log.write(event("goal.set", {"goal_id": "g"}, subject="rel-1"))

    with log.projected():
        eventually(lambda: answers(projection_now(log.settings)) == answers(whole), what="everything is projected")


@pytest.mark.parametrize("is_told_of", [True, False], ids=["told of", "silent"])
def test_a_record_of_this_version_that_cannot_be_understood_is_folded_from_the_log_again(
    log: OwnLog, *, is_told_of: bool
) -> None:
    """Records are parsed when an event of their relationship arrives, and scanned while there is none."""
    whole = write(log, Projection(), range(RELATIONSHIPS))
    with log.projected():
        projection_now(log.settings)
    broken = b'{"version":1,"position":"none"}'
    for topic in (ROSTER, BOOKINGS):
        number = partition_of(b"acme/rel-1", PARTITIONS)
        log.producer.send(topic.at(log.epoch), b"acme/rel-1", broken, partition=number).get(60)
    if is_told_of:
        log.write(event("goal.set", {"goal_id": "g"}, subject="rel-1"))

    with log.projected():
        eventually(lambda: answers(projection_now(log.settings)) == answers(whole), what="everything is projected")


def test_topics_that_were_made_anew_are_filled_though_nothing_more_comes_onto_the_log(log: OwnLog) -> None:
    whole = write(log, Projection(), range(RELATIONSHIPS))
    with log.projected():
        projection_now(log.settings)
    delete_topics(log.settings, [topic.at(log.epoch) for topic in (ROSTER, BOOKINGS)])
    create_topics(log.settings, {topic.at(log.epoch): topic.options(PARTITIONS, 1) for topic in (ROSTER, BOOKINGS)})

    with log.projected():
        eventually(lambda: answers(projection_now(log.settings)) == answers(whole), what="everything is projected")


HOSTILE = {
    "times without a zone": b'{"position":1,"history":{"facts":[[["urn:a","e1","mentoring.relationship.started.v1",'
    b'"2026-03-02T09:00:00"],["leaders",["p-a"],["p-b"],null]]],"retracted":[]}}',
    "a time before all times": b'{"position":1,"sessions":[[["s","0001-01-01T00:00:00Z","0001-01-01T00:00:01Z",'
    b'"0001-01-01T00:00:00Z",false],[]]]}',
    "no JSON": b"\xff",
    "nothing": None,
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("topic", [ROSTER, BOOKINGS], ids=["roster", "bookings"])
def test_whatever_lies_on_its_topics_it_starts_and_who_follows_them_goes_on(
    log: OwnLog, writer: ForeignProducer, topic: Topic, value: bytes | None
) -> None:
    whole = write(log, Projection(), range(RELATIONSHIPS))
    for number in range(4):
        for key in (b"acme/rel-1", b"\xff", b"k", PROGRESS_KEY):
            writer.put(topic.at(log.epoch), key, value, partition=number)

    with log.projected():
        eventually(lambda: answers(projection_now(log.settings)) == answers(whole), what="everything is projected")


def test_an_error_in_one_relationship_is_logged_and_stops_no_other(
    log: OwnLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, Projection(), range(RELATIONSHIPS))
    whole = roster_value

    def broken(at: int, history: RelationshipHistory) -> bytes:
        if any(fact.program == "poison" for _, fact in history.facts if isinstance(fact, StartedFact)):
            raise RuntimeError("this history")
        return whole(at, history)

    monkeypatch.setattr("services.ingest.flow.people.partition_projection.roster_value", broken)
    log.write(pair(subject="rel-poison", program="poison"))

    with log.projected():
        read = projection_now(log.settings)

    assert read.roster.relationship("acme", "rel-1") is not None
    assert read.roster.relationship("acme", "rel-poison") is None


def test_nothing_is_decided_by_a_projection_without_a_writer(log: OwnLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.flow.people.followers.CATCH_UP_SECONDS", 1.0)
    write(log, Projection(), range(1))

    with pytest.raises(ProjectionBehindError, match="rapport ingest project"):
        projection_now(log.settings)


def test_the_command_folds_a_log_that_was_written_before_and_ends(log: OwnLog, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(log, Projection(), range(RELATIONSHIPS))
    monkeypatch.setenv("RAPPORT_KAFKA", log.bootstrap)
    monkeypatch.setenv("RAPPORT_LOG_EPOCH", str(log.epoch))

    before = threading.enumerate()
    done = CliRunner().invoke(main, ["project"])

    assert done.exit_code == 0, done.output
    assert "projected up to the end of the log" in done.output
    assert answers(projection_now(log.settings)) == answers(whole)
    left = {thread.name for thread in threading.enumerate() if thread not in before}
    assert not left & {"projector", "follower", "progress"}, GROUP
