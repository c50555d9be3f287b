"""Topics of one test, on any broker."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.runtime.kafka import create_topics
from services.runtime.settings import Settings
from services.scoring.topics import Topics
from tests.scoring.flow.harness import PARTITIONS, Scoring
from tests.scoring.flow.run_service import topics


@contextmanager
def prepared(bootstrap: str, folder: Path) -> Iterator[Scoring]:
    """What still runs on them at the end is killed."""
    settings = Settings(kafka=bootstrap)
    found = Scoring(settings, topics(f"scoring-{uuid.uuid4().hex[:8]}"), folder)
    create_topics(settings, _topics(found.topics))
    try:
        yield found
    finally:
        found.stop()


def _topics(of: Topics) -> dict[str, dict[str, object]]:
    return {
        topic: {
            "num_partitions": PARTITIONS,
            "replication_factor": 1,
            "configs": {"cleanup.policy": "compact" if topic == of.state else "delete"},
        }
        for topic in (of.events, of.state, of.scores, of.rejected)
    }
