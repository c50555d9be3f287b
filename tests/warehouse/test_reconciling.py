"""Log and tables are found equal where they are, and the first difference is named where they are not."""

import random
from datetime import timedelta

import pytest

from services.warehouse.domain.target import TABLES
from services.warehouse.flow.reconciling import PartitionComparison, reconcile
from tests.receiver import eventually
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, alert, changed, corrected, delivery, held, row, started
from tests.warehouse.test_derived import History, tell_corrections, tell_history
from tests.warehouse.test_erasing import NOTHING, erased, rows_of

HOUR = timedelta(hours=1)


def compared(warehouse: Warehouse) -> list[PartitionComparison]:
    return list(reconcile(warehouse.settings, warehouse.feed, warehouse.clickhouse, lambda _: None))


def differences(warehouse: Warehouse) -> list[tuple[str, str]]:
    return [(one.table, words) for one in compared(warehouse) for words in one.differences]


@pytest.fixture
def stored(warehouse: Warehouse) -> Warehouse:
    """Repeats, corrections, deletions, strays and refused records on the log, all of it stored."""
    for table in TABLES:
        # What other tests have left came from other topics.
        warehouse.clickhouse.command(f"TRUNCATE TABLE {table}")
    tenant, chance, history = warehouse.tenant, random.Random(9), History()
    with warehouse.running(derived=warehouse.never_due()) as running:
        tell_history(warehouse, history, chance)
        tell_corrections(warehouse, history, chance)
        warehouse.write("events", started(tenant=tenant), *(held(NOON + n * HOUR, tenant=tenant) for n in range(20)))
        warehouse.write("events", *(held(NOON + n * HOUR, tenant=tenant) for n in range(5)))
        warehouse.write_records("events", [(b"elsewhere", b"{}"), (b"elsewhere", None)])
        warehouse.write("alerts", alert(tenant=tenant), delivery(tenant=tenant))
        running.until(warehouse.is_committed, "the commit of everything")
    return warehouse


def test_stored_rows_are_equal_with_duplicates_corrections_and_deletions(stored: Warehouse) -> None:
    found = compared(stored)

    assert [one for one in found if one.differences] == []
    rows = {table: sum(one.rows for one in found if one.table == table) for table in {one.table for one in found}}
    assert (rows["mentoring.events"], rows["mentoring.alert_log"], rows["mentoring.delivery_log"]) == (21, 1, 1)
    assert rows["mentoring.score_history"] == stored.count("mentoring.score_history")
    assert rows["mentoring.score_revisions"] > rows["mentoring.score_history"]


def test_a_missing_row_is_named_by_its_offset_and_its_day(stored: Warehouse) -> None:
    stored.clickhouse.command(
        f"ALTER TABLE mentoring.events DELETE WHERE tenant_id = '{stored.tenant}' AND log_offset = 7 "
        "SETTINGS mutations_sync = 2"
    )

    by_offset, by_day = differences(stored)

    assert by_offset == (
        "mentoring.events",
        "offsets 0 to 9999: the log gives 21 rows, the table has 20; offset 7 is not in the table",
    )
    assert by_day == ("mentoring.events", "day 2024-03-31: the log gives 13 rows, the table has 12")


def test_a_row_that_is_not_on_the_log_is_named(stored: Warehouse) -> None:
    stored.clickhouse.command(
        "INSERT INTO mentoring.alert_log SELECT * REPLACE (9 AS log_offset, at + INTERVAL 1 DAY AS at) "
        f"FROM mentoring.alert_log WHERE tenant_id = '{stored.tenant}'"
    )

    assert ("mentoring.alert_log", "day 2024-04-01: the log gives 0 rows, the table has 1") in differences(stored)
    assert any("offset 9 is in the table and should not be" in words for _, words in differences(stored))


def test_an_erased_relationship_is_ignored(stored: Warehouse) -> None:
    with stored.running() as running:
        stored.write("events", erased("r-1", stored.tenant))
        running.until(stored.is_committed, "the commit")
        eventually(lambda: rows_of(stored, "r-1") == NOTHING)

    assert differences(stored) == []


def test_records_that_are_not_stored_yet_are_no_difference(stored: Warehouse) -> None:
    stored.write("scores", changed(row(NOON + HOUR), tenant=stored.tenant), corrected(row(NOON), tenant=stored.tenant))

    assert differences(stored) == []


def test_after_a_replay_the_scores_are_compared_by_days_alone(stored: Warehouse) -> None:
    stored.clickhouse.command(
        "ALTER TABLE mentoring.score_history UPDATE mode = 'replay', log_partition = 0, log_offset = 0 "
        f"WHERE tenant_id = '{stored.tenant}' SETTINGS mutations_sync = 2"
    )

    assert differences(stored) == []
