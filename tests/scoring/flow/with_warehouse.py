"""A sink on the topics of one test, and the table it fills, beside the truth of the log."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from deploy.local.clickhouse import LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.runtime.health import Health
from services.runtime.loop import BatchLoop
from services.runtime.partition_buffer import Limits
from services.runtime.settings import Settings
from services.runtime.unexpected import Breaker
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.verification import ComparableRow, comparable
from services.scoring.flow.heal import HealEnvironment
from services.scoring.flow.log_reading import full_log, stored
from services.scoring.flow.sink import await_sink, stored_rows
from services.warehouse.domain.target import EVENT_LOG, SCORE_HISTORY, Feed
from services.warehouse.flow.recomputing import RecomputeThread
from services.warehouse.flow.sink import Sink
from services.warehouse.flow.store import Meters, Store
from services.warehouse.service import group_reader
from services.warehouse.settings import WarehouseSettings
from tests.scoring.flow.harness import Scoring
from tests.warehouse.conftest import NeverDue

Rows = dict[str, dict[int, ComparableRow]]
# What earlier tests may have filled; that the migrations have run stays known.
FILLED = """SELECT name FROM system.tables
WHERE database = 'mentoring' AND engine LIKE '%MergeTree' AND name != 'migrations'"""


@contextmanager
def storing(scoring: Scoring, server: LocalClickHouse) -> Iterator[HealEnvironment]:
    """A server with our tables, emptied; a sink stores events and scores while the block runs. A test that reads
    derived tables requests a recomputation: each takes a second of the engine's CPU."""
    topics, group = scoring.topics, f"{scoring.topics.group}-sink"
    settings = WarehouseSettings(kafka=scoring.settings.kafka, clickhouse=server.url, warehouse_flush_seconds=0.2)
    feed = Feed(group, {topics.events: EVENT_LOG, topics.scores: SCORE_HISTORY})
    with closing(ClickHouse(settings)) as clickhouse:
        # To make the tables anew for each test would take as much of the engine's time as the test itself.
        for (table,) in clickhouse.query(FILLED):
            # What a replay was asked to keep is a table of its own.
            done = "DROP" if table.startswith("score_history_") else "TRUNCATE"
            clickhouse.command(f"{done} TABLE mentoring.{table}")
    stop = threading.Event()
    thread = threading.Thread(target=_store, args=(settings, feed, stop))
    thread.start()
    try:
        yield HealEnvironment(Settings(kafka=settings.kafka, clickhouse=server.url), topics, group)
    finally:
        stop.set()
        thread.join(30)


def _store(settings: WarehouseSettings, feed: Feed, stop: threading.Event) -> None:
    """As the service does it until `stop` is set."""
    limits = Limits(records=settings.warehouse_flush_records, seconds=settings.warehouse_flush_seconds)
    health = Health()
    with (
        closing(ClickHouse(settings)) as clickhouse,
        closing(group_reader(settings, feed)) as reader,
        RecomputeThread(NeverDue(clickhouse, 0.0, stop)) as beside,
    ):
        store = Store([clickhouse], Breaker(), Meters(health.metrics))
        BatchLoop(reader, Sink(reader, feed, store, beside), health, limits).run(stop)


def table_of(environment: HealEnvironment) -> Rows:
    """Every relationship that has rows, once everything emitted is stored."""
    await_sink(environment.settings, environment.topics.scores, environment.sink)
    with closing(ClickHouse(environment.settings)) as clickhouse:
        found = clickhouse.query(
            "SELECT DISTINCT concat(tenant_id, '/', relationship_id) FROM mentoring.score_history FINAL"
        )
        return stored_rows(clickhouse, sorted(name for (name,) in found), 2**52)


def truth_of(environment: HealEnvironment) -> Rows:
    """The true rows of every relationship that has rows, up to the stored watermarks."""
    stored_now = stored(environment.settings, environment.topics)
    log = full_log(environment.settings, environment.topics, stored_now.watermarks)
    true = {}
    for name, history in log.histories.items():
        scores = ScoreHistory(history.facts, log.profiles_of(name, history.program))
        true[name] = {at: comparable(row) for at, row in scores.rows(-1, stored_now.clock_of[name]).items()}
    return {name: rows for name, rows in true.items() if rows}
