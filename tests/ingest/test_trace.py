"""The trace of an event or a payload, on a real broker and a real warehouse."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from schemas.topics import raw_topic
from services.ingest.__main__ import main
from services.ingest.commands.trace import OriginError, parse_origin
from services.runtime.kafka import Partition
from services.runtime.settings import Settings
from services.warehouse.domain.target import feed_of
from services.warehouse.service import serve
from services.warehouse.settings import WarehouseSettings
from tests.conftest import WithTables
from tests.ingest.conftest import DIGEST_KEY, SOURCE, Gateway, Log, event, make_token, running_gateway
from tests.ingest.tooling import connections_file, make_pair, meeting_id, post_zoom, zoom
from tests.receiver import eventually


@pytest.fixture(scope="module")
def stored(
    broker: Settings, with_tables: WithTables, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WarehouseSettings]:
    """A warehouse that stores what comes onto the log."""
    with LocalClickHouse(ClickHouseConfig(with_tables(tmp_path_factory.mktemp("tables")))) as server:
        # Nobody looks at what is derived; to derive it takes half a second of CPU each time.
        rarely: dict[str, Any] = {"warehouse_flush_seconds": 0.2, "warehouse_recompute_seconds": 60}
        settings = WarehouseSettings(kafka=broker.kafka, clickhouse=server.url, **rarely)
        stop = threading.Event()
        thread = threading.Thread(target=serve, args=(settings, feed_of(0), stop))
        thread.start()
        try:
            yield settings
        finally:
            stop.set()
            thread.join(60)


@pytest.fixture(scope="module")
def connected(
    broker: Settings, stored: WarehouseSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Path]]:
    file = connections_file(tmp_path_factory.mktemp("connections"))
    options: dict[str, Any] = {"ingest_connections": file, "clickhouse": stored.clickhouse}
    with running_gateway(broker.kafka, make_token(broker), **options) as running:
        yield running, file


@pytest.fixture
def gateway(
    connected: tuple[Gateway, Path], broker: Settings, stored: WarehouseSettings, monkeypatch: pytest.MonkeyPatch
) -> Gateway:
    running, file = connected
    environment = {"KAFKA": broker.kafka, "CLICKHOUSE": stored.clickhouse, "INGEST_CONNECTIONS": str(file)}
    for name, value in {**environment, "INGEST_DIGEST_KEY": DIGEST_KEY}.items():
        monkeypatch.setenv(f"RAPPORT_{name}", value)
    return running


def trace(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["trace", *arguments])


def steps(result: Result) -> dict[str, str]:
    """The last words of each sort of step."""
    return {step["what"]: f"{step['words']} {step['place']}" for step in map(json.loads, result.stdout.splitlines())}


def test_an_event_is_traced_with_its_position_and_results(gateway: Gateway) -> None:
    plain, worded = event(), event(id="Ann & Ben's talk")
    assert [gateway.post(one).status_code for one in (plain, worded)] == [202, 202]
    eventually(lambda: trace(SOURCE, worded["id"], "--tenant", "acme").exit_code == 0)

    found = trace(SOURCE, plain["id"])

    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("event     mentoring.session.held.v1 of acme/rel-1, happened 2026-03-01T10:00:00")
    assert "[mentoring.events/" in found.stdout
    assert "score     none: the event is no fact to a score, or scoring has not come so far" in found.stdout
    assert "alert     none: no rule has changed by it" in found.stdout
    assert trace(SOURCE, worded["id"]).exit_code == 1


def test_an_unknown_event_is_reported_with_a_hint(gateway: Gateway) -> None:
    nowhere = trace(SOURCE, uuid4().hex)

    assert (nowhere.exit_code, "no such event is on the log" in nowhere.stderr) == (1, True)
    assert gateway


def test_a_payload_is_followed_to_its_event_or_to_quarantine(gateway: Gateway, broker: Settings) -> None:
    pair, meeting, log = make_pair(broker), meeting_id(), Log(broker, raw_topic("zoom"))
    invited = {"meeting_invitees": [{"email": pair.mentor}, {"email": pair.mentee}]}
    more: dict[str, Any] = {"type": 2, "start_time": "2026-03-06T10:00:00Z", "duration": 30, "settings": invited}
    assert post_zoom(gateway, zoom("created", meeting, host_email=pair.mentor, **more)).status_code == 200
    stranger = zoom("joined_by_nobody", meeting_id())
    assert post_zoom(gateway, stranger).status_code == 200
    booked, ignored = (f"{one.topic}/{one.partition}/{one.offset}" for one in log.records())

    eventually(lambda: "score" in steps(trace("--payload", booked, "--json")))
    found = steps(trace("--payload", booked, "--json"))
    other = trace("--payload", ignored)

    assert found["raw"].endswith(f" {booked}")
    assert found["statement"].startswith("booked")
    assert f"of the relationship {pair.relationship}: mentoring.session.scheduled.v1" in found["resolution"]
    assert f"mentoring.session.scheduled.v1 of acme/{pair.relationship}" in found["event"]
    assert "payload   ignored: " in other.stdout


def test_an_origin_is_a_position_on_a_raw_topic(gateway: Gateway) -> None:
    gone = f"{raw_topic('zoom')}/0/{10**12}"

    assert parse_origin(f"{raw_topic('zoom')}/3/17#2") == (Partition(raw_topic("zoom"), 3), 17)
    malformed = ("", "mentoring.events/0/1", raw_topic("zoom"), f"{raw_topic('zoom')}/0/x", f"{raw_topic('zoom')}/-1/2")
    for origin in malformed:
        with pytest.raises(OriginError, match="is not written topic/partition/offset"):
            parse_origin(origin)
    assert "is not on its topic: payloads stay for 14 days" in trace("--payload", gone).stdout
    assert trace("--payload", "nonsense").exit_code == 1
    assert trace("only-a-source").exit_code == trace("a", "b", "--payload", gone).exit_code == 2
    assert gateway
