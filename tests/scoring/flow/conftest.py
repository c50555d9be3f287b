"""The topics of one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.prepared import prepared


@pytest.fixture
def scoring(local_kafka: LocalKafka, tmp_path: Path) -> Iterator[Scoring]:
    with prepared(local_kafka.bootstrap, tmp_path) as found:
        yield found
