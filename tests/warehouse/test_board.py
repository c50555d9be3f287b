"""What the board asks ClickHouse is answered by the marts as they are."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from services.notify.board.history import HistoryUnavailable, StoredHistory
from services.runtime.settings import Settings
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, changed, held, row, score


def asked(warehouse: Warehouse, query: str, **parameters: object) -> Sequence[tuple[Any, ...]] | HistoryUnavailable:
    async def ask() -> Sequence[tuple[Any, ...]] | HistoryUnavailable:
        history = StoredHistory(Settings(clickhouse=warehouse.settings.clickhouse))
        try:
            return await history.query(query, **parameters)
        finally:
            history.close()

    return asyncio.run(ask())


def test_the_queries_of_the_board_are_answered(warehouse: Warehouse) -> None:
    tenant, since = warehouse.tenant, NOON - timedelta(days=30)
    warehouse.write("events", held(tenant=tenant))
    warehouse.write("scores", changed(row(score=score(health=48.0)), tenant=tenant))
    warehouse.store_all()
    warehouse.recompute()

    scores = asked(warehouse, "scores", tenant=tenant, relationship="r-1", since=since)
    events = asked(warehouse, "events", tenant=tenant, relationship="r-1", since=since)
    days = asked(warehouse, "programme", tenant=tenant, program="spruce", since=since)
    sources = asked(warehouse, "sources", tenant=tenant, program="spruce")

    assert not isinstance(scores, HistoryUnavailable)
    assert [(as_of, health) for as_of, health, *_ in scores] == [(NOON, 48.0)]
    assert not isinstance(events, HistoryUnavailable)
    assert [(at, kind) for at, kind, *_ in events] == [(NOON, "mentoring.session.held.v1")]
    assert not isinstance(days, HistoryUnavailable)
    assert days
    assert not isinstance(sources, HistoryUnavailable)
    assert len(sources) == 1
    assert asked(warehouse, "alive") == [(1,)]


def test_an_unavailable_clickhouse_gives_no_answers_and_is_not_queried_for_a_while() -> None:
    async def twice() -> list[object]:
        history = StoredHistory(Settings(clickhouse="http://127.0.0.1:1"))
        try:
            return [await history.query("alive"), history.reason, await history.query("alive")]
        finally:
            history.close()

    away = HistoryUnavailable("ClickHouse does not answer")
    assert asyncio.run(twice()) == [away, away.reason, away]
