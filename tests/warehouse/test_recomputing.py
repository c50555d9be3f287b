"""A recomputation that takes long delays no batch, and what it meets is heard of."""

import threading
from contextlib import closing

import pytest

from services.runtime.clickhouse import ClickHouse, ClickHouseAwayError
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.recomputing import RecomputeThread
from tests.receiver import eventually
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import changed, row


class Slow(DerivedTables):
    """Recomputes until it is let go, as over a very large table."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        super().__init__(clickhouse, 0.1, threading.Event())
        self.begun, self.let_go = threading.Event(), threading.Event()

    def recompute_if_due(self) -> None:
        self.begun.set()
        assert self.let_go.wait(120)


class Failing(DerivedTables):
    def __init__(self, clickhouse: ClickHouse, *failures: Exception) -> None:
        super().__init__(clickhouse, 0.1, threading.Event())
        self._failures = list(failures)

    def recompute_if_due(self) -> None:
        if self._failures:
            raise self._failures.pop(0)


def test_batches_are_stored_during_a_recomputation(warehouse: Warehouse) -> None:
    with closing(ClickHouse(warehouse.settings)) as clickhouse:
        slow = Slow(clickhouse)
        try:
            with warehouse.running(derived=slow) as running:
                running.until(slow.begun.is_set, "the recomputation")
                warehouse.write("scores", changed(row(), tenant=warehouse.tenant))
                running.until(warehouse.is_committed, "the commit")

                assert warehouse.count("mentoring.score_history") == 1
                assert running.health.condition.state == "ready"
        finally:
            slow.let_go.set()


def test_while_clickhouse_is_unavailable_it_reports_it_and_then_continues(warehouse: Warehouse) -> None:
    failing = Failing(warehouse.clickhouse, ClickHouseAwayError("too many queries", 202))

    with RecomputeThread(failing) as recomputing:
        eventually(lambda: "too many queries" in recomputing.supervise(owned=True))
        eventually(lambda: recomputing.supervise(owned=True) == "")


def test_an_unexpected_error_ends_the_service(warehouse: Warehouse) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        warehouse.running(derived=Failing(warehouse.clickhouse, ZeroDivisionError())) as running,
    ):
        running.until(lambda: False, "the end")


def test_without_the_first_partition_nothing_is_recomputed(warehouse: Warehouse) -> None:
    with (
        closing(ClickHouse(warehouse.settings)) as clickhouse,
        RecomputeThread(slow := Slow(clickhouse)) as recomputing,
    ):
        recomputing.stored()

        assert recomputing.supervise(owned=False) == ""
        assert not slow.begun.wait(0.5)
        slow.let_go.set()
