"""Kafka and ClickHouse for every test: the real ones, started at most once per run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.kafka import KafkaConfig, LocalKafka

JARS_CACHE = Path(__file__).parents[1] / ".rapport" / "cache"


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
