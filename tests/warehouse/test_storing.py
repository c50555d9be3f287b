import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from schemas.alerts import AlertChanged
from schemas.events import to_json
from services.runtime.kafka import Producer, Reader
from services.runtime.unexpected import BadDeployError, Breaker
from services.warehouse.domain.record import Refused
from services.warehouse.flow.store import Meters, Store
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, alert, changed, clock_advanced, corrected, held, row, score, started

MONTH = timedelta(days=31)
MICROSECOND = timedelta(microseconds=1)


def test_events_of_several_months_become_rows_with_every_value(warehouse: Warehouse) -> None:
    tenant = warehouse.tenant
    warehouse.write("events", started(tenant=tenant), held(NOON + MONTH, tenant=tenant), held(tenant=tenant))

    warehouse.store_all()

    found = warehouse.ask(
        "SELECT occurred_at, type, session_id, people, toString(actor), recorded_at > occurred_at, log_offset "
        "FROM mentoring.events WHERE tenant_id = {tenant} ORDER BY log_offset"
    )
    assert [values[1:] for values in found] == [
        ("mentoring.relationship.started.v1", "", ["p-1", "p-2", "p-3"], "system", 1, 0),
        ("mentoring.session.held.v1", "s-1", [], "mentor", 1, 1),
        ("mentoring.session.held.v1", "s-1", [], "mentor", 1, 2),
    ]
    assert found[2][0].isoformat() == "2024-03-31T12:00:00.123456"


def test_a_score_is_read_back_exactly(warehouse: Warehouse) -> None:
    warehouse.write("scores", changed(row(), tenant=warehouse.tenant), clock_advanced())

    warehouse.store_all()

    assert warehouse.ask(
        "SELECT health, toString(band), risk, factors, deltas, factor_values, weights, causes, toString(before_band), "
        "before_health, version, trigger_id, toString(status), next_session = toDateTime64(0, 6, 'UTC') "
        "FROM mentoring.score_history WHERE tenant_id = {tenant}"
    ) == [
        (
            62_500_000,
            "steady",
            250_000,
            {"rhythm": 66_750_000, "silence": -4_250_000},
            {"rhythm": -1_500_000, "silence": 0},
            {"rhythm": 750_000, "silence": 500_000},
            {"rhythm": 25_000_000, "silence": 0},
            ["fact", "midnight"],
            "steady",
            64_000_000,
            14,
            "m-1",
            "active",
            1,
        )
    ]
    assert warehouse.ask("SELECT health, risk FROM mentoring_mart.scores WHERE tenant_id = {tenant}") == [(62.5, 0.25)]
    assert warehouse.ask(
        "SELECT factor, points, change FROM mentoring_mart.score_factors WHERE tenant_id = {tenant} ORDER BY factor"
    ) == [("rhythm", 66.75, -1.5), ("silence", -4.25, 0.0)]


def test_the_row_with_the_greatest_position_is_valid_whatever_comes_last(warehouse: Warehouse) -> None:
    tenant = warehouse.tenant
    better, worse = row(position=9, score=score(80)), row(position=8, score=score(20))
    warehouse.write("scores", changed(better, tenant=tenant))
    warehouse.store_all()
    warehouse.write("scores", corrected(worse, tenant=tenant))

    warehouse.store_all()

    assert warehouse.ask("SELECT health FROM mentoring_mart.scores WHERE tenant_id = {tenant}") == [(80.0,)]


def test_a_deleted_row_stays_deleted_when_the_old_one_is_sent_again(warehouse: Warehouse) -> None:
    tenant = warehouse.tenant
    deletion = row(position=8, deleted=True, trigger=None)
    warehouse.write("scores", changed(row(), tenant=tenant), corrected(deletion, tenant=tenant))
    warehouse.store_all()
    warehouse.write("scores", changed(row(), tenant=tenant))

    warehouse.store_all()

    assert warehouse.count("mentoring.score_history") == 0


def test_instants_a_microsecond_apart_are_two_rows(warehouse: Warehouse) -> None:
    tenant = warehouse.tenant
    warehouse.write("scores", *(changed(row(NOON + n * MICROSECOND), tenant=tenant) for n in range(2)))

    warehouse.store_all()

    assert warehouse.count("mentoring.score_history") == 2


def test_of_two_copies_of_an_event_the_first_on_the_log_is_valid(warehouse: Warehouse) -> None:
    first, second = (held(tenant=warehouse.tenant, correlationid=name) for name in ("first", "second"))
    warehouse.write("events", first, second)

    warehouse.store_all()

    assert warehouse.count("mentoring.events") == 1
    assert warehouse.ask("SELECT correlation_id FROM mentoring.events FINAL WHERE tenant_id = {tenant}") == [("first",)]


def test_committed_alerts_are_rows_and_an_aborted_one_is_not(warehouse: Warehouse) -> None:
    tenant = warehouse.tenant
    reader = Reader(warehouse.settings, tenant)
    producer = Producer(warehouse.settings, transactional_id=tenant)
    producer.start_transactions()

    def transaction(value: AlertChanged, end: Callable[[], None]) -> None:
        producer.begin()
        producer.send(warehouse.topic("alerts"), b"key", to_json(value), partition=0)
        end()

    transaction(alert(tenant=tenant), lambda: producer.commit({}, reader))
    transaction(alert(relationship="r-9", tenant=tenant), producer._client.abort_transaction)
    resolved = alert(NOON + MONTH, tenant=tenant, transition="resolved", condition="ok")
    transaction(resolved, lambda: producer.commit({}, reader))
    producer.close()
    reader.close()

    warehouse.store_all()

    assert warehouse.ask(
        "SELECT relationship_id, toString(transition), reasons FROM mentoring.alert_log FINAL "
        "WHERE tenant_id = {tenant} ORDER BY at"
    ) == [("r-1", "fired", {"rhythm": -12_500_000}), ("r-1", "resolved", {"rhythm": -12_500_000})]
    assert warehouse.ask(
        "SELECT fired_at < resolved_at, open, health FROM mentoring_mart.alerts WHERE tenant_id = {tenant}"
    ) == [(1, False, 38.5)]


def test_a_poison_record_is_dead_lettered_by_hash_and_the_next_good_record_is_stored(warehouse: Warehouse) -> None:
    poison = b'{"name": "Ann Example"}'
    good = held(tenant=warehouse.tenant)
    key = good.partitionkey.encode()
    warehouse.write_records("events", [(key, poison), (key, None), (key, to_json(good))])

    warehouse.store_all()

    assert warehouse.count("mentoring.events") == 1
    assert warehouse.clickhouse.query(
        "SELECT log_offset, reason, path, size, sha256 FROM mentoring.dead_letter FINAL "
        f"WHERE topic = '{warehouse.topic('events')}' ORDER BY log_offset"
    ) == [
        (0, "union_tag_not_found", "", len(poison), hashlib.sha256(poison).hexdigest()),
        (1, "no_value", "", 0, hashlib.sha256(b"").hexdigest()),
    ]


def test_a_record_on_another_partition_than_its_keys_is_no_second_history(warehouse: Warehouse) -> None:
    mine = held(tenant=warehouse.tenant)
    key = mine.partitionkey.encode()
    # r-1 lies on partition 0; what comes after it there shows that all was read.
    warehouse.write_records("events", [(key, to_json(mine.model_copy(update={"id": "stray"})))], partition=1)
    others = (b"another", b"\xff", b"")
    warehouse.write_records("events", [(other, to_json(mine)) for other in others] + [(key, to_json(mine))])
    lying = mine.model_copy(update={"partitionkey": f"{warehouse.tenant}/r-2", "id": "lying"})
    warehouse.write_records("events", [(lying.partitionkey.encode(), to_json(lying))], partition=1)

    warehouse.store_all()

    assert warehouse.ask("SELECT id FROM mentoring.events FINAL WHERE tenant_id = {tenant}") == [(mine.id,)]
    assert warehouse.clickhouse.query(
        "SELECT log_partition, log_offset, reason, path FROM mentoring.dead_letter FINAL "
        f"WHERE topic = '{warehouse.topic('events')}' ORDER BY log_partition, log_offset"
    ) == [
        *((0, offset, "misplaced", "key") for offset in range(3)),
        (1, 0, "misplaced", "partition"),
        (1, 1, "misplaced", "partitionkey"),
    ]


def test_a_row_that_clickhouse_refuses_is_found_among_the_others_and_dead_lettered(warehouse: Warehouse) -> None:
    tenant = warehouse.tenant
    names = warehouse.placed(9)
    check = f"tenant_id != '{tenant}' OR relationship_id != '{names[5]}'"
    warehouse.clickhouse.command(f"ALTER TABLE mentoring.events ADD CONSTRAINT not_five CHECK {check}")
    warehouse.write("events", *(held(relationship=name, tenant=tenant) for name in names))

    try:
        warehouse.store_all()
    finally:
        warehouse.clickhouse.command("ALTER TABLE mentoring.events DROP CONSTRAINT not_five")

    assert warehouse.count("mentoring.events") == 8
    assert dead_letters(warehouse, "events") == [(5, "clickhouse_469")]


def test_a_row_whose_numbers_fit_no_column_is_dead_lettered(warehouse: Warehouse) -> None:
    tenant = warehouse.tenant
    huge = row(NOON + MICROSECOND, score=score(trend=1e12))
    warehouse.write("scores", changed(row(), tenant=tenant), changed(huge, tenant=tenant))

    warehouse.store_all()

    assert warehouse.count("mentoring.score_history") == 1
    assert dead_letters(warehouse, "scores") == [(1, "clickhouse_53")]


def test_a_bad_deploy_stops_and_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.write_bytes("events", [b"{}"] * 100)

    with pytest.raises(BadDeployError, match="100 records in a row"):
        warehouse.store_all()

    assert warehouse.committed("events") is None
    assert dead_letters(warehouse, "events") == []


def dead_letters(warehouse: Warehouse, kind: str) -> list[tuple[object, ...]]:
    return warehouse.clickhouse.query(
        "SELECT log_offset, reason FROM mentoring.dead_letter FINAL "
        f"WHERE topic = '{warehouse.topic(kind)}' ORDER BY log_offset"
    )


def test_a_bad_deploy_is_noticed_before_the_rest_of_the_batch_is_read(warehouse: Warehouse) -> None:
    """Each record that meets an error of ours is a line in the log."""
    store, records = Store([warehouse.clickhouse], Breaker(3), Meters(CollectorRegistry())), iter(range(10))

    with pytest.raises(BadDeployError):
        store.collect((offset, Refused("failed", "KeyError")) for offset in records)

    assert list(records) == list(range(3, 10))
