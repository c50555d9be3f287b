import importlib
import pkgutil

import pytest
from click.testing import CliRunner

import schemas
from schemas import topics
from schemas.topics import (
    ALERT_STATE,
    BOOKINGS,
    NOTIFY_LEADER,
    RAW_CLOUDEVENTS,
    RAW_TOOLS,
    REJECTED,
    ROSTER,
    SCORING_STATE,
    SUBJECT_STATE,
    TOPICS,
    Topic,
)
from services.topics.__main__ import main

# These topics carry foreign bytes, or the layout of one service that no other reads.
WITHOUT_SCHEMA = {
    *(RAW_CLOUDEVENTS, *RAW_TOOLS, REJECTED, ROSTER, BOOKINGS, SCORING_STATE),
    *(ALERT_STATE, SUBJECT_STATE, NOTIFY_LEADER),
}
SERVICES = {"ingest", "scoring", "warehouse", "notify"}
PEOPLE = {"enterprises", "operators"}


def test_the_payload_of_every_topic_exists() -> None:
    modules = [importlib.import_module(f"schemas.{module.name}") for module in pkgutil.iter_modules(schemas.__path__)]
    known = {name for module in modules for name in vars(module)}

    unknown = {topic for topic in TOPICS if topic.payload not in known}

    assert unknown == WITHOUT_SCHEMA


def test_the_registry_lists_every_topic_once() -> None:
    named = [*RAW_TOOLS, *(topic for topic in vars(topics).values() if isinstance(topic, Topic))]

    assert sorted(topic.name for topic in TOPICS) == sorted({topic.name for topic in named})
    assert len(named) == len(TOPICS)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_is_of_one_partition_or_of_as_many_as_the_log_except_for_those_of_tools(topic: Topic) -> None:
    assert topic.partitions in ({3} if topic in RAW_TOOLS else {None, 1})


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_has_a_key_and_somebody_on_either_side(topic: Topic) -> None:
    assert topic.key
    assert topic.producers
    assert topic.consumers
    assert {*topic.producers, *topic.consumers} <= SERVICES | PEOPLE


def test_a_compacted_topic_forgets_no_key() -> None:
    assert all(topic.retention == topics.FOREVER for topic in TOPICS if topic.cleanup == "compact")


def test_the_command_that_creates_them_explains_itself() -> None:
    shown = CliRunner().invoke(main, ["create", "--help"])

    assert shown.exit_code == 0
    assert "--partitions" in shown.output
    assert "--replication" in shown.output


@pytest.mark.parametrize("topic", [ROSTER, BOOKINGS], ids=lambda topic: topic.name)
def test_a_topic_that_every_start_reads_is_compacted_while_it_grows(topic: Topic) -> None:
    configs = topic.options(partitions=1, replication=1)["configs"]

    assert configs["cleanup.policy"] == "compact"
    assert topic.most_bytes < int(configs["segment.bytes"]) <= 16 * 2**20
    assert float(configs["min.cleanable.dirty.ratio"]) < 0.5
