"""Lookup of a tool's earlier statements in the warehouse, on a real ClickHouse."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import OfRelationship, to_json
from services.ingest.domain.ids import event_id, statement_id
from services.ingest.domain.tools.projection import EmittedEvent
from services.ingest.flow.tools.statements import StoredStatements
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.warehouse.domain.events import COLUMNS, EVENTS, event_row
from services.warehouse.domain.record import RecordMetadata
from tests.ingest.people.building import NOON, event

SLACK = "urn:rapport:acme:slack:slack_acme"


@pytest.fixture(scope="module")
def clickhouse(migrated_clickhouse: LocalClickHouse) -> Iterator[ClickHouse]:
    with closing(ClickHouse(Settings(clickhouse=migrated_clickhouse.url))) as client:
        yield client


def store(clickhouse: ClickHouse, *events: OfRelationship) -> None:
    outcomes = [event_row(to_json(one), RecordMetadata(0, offset, 0)) for offset, one in enumerate(events)]
    rows = [row.values for found in outcomes if isinstance(found, tuple) for row in found]
    clickhouse.insert(EVENTS.name, COLUMNS, rows, {})


def test_an_emitted_event_is_found_by_its_statement_with_its_slot(clickhouse: ClickHouse) -> None:
    tenant = f"t{uuid4().hex}"
    said = {"source": SLACK, "tenant": tenant, "time": NOON}
    ours = event("message.sent", {"by": "mentee", "channel": "slack"}, id=event_id("m1", "rel-1"), **said)
    other = event("message.sent", {"by": "mentee", "channel": "slack"}, id=event_id("m2", "rel-1"), **said)
    store(clickhouse, ours, other, ours)
    stored = StoredStatements(clickhouse)

    found = stored.find(tenant, SLACK, statement_id("m1"))

    assert found == (EmittedEvent("rel-1", "leaders", ours.id, ours.type, NOON, "mentee"),)
    assert stored.find(tenant, "urn:rapport:acme:slack:other", statement_id("m1")) == ()
    assert stored.find("beta", SLACK, statement_id("m1")) == ()


def test_an_unavailable_warehouse_returns_nothing() -> None:
    with closing(ClickHouse(Settings(clickhouse="http://127.0.0.1:1"))) as away:
        assert StoredStatements(away).find("acme", SLACK, statement_id("m1")) == ()
