"""The copy of events in the order of their types says what the events say."""

import re
import threading
import uuid
from contextlib import closing

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import to_json
from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.target import EVENT_LOG
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.migrator import migrations
from services.warehouse.flow.recompute_all import recompute_all
from services.warehouse.flow.statements import statement
from services.warehouse.settings import WarehouseSettings
from tests.warehouse.known_history import event, events, put
from tests.warehouse.samples import retracted

DAILY = (
    "mentoring.message.sent.v1",
    "mentoring.session.held.v1",
    "mentoring.session.joined.v1",
    "mentoring.session.left.v1",
    "mentoring.goal.progressed.v1",
    "mentoring.relationship.erased.v1",
)
COLUMNS = "relationship_id, occurred_at, event_id, type, source, id, recorded_at, actor, retracted, payload"


def rows(clickhouse: ClickHouse, mart: str, tenant: str) -> list[tuple[object, ...]]:
    return clickhouse.query(
        f"SELECT {COLUMNS} FROM mentoring_mart.{mart} WHERE tenant_id = %(tenant)s AND type NOT IN %(daily)s "
        "ORDER BY relationship_id, occurred_at, event_id",
        {"tenant": tenant, "daily": DAILY},
    )


@pytest.fixture
def tenant() -> str:
    return f"type-{uuid.uuid4().hex[:8]}"


def test_it_has_every_event_of_its_types_once_however_often_a_batch_is_stored(
    warehouse_server: LocalClickHouse, tenant: str
) -> None:
    goal = event("goal.set", 9, "d", tenant, goal_id="h", id="no")
    told = [to_json(one) for one in (*events(tenant), goal, retracted(goal, "d", tenant))]
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        for _ in range(2):
            put(clickhouse, EVENT_LOG, told)

        found = rows(clickhouse, "events_by_type", tenant)

        assert found == rows(clickhouse, "events", tenant)
        assert len(found) == 24
        assert [row[5] for row in found if row[8]] == ["no"]


def test_recompute_fills_it_with_rows_from_before_it_existed(warehouse_server: LocalClickHouse, tenant: str) -> None:
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        put(clickhouse, EVENT_LOG, [to_json(one) for one in events(tenant)])
        clickhouse.command("DELETE FROM mentoring.events_by_type WHERE tenant_id = %(tenant)s", {"tenant": tenant})
        assert rows(clickhouse, "events_by_type", tenant) == []

        recompute_all(clickhouse, lambda _: None)

        assert rows(clickhouse, "events_by_type", tenant) == rows(clickhouse, "events", tenant) != []


def test_recompute_restores_nothing_of_an_erased_relationship(warehouse_server: LocalClickHouse, tenant: str) -> None:
    erased = event("relationship.erased", 60, "a", tenant, by="admin", evidence="admin")
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        put(clickhouse, EVENT_LOG, [to_json(one) for one in (*events(tenant), erased)])
        DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()

        recompute_all(clickhouse, lambda _: None)

        [(left,)] = clickhouse.query(
            "SELECT count() FROM mentoring.events_by_type WHERE tenant_id = %(tenant)s AND relationship_id = 'a'",
            {"tenant": tenant},
        )
        assert left == 0


def test_the_view_that_fills_it_and_the_recomputation_leave_the_same_types_out() -> None:
    [view] = [one.sql for one in migrations() if one.name == "025_events_by_type"]
    left_out = [re.search(r"type NOT IN\s+\(([^)]*)\)", sql) for sql in (view, statement("events_by_type"))]

    assert [tuple(re.findall(r"'([^']*)'", found[1])) for found in left_out if found] == [DAILY, DAILY]
