import os
import random
import signal
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from services.runtime.kafka import Committed, Partition, Reader, Record
from services.runtime.partition_buffer import Batch
from services.warehouse.domain.plan import plan
from services.warehouse.flow.sink import PlanBrokenError
from tests import warm
from tests.receiver import STOP_WITHIN_SECONDS, eventually
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, alert, changed, held, row

SCRIPT = Path(__file__).with_name("run_service.py")
HOUR = timedelta(hours=1)


def test_a_repeated_batch_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.write("events", *(held(NOON + n * HOUR, tenant=warehouse.tenant) for n in range(50)))
    warehouse.store_all()
    before = everything(warehouse)
    warehouse.forget_commits()

    ranges = warehouse.store_all()

    assert ranges[0][0] == 0
    assert everything(warehouse) == before
    assert len(before) == 50


def test_after_a_crash_between_plan_and_insert_exactly_the_planned_range_is_sent(warehouse: Warehouse) -> None:
    warehouse.write("events", *(held(NOON + n * HOUR, tenant=warehouse.tenant) for n in range(30)))
    with closing(outsider(warehouse)) as reader:
        batch = first_batch(warehouse, reader, "events", 20)
        found = plan([r.offset for r in batch.records], [r.value for r in batch.records])
        assert reader.commit({batch.partition: Committed(batch.first, found.to_metadata())})
    warehouse.write("events", *(held(NOON + n * HOUR, tenant=warehouse.tenant) for n in range(30, 40)))

    ranges = warehouse.store_all()

    assert ranges == [(0, 19), (20, 39)]
    assert warehouse.count("mentoring.events") == 40


def test_after_a_crash_between_insert_and_commit_every_row_is_there_once(warehouse: Warehouse) -> None:
    warehouse.write("scores", *(changed(row(NOON + n * HOUR), tenant=warehouse.tenant) for n in range(30)))
    with closing(outsider(warehouse)) as reader:
        died = warehouse.sink_on(reader, warehouse.recomputing(threading.Event()))
        died.handle(first_batch(warehouse, reader, "scores", 20))
    assert warehouse.count("mentoring.score_history") == 20

    ranges = warehouse.store_all()

    assert ranges == [(0, 19), (20, 29)]
    assert warehouse.count("mentoring.score_history") == 30


def test_a_log_that_lacks_the_planned_range_stops_the_service_and_the_range_is_named(warehouse: Warehouse) -> None:
    warehouse.write("events", *(held(NOON + n * HOUR, tenant=warehouse.tenant) for n in range(3)))
    with closing(outsider(warehouse)) as reader:
        batch = first_batch(warehouse, reader, "events", 3)
        reader.commit({batch.partition: Committed(0, plan([0, 1, 2], [b"a", b"b", b"c"]).to_metadata())})

    with pytest.raises(PlanBrokenError, match=r"0\.\.2 holds other records than were planned"):
        warehouse.store_all()

    assert warehouse.count("mentoring.events") == 0


def test_a_partition_that_is_reassigned_during_a_batch_is_stored_once_by_its_new_owner(warehouse: Warehouse) -> None:
    written, names = 0, [warehouse.placed(1, partition)[0] for partition in range(2)]
    with (
        warehouse.running("1", warehouse.never_due()) as first,
        warehouse.running("2", warehouse.never_due()) as second,
    ):
        while not (first.sink.ranges and second.sink.ranges):
            instant, name = NOON + written * HOUR, names[written % 2]
            # Of ten partitions each has five: some of these three topics, whichever they are.
            warehouse.write("events", held(instant, name, warehouse.tenant))
            warehouse.write("scores", changed(row(instant), name, warehouse.tenant), partition=written % 2)
            warehouse.write("alerts", alert(instant, name, warehouse.tenant), partition=written % 2)
            written += 1
            time.sleep(0.05)
        second.until(warehouse.is_committed, "the commit of everything")

    assert (first.failure, second.failure) == (None, None)
    counts = [warehouse.count(f"mentoring.{table}") for table in ("events", "score_history", "alert_log")]
    assert counts == [written] * 3


def test_a_service_that_is_killed_repeatedly_loses_and_duplicates_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    chance = random.Random(11)
    log = tmp_path / "service.log"
    for round_ in range(4):
        process, before = serve(warehouse, log), warehouse.count("mentoring.score_history")
        for n in range(6):
            instants = [NOON + (round_ * 900 + n * 150 + m) * HOUR for m in range(150)]
            warehouse.write("scores", *(changed(row(at), tenant=warehouse.tenant) for at in instants), partition=n % 2)
            if n == 0:
                eventually(lambda: warehouse.count("mentoring.score_history") > before, what="the first rows")  # noqa: B023
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()

    days = len({(NOON + n * HOUR).date() for n in range(4 * 900)})
    with warehouse.running() as running:
        running.until(warehouse.is_committed, "the commit of everything")
        running.until(lambda: counted_days(warehouse) == (days, days), "every day")

    assert running.failure is None
    assert warehouse.count("mentoring.score_history") == 4 * 900


def test_the_service_ends_within_two_seconds_when_it_is_told_to(warehouse: Warehouse, tmp_path: Path) -> None:
    process = serve(warehouse, tmp_path / "service.log")
    warehouse.write("events", held(tenant=warehouse.tenant))
    eventually(lambda: warehouse.count("mentoring.events") == 1, what="the row")
    began = time.monotonic()

    process.terminate()

    assert process.wait(90) == 0
    assert time.monotonic() - began < STOP_WITHIN_SECONDS
    assert '"level": "error"' not in (tmp_path / "service.log").read_text()


def counted_days(warehouse: Warehouse) -> tuple[object, ...]:
    """Days in program_daily, and relationships in all of them: the pair of the test counts once on each of its days."""
    [counts] = warehouse.ask(
        "SELECT count(), sum(relationships) FROM mentoring_mart.program_day WHERE tenant_id = {tenant}"
    )
    return counts


def serve(warehouse: Warehouse, log: Path) -> warm.WarmProcess:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(warm.ROOT),
        "RAPPORT_KAFKA": warehouse.settings.kafka,
        "RAPPORT_CLICKHOUSE": warehouse.settings.clickhouse,
        "RAPPORT_INSTANCE": "1",
        "RAPPORT_WAREHOUSE_FLUSH_SECONDS": "0.1",
        "RAPPORT_LOG_FORMAT": "json",
    }
    with log.open("ab") as out:
        return warm.start(SCRIPT, [warehouse.feed.group], environ, out.fileno())


def outsider(warehouse: Warehouse) -> Reader:
    """Reads and commits for the group without being a member of it."""
    return Reader(warehouse.settings, warehouse.feed.group)


def first_batch(warehouse: Warehouse, reader: Reader, kind: str, size: int) -> Batch:
    """The first records of partition 0, read and not committed."""
    reader.assign([warehouse.topic(kind)])
    records: list[Record] = []
    while len(records) < size:
        records += [r for polled in reader.poll(1.0).values() for r in polled]
    return Batch(Partition(warehouse.topic(kind), 0), records[:size])


def everything(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return warehouse.ask(
        "SELECT * EXCEPT inserted_at FROM mentoring.events FINAL WHERE tenant_id = {tenant} ORDER BY log_offset"
    )
