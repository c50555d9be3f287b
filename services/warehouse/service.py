"""The composition root of the sink: clients, loop, health and metrics of one running service."""

import threading
from contextlib import closing

from services.runtime.clickhouse import ClickHouse
from services.runtime.health import Health, serve_health
from services.runtime.kafka import Reader, await_broker
from services.runtime.loop import BatchLoop
from services.runtime.partition_buffer import Limits
from services.runtime.unexpected import Breaker
from services.warehouse.domain.migration import Topology
from services.warehouse.domain.target import Feed
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.migrator import wait_for_schema
from services.warehouse.flow.recomputing import RecomputeThread
from services.warehouse.flow.sink import Sink
from services.warehouse.flow.store import Meters, Store
from services.warehouse.settings import WarehouseSettings

SCHEMA_WAIT_SECONDS = 60.0


def serve(settings: WarehouseSettings, feed: Feed, stop: threading.Event) -> None:
    """Run until `stop` is set and the current batches are stored. Raises SchemaError when the tables are outdated."""
    health = Health()
    with (
        serve_health(health, settings.host, settings.warehouse_health_port),
        closing(ClickHouse(settings)) as clickhouse,
        closing(ClickHouse(settings)) as another,
    ):
        if not await_broker(settings, health, stop):
            return
        health.report("starting", "waits for the schema")
        wait_for_schema(clickhouse, stop, SCHEMA_WAIT_SECONDS)
        store = Store([clickhouse, another], Breaker(), Meters(health.metrics))
        limits = Limits(records=settings.warehouse_flush_records, seconds=settings.warehouse_flush_seconds)
        with closing(group_reader(settings, feed)) as reader, recomputing(settings, stop) as beside:
            BatchLoop(reader, Sink(reader, feed, store, beside), health, limits).run(stop)


def recomputing(settings: WarehouseSettings, stop: threading.Event) -> RecomputeThread:
    """Creates its own client, because a client is for one thread."""
    topology, seconds = Topology(settings.warehouse_cluster), settings.warehouse_recompute_seconds
    return RecomputeThread(DerivedTables(ClickHouse(settings), seconds, stop, topology, settings.retention))


def group_reader(settings: WarehouseSettings, feed: Feed) -> Reader:
    reader = Reader(
        settings,
        feed.group,
        # Alerts are written in transactions: skip aborted records.
        isolation_level="read_committed",
        # Fetch as much as one batch stores. With a large lag, batches would otherwise be as small as a fetch, and every
        # batch costs two commits and an insert for each table and month.
        max_poll_records=settings.warehouse_flush_records,
        max_partition_fetch_bytes=Limits.octets,
    )
    reader.subscribe(sorted(feed.targets))
    return reader
