"""`rapport scoring what-if` on the real broker: the full log, scored twice."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from deploy.local.kafka import LocalKafka
from schemas.events import OfRelationship
from schemas.topics import PROGRAMS
from services.runtime.kafka import Producer, create_topics, read_to_end
from services.runtime.settings import Settings
from services.scoring.domain.changelog import watermark_entry
from services.scoring.domain.layout import PartitionWatermark
from services.scoring.flow.what_if import NothingScoredError, read_log
from services.scoring.topics import Topics
from tests import warm
from tests.scoring.building import held, micros, started
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import keyed

SILENT = (started(0.5), *(held(1.5 + day) for day in range(6)))
LIVELY = (started(0.5), *(held(1.5 + 7 * week) for week in range(12)))
END = 84


def test_where_scoring_has_stored_nothing_there_is_nothing_to_try(scoring: Scoring) -> None:
    with pytest.raises(NothingScoredError, match="scoring has stored nothing yet"):
        read_log(scoring.settings, scoring.topics)


def test_the_difference_is_told_by_programme_and_by_relationship(local_kafka: LocalKafka, tmp_path: Path) -> None:
    settings = log_of(local_kafka.bootstrap, {"silent": SILENT, "lively": LIVELY})
    file = tmp_path / "patient.yaml"
    file.write_text("version: patient\ncadence_days: 60\n")

    text = what_if(settings, "--profile", str(file), "--rule", "health_low")
    document = json.loads(what_if(settings, "--profile", str(file), "--json", "--until", "2024-03-01").stdout)

    assert text.returncode == 0, text.stderr
    assert text.stdout.startswith("With patient 0 relationships would alert that do not now, and 1 no longer would;")
    assert "t/silent  health_low  no longer  2024-0" in text.stdout
    assert "lively" not in text.stdout
    assert (document["since"], document["until"]) == ("2024-01-01T12:00:00.000000Z", "2024-03-01T00:00:00.000000Z")
    assert {one["rule"]: one["relationships"] for one in document["programmes"]} == {"health_low": 2, "disengaging": 2}


def test_what_cannot_be_tried_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text("cadence: 7\n")
    away = Settings(kafka="127.0.0.1:9")

    profile = what_if(away, "--profile", str(file))
    levels = what_if(away, "--profile", str(file), "--fires", "40:24")

    assert profile.returncode == levels.returncode == 2
    assert f"{file}: cadence: Extra inputs are not permitted" in profile.stderr
    assert "--fires and --clears need --rule" in levels.stderr


def log_of(bootstrap: str, pairs: dict[str, Sequence[OfRelationship]]) -> Settings:
    """A log of its own epoch, which scoring has read to its end."""
    settings = Settings(kafka=bootstrap, log_epoch=Random().randrange(1000, 32_000))
    topics = Topics.at(settings.log_epoch)
    created = (topics.events, topics.state, PROGRAMS.name)
    create_topics(settings, {name: {"num_partitions": 1, "replication_factor": 1} for name in created})
    producer = Producer(settings)
    for key, value in keyed([of(name, event) for name, events in pairs.items() for event in events]):
        producer.send(topics.events, key, value)
    producer.flush()
    last = max(record.offset for record in read_to_end(settings, [topics.events]))
    entry = watermark_entry(1, PartitionWatermark(last, micros(END), micros(END)))
    producer.send(topics.state, entry.key, entry.value)
    producer.flush()
    producer.close()
    return settings


def of(relationship: str, event: OfRelationship) -> OfRelationship:
    return event.model_copy(update={"subject": relationship, "partitionkey": f"t/{relationship}"})


def what_if(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "RAPPORT_KAFKA": settings.kafka}
    environment["RAPPORT_LOG_EPOCH"] = str(settings.log_epoch)
    return warm.run(warm.SCORING, ["what-if", *arguments], environment)
