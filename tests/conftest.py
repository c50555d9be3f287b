"""Kafka and ClickHouse for every test: the real ones, started at most once per run."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.folder_lock import FolderLock
from deploy.local.kafka import KafkaConfig, LocalKafka
from services.runtime import log
from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.migration import Topology
from services.warehouse.flow.migrator import migrate
from services.warehouse.settings import WarehouseSettings
from tests.scoring.effort import PROPERTY

# As in every process of ours (services/cli.py), before anything imports numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What is compiled is kept, whatever is usual on this machine: some hundred processes would else each compile all that
# they import (as `make test` says before this one has imported anything).
os.environ["PYTHONDONTWRITEBYTECODE"] = ""
sys.dont_write_bytecode = False
# Every property of every service is tried as hard, and none has a deadline: machines differ, and are busy.
settings.register_profile("asked for", PROPERTY)
settings.load_profile("asked for")

# Services run in threads beside the commands that tests call: what a command prints on stdout is its output alone.
log.to_stderr()

WithTables = Callable[[Path], Path]
"""Puts our tables, without rows, into the folder of a ClickHouse that is to be started, which it returns."""
# A machine that is busy with other tests takes several times what an idle one does.
MIGRATED_SECONDS = 240.0
# A broker waits for the whole run, mostly: with fewer threads that look for work it takes three quarters of the CPU.
FEW_THREADS = {"num.network.threads": "1", "num.io.threads": "2", "background.threads": "2"}
JARS_CACHE = Path(__file__).parents[1] / ".rapport" / "cache"
# Whole systems, crashes and thousands of random examples, the longest first. Imports look through the log of their
# worker's broker each time: they come before the tests that flood it.
SLOW = (
    "tests/journeys/test_failures.py",
    "tests/journeys/test_first_event.py",
    "tests/journeys/",
    "tests/notify/test_crash_drill.py",
    "tests/scoring/flow/test_replay.py",
    "tests/scoring/flow/test_heal.py",
    "tests/scoring/flow/",
    "tests/scoring/",
    "tests/warehouse/test_crashes.py",
    "tests/ingest/test_import_excel.py",
    "tests/ingest/test_import",
    "tests/ingest/test_process.py",
    "tests/ingest/test_free_text_end_to_end.py",
    "tests/ingest/people/test_attendance_worker.py",
    "tests/notify/test_flow.py",
)
# What is between them is in the order of its names.
QUICK = ("tests/runtime/", "tests/ingest/sources/", "tests/schemas/")


# Modules and thousands of tests are made to stay. To look through them for garbage again and again would take nearly
# half of the time in which they are collected, in each worker, and the same with every full search afterwards.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on what tests make is looked through, and what was collected never."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is slow begins first, and thousands of quick tests come last, lest one worker be left alone with a long file
    at the end (xdist: --no-loadscope-reorder)."""

    def turn(item: pytest.Item) -> int:
        slow = (n for n, part in enumerate(SLOW, -len(SLOW)) if item.nodeid.startswith(part))
        quick = (n for n, part in enumerate(QUICK, 1) if item.nodeid.startswith(part))
        return next(slow, next(quick, 0))

    items.sort(key=turn)


@pytest.fixture(scope="session")
def local_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One broker without topics; tests use topic names of their own."""
    data = tmp_path_factory.mktemp("kafka")
    with LocalKafka(KafkaConfig(data=data, cache=JARS_CACHE, properties=FEW_THREADS)) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def local_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """One server open to the user `default`; tests use database names of their own."""
    with LocalClickHouse(ClickHouseConfig(data=tmp_path_factory.mktemp("clickhouse"))) as clickhouse:
        yield clickhouse


@pytest.fixture(scope="session")
def with_tables(tmp_path_factory: pytest.TempPathFactory) -> WithTables:
    """To make the tables takes four seconds of CPU, to copy an engine that has them next to none: one is made for all
    workers of a run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    made = shared / "tables"
    with FolderLock(shared / "tables.lock", MIGRATED_SECONDS):
        if not made.exists():
            making = shared / "tables-partial"
            with (
                LocalClickHouse(ClickHouseConfig(data=making)) as server,
                closing(ClickHouse(WarehouseSettings(clickhouse=server.url))) as clickhouse,
            ):
                migrate(clickhouse, Topology(), lambda _: None)
            making.rename(made)

    def copied(data: Path) -> Path:
        shutil.copytree(made / "engine", data / "engine", symlinks=True)
        return data

    return copied


@pytest.fixture(scope="session")
def migrated_clickhouse(with_tables: WithTables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """The same with our tables; tests use tenants of their own, or empty the tables first."""
    with LocalClickHouse(ClickHouseConfig(data=with_tables(tmp_path_factory.mktemp("migrated")))) as clickhouse:
        yield clickhouse
