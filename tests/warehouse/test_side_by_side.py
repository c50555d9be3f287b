"""Two partitions that are stored at the same time: a kill in between, and an insert that hangs."""

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from services.runtime.partition_buffer import Batch
from services.warehouse.domain.record import Refused
from services.warehouse.domain.sorting import Block
from services.warehouse.flow.store import Store
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, held

HOUR = timedelta(hours=1)
PATIENCE_SECONDS = 60.0


class EndedHereError(Exception):
    """In place of a kill: nothing after it is committed."""


def write(warehouse: Warehouse, hours: range, partitions: Sequence[int] = (0, 1)) -> None:
    """An event of each hour, of a relationship of each partition."""
    for partition in partitions:
        (name,) = warehouse.placed(1, partition)
        warehouse.write("events", *(held(NOON + n * HOUR, name, warehouse.tenant) for n in hours))


def test_a_kill_while_two_partitions_are_stored_loses_and_doubles_nothing(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has its rows and the other has not; neither has its commit."""
    put, both = Store.put, threading.Barrier(2)

    def ended(store: Store, batch: Batch, blocks: Sequence[Block]) -> Mapping[int, Refused]:
        both.wait(PATIENCE_SECONDS)
        if batch.partition.number == 0:
            put(store, batch, blocks)
        both.wait(PATIENCE_SECONDS)
        raise EndedHereError

    write(warehouse, range(20))
    with monkeypatch.context() as patched:
        patched.setattr(Store, "put", ended)
        with pytest.raises(EndedHereError):
            warehouse.store_all()
    planned = warehouse.committed("events")
    stored = warehouse.count("mentoring.events")
    write(warehouse, range(20, 30))

    ranges = warehouse.store_all()

    assert planned is not None
    assert planned.offset == 0
    assert "last=19" in planned.metadata
    assert stored == 20
    # Exactly what was planned comes first, of both.
    assert sorted(ranges)[:2] == [(0, 19), (0, 19)]
    assert warehouse.count("mentoring.events") == 60
    [(positions,)] = warehouse.ask(
        "SELECT uniqExact(log_partition, log_offset) FROM mentoring.events FINAL WHERE tenant_id = {tenant}"
    )
    assert positions == 60


def test_a_partition_whose_insert_hangs_does_not_hold_up_another(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, go_on, hangs = Store.put, threading.Event(), threading.Event()

    def hanging(store: Store, batch: Batch, blocks: Sequence[Block]) -> Mapping[int, Refused]:
        if batch.partition.number == 0:
            hangs.set()
            go_on.wait(PATIENCE_SECONDS)
        return put(store, batch, blocks)

    monkeypatch.setattr(Store, "put", hanging)
    with warehouse.running(derived=warehouse.never_due()) as running:
        write(warehouse, range(5))
        running.until(hangs.is_set, "the insert that hangs")
        running.until(lambda: warehouse.count("mentoring.events") == 5, "the rows of the other partition")
        write(warehouse, range(5, 10), [1])
        running.until(lambda: warehouse.count("mentoring.events") == 10, "its further rows")
        meanwhile = warehouse.committed("events")
        go_on.set()
        running.until(warehouse.is_committed, "everything")

    assert running.failure is None
    # The plan of the range whose insert hangs.
    assert meanwhile is not None
    assert meanwhile.offset == 0
    assert warehouse.count("mentoring.events") == 15
