import socket
import threading
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from deploy.local.clickhouse import LocalClickHouse
from services.runtime import health
from services.runtime.clickhouse import ClickHouse
from services.warehouse.flow.migrator import SchemaError, wait_for_schema
from services.warehouse.flow.store import Store
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, held

HOUR = timedelta(hours=1)


def test_while_clickhouse_is_unavailable_the_sink_reports_it_and_waits_and_then_stores_every_row_once(
    warehouse: Warehouse, warehouse_server: LocalClickHouse
) -> None:
    with warehouse.running() as running:
        warehouse.write("events", *(held(NOON + n * HOUR, tenant=warehouse.tenant) for n in range(5)))
        running.until(warehouse.is_committed, "the first rows")
        warehouse_server.stop()
        try:
            warehouse.write("events", *(held(NOON + n * HOUR, tenant=warehouse.tenant) for n in range(5, 25)))
            running.until(lambda: running.health.condition.state == "degraded", "the word that ClickHouse is away")
        finally:
            warehouse_server.start()
        running.until(warehouse.is_committed, "the other rows")
        running.until(lambda: running.health.condition.state == "ready", "the word that all is well")

    assert running.failure is None
    assert warehouse.count("mentoring.events") == 25


def test_a_sink_that_hangs_in_a_statement_is_not_ready_until_it_goes_on(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, put = threading.Event(), Store.put

    def hanging(*given: Any) -> Any:  # noqa: ANN401
        go_on.wait(60)
        return put(*given)

    monkeypatch.setattr(Store, "put", hanging)
    monkeypatch.setattr(health, "STALLED_SECONDS", 3.0)
    with warehouse.running() as running:
        warehouse.write("events", held(NOON, tenant=warehouse.tenant))
        running.until(lambda: "`batches` has not turned" in running.health.readiness().detail, "the word that it hangs")
        hanging_state = running.health.readiness().state
        go_on.set()
        running.until(warehouse.is_committed, "the row")
        running.until(lambda: running.health.readiness().state == "ready", "the word that all is well")

    assert hanging_state == "degraded"
    assert running.failure is None


def test_a_server_killed_while_rows_arrive_has_each_once_when_it_is_back(
    warehouse: Warehouse, warehouse_server: LocalClickHouse
) -> None:
    with warehouse.running() as running:
        for n in range(12):
            instants = [NOON + (n * 25 + m) * HOUR for m in range(25)]
            (name,) = warehouse.placed(1, n % 2)
            warehouse.write("events", *(held(at, name, warehouse.tenant) for at in instants))
            if n == 6:
                warehouse_server.kill()
                warehouse_server.start()
        running.until(warehouse.is_committed, "all rows")

    assert running.failure is None
    assert warehouse.count("mentoring.events") == 300


def test_a_service_without_its_tables_says_what_to_run(local_clickhouse: LocalClickHouse, warehouse: Warehouse) -> None:
    settings = warehouse.settings.model_copy(update={"clickhouse": local_clickhouse.url})
    with closing(ClickHouse(settings)) as elsewhere:
        elsewhere.command("DROP DATABASE IF EXISTS mentoring")

        with pytest.raises(
            SchemaError, match=r"lacks 001_events, .*: run `rapport warehouse migrate`, still after 1 s"
        ):
            wait_for_schema(elsewhere, threading.Event(), 1.0)


def test_a_service_without_clickhouse_says_so_after_its_wait(warehouse: Warehouse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = warehouse.settings.model_copy(update={"clickhouse": f"http://127.0.0.1:{port}"})

    with closing(ClickHouse(settings)) as nobody, pytest.raises(SchemaError, match="ClickHouse is away"):
        wait_for_schema(nobody, threading.Event(), 0.5)


def test_a_service_that_is_stopped_while_it_waits_for_its_tables_ends_quietly(warehouse: Warehouse) -> None:
    settings = warehouse.settings.model_copy(update={"clickhouse": "http://127.0.0.1:1"})
    stop = threading.Event()
    stop.set()

    with closing(ClickHouse(settings)) as nobody:
        wait_for_schema(nobody, stop, 60.0)
