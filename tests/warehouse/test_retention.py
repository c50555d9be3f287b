"""Rows that are too old leave, and what was counted of them stands."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import CloudEvent, to_json
from services.runtime.clickhouse import ClickHouse
from services.warehouse.__main__ import main
from services.warehouse.domain.alerts import ALERTS
from services.warehouse.domain.events import EVENTS
from services.warehouse.domain.programs import PROGRAMS
from services.warehouse.domain.reconciliation import ExpectedRows
from services.warehouse.domain.record import RecordMetadata
from services.warehouse.domain.retention import FOREVER, Retention, ttl, ttl_of
from services.warehouse.domain.target import EVENT_LOG
from services.warehouse.settings import WarehouseSettings
from tests.warehouse.known_history import put
from tests.warehouse.samples import held, started

NOW = datetime(2026, 6, 1, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_ttl_of_a_table_is_read_as_it_is_written() -> None:
    wanted = ttl(EVENTS, Retention(events=400))

    assert wanted.startswith("toDateTime(occurred_at) + toIntervalDay(400) WHERE type NOT IN (")
    assert ttl_of(f"ReplacingMergeTree(version) ORDER BY id TTL {wanted} SETTINGS index_granularity = 8192") == wanted
    assert ttl_of("ReplacingMergeTree ORDER BY id SETTINGS x = 1") == ttl(EVENTS, FOREVER) == ""


def test_days_with_expired_rows_are_not_recomputed() -> None:
    days = [("acme", "spruce", date(2026, 1, 1)), ("acme", "spruce", date(2026, 5, 1))]

    assert Retention(events=90, alerts=400).complete_days(days, NOW) == days[1:]
    assert FOREVER.complete_days(days, NOW) == days


def test_the_comparison_begins_a_day_after_the_retention_limit() -> None:
    retention = Retention(alerts=90)

    assert retention.since(ALERTS, NOW) == datetime(2026, 3, 4, tzinfo=UTC)
    assert retention.since(EVENTS, NOW) is retention.since(PROGRAMS, NOW) is None


def test_a_row_from_before_is_not_expected_in_the_table() -> None:
    expected = ExpectedRows(EVENTS, set(), NOW)
    for at in (NOW - DAY, NOW + DAY):
        outcome = EVENT_LOG.read(to_json(held(at)), RecordMetadata(0, at.day))
        assert isinstance(outcome, tuple)
        expected.add(outcome[0])

    assert expected.offsets() == [(NOW + DAY).day]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"warehouse_keep_events_days": 30}, "must be 0 \\(never\\), or at least 90"),
        ({"warehouse_keep_alerts_days": 400, "clock": "log"}, "leave them out with CLOCK=log"),
    ],
)
def test_a_retention_that_would_lose_more_than_intended_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WarehouseSettings.model_validate(settings)


@pytest.fixture
def clickhouse(warehouse_server: LocalClickHouse) -> Iterator[ClickHouse]:
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as found:
        yield found
        rapport(warehouse_server, "migrate")


def rapport(server: LocalClickHouse, command: str, **days: int) -> Result:
    keep = {f"RAPPORT_WAREHOUSE_KEEP_{kind.upper()}_DAYS": str(number) for kind, number in days.items()}
    return CliRunner().invoke(main, [command], env={"RAPPORT_CLICKHOUSE": server.url} | keep)


def test_old_events_expire_and_starts_of_relationships_and_counts_stay(
    warehouse_server: LocalClickHouse, clickhouse: ClickHouse
) -> None:
    tenant, today = f"kept-{uuid.uuid4().hex[:8]}", datetime.now(UTC)
    old, young = today - 200 * DAY, today - 10 * DAY
    told: list[CloudEvent[Any, Any]] = [
        started(old, "r-1", tenant),
        held(old, "r-1", tenant),
        held(young, "r-1", tenant),
    ]
    put(clickhouse, EVENT_LOG, [to_json(one) for one in told])
    rapport(warehouse_server, "recompute")

    done, again = (rapport(warehouse_server, "migrate", events=100) for _ in range(2))
    clickhouse.command("OPTIMIZE TABLE mentoring.events FINAL")
    rapport(warehouse_server, "recompute", events=100)

    left = clickhouse.query(
        f"SELECT type FROM mentoring.events FINAL WHERE tenant_id = '{tenant}' ORDER BY occurred_at"
    )
    assert "keeps    mentoring.events: 100 days" in done.output
    assert "keeps" not in again.output
    assert left == [("mentoring.relationship.started.v1",), ("mentoring.session.held.v1",)]
    assert clickhouse.query(
        f"SELECT day, sessions FROM mentoring.program_daily FINAL WHERE tenant_id = '{tenant}' ORDER BY day"
    ) == [(old.date(), 1), (young.date(), 1)]

    back = rapport(warehouse_server, "migrate")

    assert "keeps    mentoring.events: for ever" in back.output
