"""Kafka and ClickHouse for every test: the real ones, started at most once per run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.kafka import KafkaConfig, LocalKafka

JARS_CACHE = Path(__file__).parents[1] / ".rapport" / "cache"
# Whole systems, crashes and thousands of random examples, the longest first; what is not named follows.
SLOW = (
    "tests/journeys/",
    "tests/scoring/flow/",
    "tests/scoring/",
    "tests/warehouse/test_crashes.py",
    "tests/ingest/test_process.py",
    "tests/notify/test_flow.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is slow begins first, lest one worker be left alone with it at the end (xdist: --no-loadscope-reorder)."""
    items.sort(key=lambda item: next((n for n, part in enumerate(SLOW) if item.nodeid.startswith(part)), len(SLOW)))


@pytest.fixture(scope="session")
def local_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One broker without topics; tests use topic names of their own."""
    with LocalKafka(KafkaConfig(data=tmp_path_factory.mktemp("kafka"), cache=JARS_CACHE)) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def local_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """One server open to the user `default`; tests use database names of their own."""
    with LocalClickHouse(ClickHouseConfig(data=tmp_path_factory.mktemp("clickhouse"))) as clickhouse:
        yield clickhouse
