"""Every ready query on a small history whose answers are known."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.warehouse.catalogue import queries
from tests.warehouse.conftest import READER_PASSWORD, Warehouse
from tests.warehouse.samples import NOON, alert, changed, held, row, score

DAY = timedelta(days=1)
READY = {query.name: query for query in queries()}


@pytest.fixture
def told(warehouse: Warehouse) -> Warehouse:
    """Two pairs on two days: r-1 falls from 80 to 30 and is told of, r-2 stays at 60."""
    tenant = warehouse.tenant
    warehouse.write(
        "scores",
        changed(row(NOON, 1, score=score(80, before=None)), "r-1", tenant),
        changed(row(NOON, 2, score=score(60, before=None)), "r-2", tenant),
        changed(row(NOON + DAY, 3, score=score(30, 0.8)), "r-1", tenant),
        changed(row(NOON + DAY, 4, score=score(60)), "r-2", tenant),
    )
    warehouse.write("events", held(tenant=tenant))
    warehouse.write("alerts", alert(NOON + DAY, tenant=tenant))
    warehouse.store_all()
    warehouse.recompute()
    return warehouse


def test_every_query_begins_with_its_question() -> None:
    for query in READY.values():
        assert query.sql.startswith("-- ")
        assert "?" in query.question
        assert len(query.question) < 120


def test_health_and_bands_now(told: Warehouse) -> None:
    assert answer(told, "bands_now") == [(told.tenant, "spruce", 2, 45.0, 0, 1, 1, 0, 1)]


def test_the_worst_pairs_come_first_with_what_costs_them_most(told: Warehouse) -> None:
    found = [values[2:6] + values[7:] for values in answer(told, "worst_pairs")]

    assert found == [("r-1", 30.0, "strained", 0.8, "rhythm", 65.8), ("r-2", 60.0, "steady", 0.25, "rhythm", 35.8)]


def test_the_timeline_of_a_pair_tells_scores_and_alerts_in_order(told: Warehouse) -> None:
    found = answer(told, "timeline", "r-1")

    assert [(what, health) for _, what, health, *_ in found] == [
        ("fact, midnight", 80.0),
        ("alert health_low: Spruce: pair r-1 is down to 38", 38.5),
        ("fact, midnight", 30.0),
    ]


def test_the_median_of_each_day(told: Warehouse) -> None:
    found = [(str(values[2]), *values[3:]) for values in answer(told, "median_health")]

    assert found == [("2024-03-31", 2, 70.0, 65.0, 75.0, 1, 0), ("2024-04-01", 2, 45.0, 37.5, 52.5, 0, 1)]


def test_a_reader_reads_every_view_and_table_and_changes_nothing(told: Warehouse) -> None:
    login = {"clickhouse_user": "reader", "clickhouse_password": SecretStr(READER_PASSWORD)}
    with closing(ClickHouse(told.settings.model_copy(update=login))) as reader:
        for query in READY.values():
            reader.query(query.statement, {"relationship": "r-1"})
        for table in ("mentoring_mart.scores", "mentoring_mart.events", "mentoring.score_history"):
            assert reader.query(f"SELECT * FROM {table} LIMIT 1"), table

        with pytest.raises(ClickHouseError):
            reader.command("TRUNCATE TABLE mentoring.events")


def answer(warehouse: Warehouse, name: str, relationship: str = "") -> list[tuple[Any, ...]]:
    """The query's answer about the tenant of this test."""
    sql, own = READY[name].sql, f"tenant_id = '{warehouse.tenant}'"
    for view in ("relationship_current", "program_day", "scores", "alerts"):
        sql = sql.replace(f"FROM mentoring_mart.{view}\n", f"FROM (SELECT * FROM mentoring_mart.{view} WHERE {own})\n")
    return warehouse.clickhouse.query(sql, {"relationship": relationship})
