from collections.abc import Iterator

import pytest

from services.runtime.settings import Settings
from tests.ingest.people.harness import OwnLog


@pytest.fixture
def log(broker: Settings) -> Iterator[OwnLog]:
    own = OwnLog(broker.kafka)
    yield own
    own.producer.close()
