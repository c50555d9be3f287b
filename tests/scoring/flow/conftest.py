"""The topics of one test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from services.runtime.kafka import create_topics
from services.runtime.settings import Settings
from services.scoring.names import Names
from tests.scoring.flow.harness import PARTITIONS, Scoring
from tests.scoring.flow.run_service import names


@pytest.fixture
def scoring(local_kafka: LocalKafka, tmp_path: Path) -> Iterator[Scoring]:
    settings = Settings(kafka=local_kafka.bootstrap)
    found = Scoring(settings, names(f"scoring-{uuid.uuid4().hex[:8]}"), tmp_path)
    create_topics(settings, _topics(found.names))
    yield found
    found.stop()


def _topics(of: Names) -> dict[str, dict[str, object]]:
    return {
        topic: {
            "num_partitions": PARTITIONS,
            "replication_factor": 1,
            "configs": {"cleanup.policy": "compact" if topic == of.state else "delete"},
        }
        for topic in (of.events, of.state, of.scores, of.rejected)
    }
