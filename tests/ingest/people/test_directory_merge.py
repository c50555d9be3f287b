"""Statements of feeds are merged in the order of the log, whatever their writers have read, on the real broker."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from schemas.directory import Participant, ToolIdentity
from schemas.topics import DIRECTORY, EVENTS
from services.ingest.domain.activity import Employed
from services.ingest.domain.admission import Clock
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.tools.statements import DirectoryStatementWriter, Result, Statements
from services.runtime.kafka import Producer, read_to_end
from services.runtime.settings import Settings
from tests.ingest.conftest import Gateway
from tests.ingest.people.building import employed, participant
from tests.ingest.test_directory import directory
from tests.receiver import eventually

Say = Callable[..., Result]
ADA = {"id": "p-ada", "name": "Ada", "time_zone": "Europe/Berlin", "consent": True}
SLACK, ZOOM = {"tool": "slack", "id": "UADA"}, {"tool": "zoom", "id": "z-ada"}


@pytest.fixture
def tenant() -> str:
    return f"t{uuid4().hex}"


@pytest.fixture
def producer(broker: Settings) -> Iterator[Producer]:
    with closing(Producer(broker)) as producer:
        yield producer


def worker(producer: Producer, tenant: str, feed: str = "hr_feed", *known: Participant) -> Say:
    """The worker of tools with a projection that nothing keeps up to date: it knows these people and no more."""
    projection = Projection()
    for one in known:
        projection.upsert(one)
    scope = ConnectionScope(tenant, None, "hr", feed)
    event_writer = EventWriter(producer, 10, EVENTS.name)
    clock = Clock(datetime.now(UTC))
    statements = Statements(event_writer, DirectoryStatementWriter(producer), projection, lambda: clock, lambda *_: ())

    def say(said: Employed) -> Result:
        result = statements.write((said,), scope)
        statements.pending_writes.settle()
        return result

    return say


def person(broker: Settings, tenant: str, name: str = "p-ada") -> Participant | None:
    """As the directory has them now."""
    value = None
    for record in read_to_end(broker, [DIRECTORY.name], isolation_level="read_committed"):
        if record.key == f"{tenant}/{name}".encode():
            value = record.value
    return Participant.model_validate_json(value) if value else None


def row(**changes: Any) -> Employed:  # noqa: ANN401 (any field)
    return employed("ada", "active", name="Ada by HR", **changes)


def tools(found: Participant | None) -> set[tuple[str, str]]:
    return {(one.tool, one.id) for one in found.identities} if found else set()


def test_an_identity_that_was_posted_just_before_a_row_of_hr_survives_it(
    gateway: Gateway, broker: Settings, producer: Producer, tenant: str
) -> None:
    api = directory(gateway, broker, tenant=tenant)
    zoom = (ToolIdentity(tool="zoom", id="z-ada"),)
    say = worker(producer, tenant, "hr_feed", participant("ada", tenant=tenant, identities=zoom))
    assert api.post([ADA | {"identities": [ZOOM]}]).status_code == 202

    assert api.post([ADA | {"identities": [ZOOM, SLACK]}]).status_code == 202
    say(row())

    eventually(lambda: getattr(person(broker, tenant), "name", "") == "Ada by HR", what="the row in the directory")
    assert tools(person(broker, tenant)) == {("zoom", "z-ada"), ("slack", "UADA")}


def test_what_is_posted_after_a_row_of_hr_stands_whole(
    gateway: Gateway, broker: Settings, producer: Producer, tenant: str
) -> None:
    api = directory(gateway, broker, tenant=tenant)

    worker(producer, tenant)(row(identities=(("teams", "t-ada"),)))
    assert api.post([ADA | {"identities": [SLACK]}]).status_code == 202

    eventually(lambda: getattr(person(broker, tenant), "name", "") == "Ada", what="what was posted in the directory")
    assert tools(person(broker, tenant)) == {("slack", "UADA")}


@pytest.mark.parametrize("first", ["payroll", "campus"])
def test_two_feeds_of_which_neither_knows_the_other_leave_each_others_tools_alone(
    broker: Settings, producer: Producer, tenant: str, first: str
) -> None:
    say = {name: worker(producer, tenant, name) for name in ("payroll", "campus")}
    told = {"payroll": row(identities=(("slack", "UADA"),)), "campus": row(identities=(("zoom", "z-ada"),))}
    second = "campus" if first == "payroll" else "payroll"

    say[first](told[first])
    say[second](told[second])

    eventually(lambda: len(tools(person(broker, tenant))) == 2, what="both in the directory")
    assert tools(person(broker, tenant)) == {("zoom", "z-ada"), ("slack", "UADA")}


def test_a_row_that_changes_nothing_for_a_stale_worker_is_written(
    gateway: Gateway, broker: Settings, producer: Producer, tenant: str
) -> None:
    api = directory(gateway, broker, tenant=tenant)
    said = row()
    say = worker(producer, tenant)
    say(said)
    assert api.post([ADA | {"identities": [SLACK]}]).status_code == 202
    eventually(lambda: getattr(person(broker, tenant), "name", "") == "Ada", what="what was posted in the directory")

    assert say(said) == Ignored("unchanged")

    eventually(lambda: getattr(person(broker, tenant), "name", "") == "Ada by HR", what="the row in the directory")
    assert tools(person(broker, tenant)) == {("slack", "UADA")}
