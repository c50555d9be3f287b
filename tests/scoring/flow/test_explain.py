"""`rapport scoring explain` on the real broker: from the one partition of the relationship."""

import json
import os
import subprocess
from collections.abc import Sequence
from random import Random

import pytest

from deploy.local.kafka import LocalKafka
from schemas.events import OfRelationship
from schemas.topics import PROGRAMS, position
from services.runtime.kafka import (
    Partition,
    Producer,
    create_topics,
    partition_count,
    partition_of,
    read_partition,
    read_to_end,
)
from services.runtime.settings import Settings
from services.scoring.domain.changelog import state_entry
from services.scoring.domain.explaining.explanation import Explanation, explain
from services.scoring.domain.explaining.known_history import known_history
from services.scoring.domain.facts import facts_of
from services.scoring.domain.layout import RelationshipState
from services.scoring.domain.profiles import DEFAULT
from services.scoring.flow.log_reading import RelationshipLog, UnknownRelationshipError, read_relationship
from services.scoring.topics import Topics
from tests import warm
from tests.scoring.building import held, micros, missed, retraction, started
from tests.scoring.flow.harness import PARTITIONS, Scoring
from tests.scoring.flow.long_log import clock_reached, keyed

SESSION = held(1.5)
STORY = (started(0.5, 7), SESSION, missed(20.5), retraction(30, SESSION))
PAIRS = ("t/spruce-1", "t/spruce-2", "t/birch", "u/birch", "t/maple")


def test_keys_lie_where_producers_put_them(scoring: Scoring) -> None:
    scoring.feed([(name.encode(), b"{}") for name in PAIRS])

    for record in read_to_end(scoring.settings, [scoring.topics.events]):
        assert partition_of(record.key or b"", PARTITIONS) == record.partition
        assert partition_count(scoring.settings, record.topic) == PARTITIONS


def test_a_relationship_is_read_from_its_partition_alone(scoring: Scoring) -> None:
    scoring.feed(keyed([event for name in PAIRS for event in of(name, STORY)]))
    partition = Partition(scoring.topics.events, partition_of(b"t/birch", PARTITIONS))
    passed: list[None] = []

    log = read_relationship(scoring.settings, scoring.topics, "t/birch", lambda: passed.append(None))

    assert [event for _, event in log.events] == of("t/birch", STORY)
    assert len(passed) == len(list(read_partition(scoring.settings, partition)))
    assert len(passed) < len(PAIRS) * len(STORY)


def test_its_story_is_told_as_it_is_and_as_it_was_known(scoring: Scoring) -> None:
    scoring.feed(keyed([event for name in PAIRS for event in of(name, STORY)]))

    log = read(scoring, "t/maple")
    now, then = explained(log, 40), explained(log, 40, known_at=29)

    assert then.row.last_contact == micros(1.5)
    assert now.row.last_contact is None
    assert then.history.later == 1
    assert any("session held, 60 min (retracted later)" in change.words for change in now.story)


def test_an_id_alone_is_enough_where_one_tenant_has_it(scoring: Scoring) -> None:
    scoring.feed(keyed([event for name in PAIRS for event in of(name, STORY)]))
    known_to_scoring(scoring, PAIRS)

    assert read(scoring, "maple").relationship == "t/maple"
    with pytest.raises(UnknownRelationshipError, match="more than one tenant has birch: t/birch, u/birch; name one"):
        read(scoring, "birch")


def test_of_an_unknown_relationship_the_near_ones_are_named(scoring: Scoring) -> None:
    with pytest.raises(UnknownRelationshipError, match="there is no relationship t/spruce on the log, and scoring"):
        read(scoring, "t/spruce")

    known_to_scoring(scoring, PAIRS)

    with pytest.raises(UnknownRelationshipError, match=r"did you mean t/spruce-1 or t/spruce-2\?"):
        read(scoring, "spruce")
    with pytest.raises(UnknownRelationshipError, match=r"did you mean t/maple\?"):
        read(scoring, "u/maple")
    with pytest.raises(UnknownRelationshipError, match="scoring knows 5 others"):
        read(scoring, "t/xyz")


def test_on_the_logs_own_clock_the_story_ends_with_the_log(scoring: Scoring) -> None:
    scoring.feed(keyed(of("t/maple", STORY)))
    scoring.reach(started(44).time)

    assert read(scoring, "t/maple", clock="log").clock == micros(44)
    assert read(scoring, "t/maple", clock="wall").clock > micros(44)


def test_the_command_tells_the_story_and_ends_with_1_where_it_cannot(local_kafka: LocalKafka) -> None:
    command = Command(local_kafka.bootstrap, Random().randrange(1000, 32_000))
    command.feed(of("t/maple", STORY))

    text = command.run("t/maple", "--as-of", "2024-02-10T01:00+01:00")
    document = json.loads(command.run("t/maple", "--known-at", "2024-01-30", "--json").stdout)
    unknown = command.run("t/mapel")
    invalid = command.run("t/maple", "--as-of", "yesterday")

    assert text.returncode == 0
    assert text.stdout.startswith("t/maple: health ")
    assert "scored 2024-02-10 00:00" in text.stdout
    assert document["as_of"] == document["known_at"] == "2024-01-30T00:00:00.000000Z"
    assert document["events_left_out"] == 1
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("rapport scoring explain: there is no relationship t/mapel on the log")
    assert invalid.returncode == 2
    assert "'yesterday' is no instant like 2026-08-01T08:30+02:00" in invalid.stderr


class Command:
    """The command as a process, on a log epoch of its own."""

    def __init__(self, bootstrap: str, epoch: int) -> None:
        self._settings, self._topics = Settings(kafka=bootstrap, log_epoch=epoch), Topics.at(epoch)
        created = (self._topics.events, self._topics.state, PROGRAMS.name)
        create_topics(self._settings, {name: {"num_partitions": 1, "replication_factor": 1} for name in created})

    def feed(self, events: Sequence[OfRelationship]) -> None:
        producer = Producer(self._settings)
        for key, value in keyed(events):
            producer.send(self._topics.events, key, value)
        producer.send(self._topics.events, None, clock_reached(started(60).time))
        producer.flush()
        producer.close()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": os.environ["PATH"],
            "RAPPORT_KAFKA": self._settings.kafka,
            "RAPPORT_LOG_EPOCH": str(self._settings.log_epoch),
            "RAPPORT_CLOCK": "log",
        }
        return warm.run(warm.SCORING, ["explain", *arguments], environment)


def of(name: str, events: Sequence[OfRelationship]) -> list[OfRelationship]:
    tenant, relationship = name.split("/")
    change = {"tenant": tenant, "subject": relationship, "partitionkey": name}
    return [event.model_copy(update=change) for event in events]


def known_to_scoring(scoring: Scoring, names: Sequence[str]) -> None:
    """As if the service had stored their states."""
    producer = Producer(scoring.settings)
    for name in names:
        log_position = position(scoring.topics.epoch, 0)
        entry = state_entry(name, 1, RelationshipState(facts_of(started(0.5), log_position), log_position))
        producer.send(scoring.topics.state, entry.key, entry.value, partition=0)
    producer.flush()
    producer.close()


def read(scoring: Scoring, asked: str, clock: str = "log") -> RelationshipLog:
    settings = scoring.settings.model_copy(update={"clock": clock})
    return read_relationship(settings, scoring.topics, asked, lambda: None)


def explained(log: RelationshipLog, days: float, known_at: float | None = None) -> Explanation:
    stored_now = known_history(log.relationship, log.events, None if known_at is None else micros(known_at))
    found = explain(stored_now, DEFAULT, micros(days))
    assert isinstance(found, Explanation)
    return found
