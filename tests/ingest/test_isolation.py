"""Isolation of two tenants, and of two Zoom accounts of one tenant: none can write into another's relationships or keep
it from writing."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.topics import EVENTS, raw_topic
from services.ingest.__main__ import main
from services.ingest.settings import IngestSettings
from services.runtime.kafka import Producer
from services.runtime.settings import Settings
from tests.ingest.conftest import BATCH, Gateway, Log, event, make_token, running_gateway
from tests.ingest.tooling import (
    JOINED,
    LEFT,
    SECRETS,
    Pair,
    connections_file,
    make_pair,
    meeting_id,
    of,
    post_zoom,
    zoom,
)
from tests.receiver import eventually

OURS = "urn:rapport:acme:zoom:zoom_acme"
ZOOMS = ("zoom_acme", "zoom_leaders", "zoom_globex")
# On a machine that is slow and busy with other tests.
PROMPT_SECONDS = 20.0


@pytest.fixture(scope="module")
def tools(broker: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    file = connections_file(tmp_path_factory.mktemp("connections"))
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file) as running:
        yield running


@pytest.fixture
def log(broker: Settings) -> Log:
    return Log(broker, EVENTS.name)


def seen(pair: Pair, log: Log) -> list[dict[str, Any]]:
    return [told for told in of(pair, log) if told["type"].startswith("mentoring.session.")]


def meet(gateway: Gateway, pair: Pair, connection: str, meeting: str) -> None:
    for told in (zoom(JOINED, meeting, pair.mentor), zoom(JOINED, meeting, pair.mentee)):
        assert post_zoom(gateway, told, connection).is_success


def bearer(broker: Settings, gateway: Gateway, **scopes: object) -> str:
    """A token that the gateway already knows."""
    authorization = f"Bearer {make_token(broker, **scopes)}"
    eventually(lambda: gateway.post([], BATCH, authorization=authorization).status_code == 400)
    return authorization


@pytest.mark.parametrize("connection", ["zoom_leaders", "zoom_globex"])
def test_no_other_account_sees_the_pair_whatever_its_meeting_is_called(
    tools: Gateway, broker: Settings, log: Log, connection: str
) -> None:
    pair, meeting = make_pair(broker), meeting_id()

    meet(tools, pair, connection, meeting)
    meet(tools, pair, "zoom_acme", meeting)

    eventually(lambda: len(seen(pair, log)) == 2)
    assert {told["source"] for told in seen(pair, log)} == {OURS}
    foreign = replace(pair, tenant="globex")
    assert of(foreign, log) == []


@pytest.mark.parametrize("connection", ["zoom_leaders", "zoom_globex"])
def test_no_other_account_ends_a_meeting_or_lets_somebody_leave(
    tools: Gateway, broker: Settings, log: Log, connection: str
) -> None:
    pair, meeting = make_pair(broker), meeting_id()
    meet(tools, pair, "zoom_acme", meeting)
    eventually(lambda: len(seen(pair, log)) == 2)

    for told in (zoom(LEFT, meeting, pair.mentor), zoom("ended", meeting), zoom("deleted", meeting)):
        post_zoom(tools, told, connection)
    post_zoom(tools, zoom(LEFT, meeting, pair.mentor, "2026-03-02T11:00:00Z"))

    eventually(lambda: len(seen(pair, log)) == 3)
    assert [told["time"] for told in seen(pair, log)][2] == "2026-03-02T11:00:00.000000Z"


def test_the_secret_of_one_account_opens_no_other(tools: Gateway, broker: Settings) -> None:
    raw = Log(broker, raw_topic("zoom"))

    tried = {
        (mine, theirs): post_zoom(tools, zoom(JOINED, meeting_id()), theirs, secret=SECRETS[mine]).status_code
        for mine in SECRETS
        for theirs in ZOOMS
        if mine != theirs
    }

    assert set(tried.values()) == {401}
    assert raw.growth() == 0


@pytest.mark.parametrize("tenant", ["acme", "globex"])
@pytest.mark.parametrize("connection", ZOOMS)
def test_no_token_can_write_under_the_source_of_a_connection(
    tools: Gateway, broker: Settings, log: Log, tenant: str, connection: str
) -> None:
    owner = "globex" if connection == "zoom_globex" else "acme"
    source = f"urn:rapport:{owner}:zoom:{connection}"
    authorization = bearer(broker, tools, tenant=tenant, sources=(source, "urn:own"), admin=True)
    target = {"source": source, "id": "1", "type": "mentoring.session.held.v1", "time": "2026-03-01T10:00:00Z"}

    said = tools.post(event(source=source), authorization=authorization)
    retracted = tools.post(
        event(source="urn:own", type="mentoring.event.retracted.v1", data=target), authorization=authorization
    )

    assert (said.status_code, said.json()["errors"][0]["path"]) == (403, "source")
    assert (retracted.status_code, retracted.json()["errors"][0]["path"]) == (403, "data.source")
    assert log.growth() == 0


def test_a_known_id_of_another_tenant_or_source_is_no_conflict(tools: Gateway, broker: Settings, log: Log) -> None:
    pair, meeting = make_pair(broker), meeting_id()
    meet(tools, pair, "zoom_acme", meeting)
    eventually(lambda: len(seen(pair, log)) == 2)
    taken = seen(pair, log)[0]["id"]
    theirs = bearer(broker, tools, tenant="globex", sources=("urn:own",))
    early = event(source="urn:own", id=f"{taken}x", subject=pair.relationship)

    squatted = tools.post(event(source="urn:own", id=taken, subject=pair.relationship), authorization=theirs)
    first = tools.post(early, authorization=theirs)
    ours = tools.post(event(id=early["id"], subject=pair.relationship))

    assert [answer.status_code for answer in (squatted, first, ours)] == [202, 202, 202]
    assert {answer.json()["reason"] for answer in (squatted, first, ours)} == {"recorded"}
    assert [told["tenant"] for told in of(pair, log)].count("globex") == 0


def test_no_tenant_programme_or_key_in_an_event_reaches_out_of_the_token(
    tools: Gateway, broker: Settings, log: Log
) -> None:
    theirs = bearer(broker, tools, tenant="globex", programs=("leaders",), sources=("urn:own",))
    own = {"source": "urn:own", "program": "leaders"}
    tried = (
        {"tenant": "acme"},
        {"partitionkey": "acme/rel-1"},
        {"program": "onboarding"},
        {"source": "urn:test:calendar"},
    )

    answers = [tools.post(event(**own | changes), authorization=theirs).status_code for changes in tried]

    assert answers == [403, 400, 403, 403]
    assert log.growth() == 0


def test_a_token_of_one_programme_cannot_write_to_a_relationship_of_another(
    tools: Gateway, broker: Settings, log: Log
) -> None:
    pair = make_pair(broker)
    theirs = bearer(broker, tools, tenant="acme", programs=("leaders",), sources=("urn:leaders",))

    answer = tools.post(event(source="urn:leaders", program="leaders", subject=pair.relationship), authorization=theirs)

    assert answer.status_code == 403
    assert answer.json()["errors"][0]["path"] == "subject"
    assert [told["type"] for told in of(pair, log)] == ["mentoring.relationship.started.v1"]


def test_a_record_in_the_name_of_a_connection_of_another_tool_is_put_aside(tools: Gateway, broker: Settings) -> None:
    pair, meeting, log = make_pair(broker), meeting_id(), Log(broker, EVENTS.name)
    producer = Producer(broker)
    for told in (zoom(JOINED, meeting, pair.mentor), zoom(JOINED, meeting, pair.mentee)):
        producer.send(raw_topic("slack"), b"k", json.dumps(told).encode(), headers=[("connection", b"zoom_acme")]).get(
            60
        )
    producer.close()

    own = meeting_id()
    meet(tools, pair, "zoom_acme", own)

    eventually(lambda: len(seen(pair, log)) == 2)
    assert {told["data"]["origin"]["native_id"] for told in seen(pair, log)} == {own}


def test_a_flood_of_one_tenant_makes_no_other_wait(tools: Gateway, broker: Settings) -> None:
    theirs = bearer(broker, tools, tenant="globex", sources=("urn:own",))
    flood = [event(source="urn:own") for _ in range(1_000)]
    for _ in range(5):
        tools.post([one | {"id": f"{one['id']}-{time.monotonic_ns()}"} for one in flood], BATCH, authorization=theirs)

    began = time.monotonic()
    answer = tools.post(event())

    assert answer.status_code == 202
    assert time.monotonic() - began < PROMPT_SECONDS


def test_no_token_is_created_for_a_reserved_source(broker: Settings) -> None:
    command = ["token", "create", "--tenant", "acme", "--source", OURS]

    result = CliRunner().invoke(main, command, env={"RAPPORT_KAFKA": broker.kafka})

    assert result.exit_code == 1
    assert "begin with urn:rapport: are Rapport's own" in result.output


def test_the_raw_topic_of_events_is_given_no_reserved_source() -> None:
    with pytest.raises(ValueError, match="urn:rapport:"):
        IngestSettings(ingest_raw_tenant="acme", ingest_raw_sources=(OURS,))
