"""Free text in fields of tools, over HTTP and on raw topics, is on no topic, in no table and in no line of the logs."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from schemas.events import to_json
from schemas.topics import EVENTS, REJECTED, TOPICS, raw_topic
from services.ingest.console import write
from services.ingest.domain.scope import ConnectionScope
from services.ingest.sources.google_calendar import is_push
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import Connection
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Producer, Record
from services.runtime.settings import Settings
from services.warehouse.domain.target import feed_of
from services.warehouse.service import serve
from services.warehouse.settings import WarehouseSettings
from tests import plain_http
from tests.conftest import WithTables
from tests.ingest.conftest import DIGEST_KEY, Gateway, Log, make_token, running_gateway
from tests.ingest.marking import MARKER, at_once, is_marked, replaced, strings
from tests.ingest.signing import SECRET, headers_of
from tests.ingest.test_free_text import FULL, SPARED
from tests.ingest.test_fuzz import SAMPLES, people_of, relationship_of
from tests.ingest.tooling import FOLLOWED_SECONDS, url, write_people
from tests.receiver import eventually

# Requests under way; a gateway has more.
AT_ONCE = 8
TABLES = ("events", "dead_letter")
WRITER = ("note", MARKER.encode())
HEADER = "id;name;status;email;leave_from;notes"
PARTS = f"--b\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--b\r\nContent-Type: text/plain\r\n\r\n{MARKER}\r\n--b--"
OTHER_FORMS = (
    ("hr", "text/csv", f"{HEADER}\np-ada;A B;active;;;{MARKER}\n"),
    ("hr", "text/csv", f"{HEADER}\np-ada;A B;{MARKER};{MARKER};{MARKER};\n"),
    ("hr", "text/csv", f"{HEADER}\n{MARKER};A B;active;;;\np-ada;A B;active;;;a note; {MARKER}\n"),
    ("hr", "text/csv", f'{HEADER}\np-ada;"A B"{MARKER};active;;;\n'),
    ("hr", "text/csv", f"{HEADER};{MARKER};{MARKER}\np-ada;A B;active;;;;;\n"),
    ("hr", "text/csv", f"{MARKER};{MARKER}\np-ada;A B\n"),
    ("hr", f"text/csv; charset={MARKER.split()[0]}", f"{HEADER}\np-ada;A B;active;;;\n"),
    ("xapi", "multipart/mixed; boundary=b", PARTS),
    ("xapi", "multipart/mixed; boundary=b", PARTS.replace("{}", json.dumps(SAMPLES["xapi"][0][0]))),
    ("xapi", f'multipart/mixed; boundary="{MARKER}"', MARKER),
)
"""Tables and attachments: the tool, the content type and the body."""


@dataclass
class Way:
    """A gateway with a connection of each tool, and all that comes onto any topic."""

    gateway: Gateway
    producer: Producer
    clickhouse: ClickHouse
    logs: dict[str, Log] = field(init=False)

    def __post_init__(self) -> None:
        settings = self.gateway.settings
        self.logs = {topic.name: Log(settings, topic.name) for topic in TOPICS}

    def post(self, client: httpx.Client, tool: str, value: object) -> None:
        body = json.dumps(value).encode()
        headers = headers_of(tool, body)
        if isinstance(value, dict) and is_push(value):
            body, headers = b"", {"x-goog-channel-token": SECRET, **dict(_as_headers(value))}
        answer = client.post(url(self.gateway, tool, f"{tool}_one"), content=body, headers=headers)
        assert answer.status_code < 500, answer.text
        assert answer.status_code not in {401, 404, 415}, answer.text

    def put(self, tool: str, value: object) -> None:
        """As an enterprise would write it."""
        headers = [("connection", f"{tool}_one".encode()), ("content-type", b"application/json"), WRITER]
        self.producer.send(raw_topic(tool), f"{tool}_one".encode(), json.dumps(value).encode(), headers=headers)

    def all_handled(self, tool: str) -> None:
        """What lies on the raw topic until now, since one connection stays on one partition."""
        rejected, headers = Log(self.gateway.settings, REJECTED.name), [("connection", f"{tool}_one".encode())]
        sent = self.producer.send(raw_topic(tool), f"{tool}_one".encode(), b"no JSON", headers=headers).get(30)
        origin = f"{raw_topic(tool)}/{sent.partition}/{sent.offset}".encode()
        eventually(lambda: rejected.growth() and any(one.key == origin for one in rejected.records()), seconds=120)

    def rows(self, table: str, tenant: str) -> list[tuple[Any, ...]]:
        where = "" if table == "dead_letter" else f" WHERE tenant_id = '{tenant}'"
        return self.clickhouse.query(f"SELECT * FROM mentoring.{table}{where}")

    def ours(self) -> Iterator[tuple[str, Record]]:
        """All records since the last call but those that the enterprise wrote: each is looked at once."""
        for topic, log in self.logs.items():
            yield from ((topic, record) for record in log.news() if WRITER not in record.headers)


def _as_headers(push: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Such as HTTP takes."""
    for name, text in push.items():
        if isinstance(text, str) and " " not in name:
            yield name, text


@pytest.fixture(scope="module")
def warehouse(
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
def way(broker: Settings, warehouse: WarehouseSettings) -> Iterator[Way]:
    connections = {
        f"{tool}_one": Connection(
            ConnectionScope(f"quiet-{tool}", None, tool, f"{tool}_one"),
            TOOLS[tool],
            SAMPLES[tool][1],
            SECRET,
            digest_key=DIGEST_KEY,
        )
        for tool in TOOLS
    }
    producer = Producer(broker)
    options: dict[str, Any] = {"ingest_connection_rate": 100_000, "clickhouse": warehouse.clickhouse}
    try:
        with (
            running_gateway(broker.kafka, make_token(broker), connections=connections, **options) as gateway,
            closing(ClickHouse(warehouse)) as clickhouse,
        ):
            yield Way(gateway, producer, clickhouse)
    finally:
        producer.close()


def variants(tool: str) -> Sequence[Any]:
    """All that a vendor documents with the marker in each string in turn; the other examples with it in all of them."""
    spared = SPARED.get(tool, frozenset())
    full = [replaced(value, {path: MARKER}) for value in FULL[tool] for path, _ in strings(value, spared)]
    whole = (*FULL[tool], *SAMPLES[tool][0])
    return [*full, *(written for value in whole for _, written in at_once(value, spared))]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tool", TOOLS)
def test_what_people_wrote_is_on_no_topic_and_in_no_line_of_the_log(way: Way, broker: Settings, tool: str) -> None:
    examples = [*FULL[tool], *SAMPLES[tool][0]]
    tenant = f"quiet-{tool}"
    people = people_of(examples, tenant)
    write_people(broker, people)
    write(broker, EVENTS.name, {f"{tenant}/rel-1": to_json(relationship_of(tenant, "e-1"))})
    time.sleep(FOLLOWED_SECONDS)
    written = variants(tool)

    with capture_logs() as lines:
        with httpx.Client(timeout=30) as client, ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(partial(way.post, client, tool), written))
        for value in written:
            way.put(tool, value)
        way.all_handled(tool)

    found = list(way.ours())
    assert {topic for topic, _ in found} >= {raw_topic(tool), REJECTED.name}
    assert any(topic == EVENTS.name and tool.encode() in (record.value or b"") for topic, record in found)
    for _, record in found:
        assert not is_marked(repr((record.key, record.value, record.headers)).encode())
    assert not is_marked(repr(lines).encode())
    eventually(lambda: way.rows("events", tenant))
    assert not any(is_marked(repr(row).encode()) for table in TABLES for row in way.rows(table, tenant))


@pytest.mark.parametrize(("tool", "content_type", "body"), OTHER_FORMS, ids=lambda given: str(given)[:12])
def test_tables_and_attachments_leave_no_free_text(way: Way, tool: str, content_type: str, body: str) -> None:
    headers = headers_of(tool, body.encode()) | {"content-type": content_type}
    raw = [("connection", f"{tool}_one".encode()), ("content-type", content_type.encode()), WRITER]

    with capture_logs() as lines:
        plain_http.post(url(way.gateway, tool, f"{tool}_one"), content=body.encode(), headers=headers, timeout=30)
        way.producer.send(raw_topic(tool), f"{tool}_one".encode(), body.encode(), headers=raw)
        way.all_handled(tool)

    for topic, record in way.ours():
        assert not is_marked(repr((record.key, record.value, record.headers)).encode()), topic
    assert not is_marked(repr(lines).encode())
