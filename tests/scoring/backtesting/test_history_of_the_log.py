"""The log itself as a history, on the real broker."""

import json
import uuid
from collections.abc import Sequence

from click.testing import CliRunner

from deploy.local.kafka import LocalKafka
from schemas.events import to_json
from services.runtime.kafka import Producer, create_topics
from services.runtime.settings import Settings
from services.scoring.__main__ import main
from services.scoring.flow.histories import log_events, read_histories
from services.scoring.topics import Topics
from tests.scoring.backtesting.pairs import met
from tests.scoring.building import held

EPOCH = 31_000
"""Of a log that no other test works on."""


def write(settings: Settings, topic: str, values: Sequence[bytes]) -> None:
    create_topics(settings, {topic: {"num_partitions": 2, "replication_factor": 1, "configs": {}}})
    producer = Producer(settings)
    for sent in [producer.send(topic, b"t/r", value) for value in values]:
        sent.get(20)
    producer.close()


def test_all_events_of_the_log_are_the_history_and_what_is_none_is_passed_over(local_kafka: LocalKafka) -> None:
    settings = Settings(kafka=local_kafka.bootstrap)
    topics = Topics(events=f"history-{uuid.uuid4().hex[:8]}")
    stated = [to_json(held(day)) for day in (0.5, 8.5, 9.5)]
    write(settings, topics.events, [stated[2], b"no event", *stated[:2]])

    histories = read_histories(log_events(settings, topics), None)

    (pair,) = histories.pairs
    assert pair.name == "t/r"
    assert pair.facts.keys() == met([0.5, 8.5, 9.5]).keys()


def test_without_a_file_a_command_reads_the_log_of_the_settings(local_kafka: LocalKafka) -> None:
    settings = Settings(kafka=local_kafka.bootstrap)
    write(settings, Topics.at(EPOCH).events, [to_json(held(day)) for day in (*range(0, 180, 7), 400)])
    environment = {"RAPPORT_KAFKA": local_kafka.bootstrap, "RAPPORT_LOG_EPOCH": str(EPOCH)}

    with CliRunner(env=environment).isolated_filesystem():
        ran = CliRunner(env=environment).invoke(main, ["calibrate", "--json"], catch_exceptions=False)

    assert ran.exit_code == 0, ran.output
    record = json.loads(ran.stdout)
    assert (record["pairs"], record["learnt"]) == (1, "intercept")
    assert 0 < record["faded"] < record["cases"]
