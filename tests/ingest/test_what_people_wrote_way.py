"""What people write into the fields of tools, sent over HTTP and written to the raw topics by an enterprise: it is on
no topic and in no line of the log. The tables of ClickHouse hold what these topics hold."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from schemas.events import to_json
from schemas.topics import DIRECTORY, EVENTS, REJECTED, TOPICS, raw_of
from services.ingest.commands.console import write
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.sources.connection import Connection
from services.ingest.sources.google_calendar.pushes import is_push
from services.ingest.sources.registry import TOOLS
from services.runtime.kafka import Producer, Record
from services.runtime.settings import Settings
from tests.ingest.conftest import DIGEST_KEY, Gateway, Log, make_token, running_gateway
from tests.ingest.marking import MARKER, NOBODY, at_once, is_marked, replaced, strings
from tests.ingest.signing import SECRET, headers_of
from tests.ingest.test_fuzz import SAMPLES, people_of, relationship_of
from tests.ingest.test_what_people_wrote import CONVERTED, FULL, NAMES
from tests.ingest.tooling import FOLLOWED_SECONDS, url
from tests.receiver import eventually

# Requests under way; a gateway has more.
AT_ONCE = 8
WRITER = ("note", MARKER.encode())

TABLE = "id;name;status;email;leave_from;notes"
LETTER = (
    f"--b\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--b\r\nContent-Type: text/plain\r\n\r\n{MARKER}\r\n--b--"
)
OTHER_FORMS = (
    ("hr", "text/csv", f"{TABLE}\np-ada;A B;active;;;{MARKER}\n"),
    ("hr", "text/csv", f"{TABLE}\np-ada;A B;{MARKER};{MARKER};{MARKER};\n"),
    ("hr", "text/csv", f"{TABLE}\n{MARKER};A B;active;;;\np-ada;A B;active;;;a note; {MARKER}\n"),
    ("hr", "text/csv", f'{TABLE}\np-ada;"A B"{MARKER};active;;;\n'),
    ("hr", "text/csv", f"{TABLE};{MARKER};{MARKER}\np-ada;A B;active;;;;;\n"),
    ("hr", "text/csv", f"{MARKER};{MARKER}\np-ada;A B\n"),
    ("hr", f"text/csv; charset={MARKER.split()[0]}", f"{TABLE}\np-ada;A B;active;;;\n"),
    ("xapi", "multipart/mixed; boundary=b", LETTER),
    ("xapi", "multipart/mixed; boundary=b", LETTER.replace("{}", json.dumps(SAMPLES["xapi"][0][0]))),
    ("xapi", f'multipart/mixed; boundary="{MARKER}"', MARKER),
)


@dataclass
class Way:
    """A gateway with a connection of each tool, and all that came onto any topic since it was there."""

    gateway: Gateway
    producer: Producer
    client: httpx.Client
    logs: dict[str, Log] = field(init=False)

    def __post_init__(self) -> None:
        settings = self.gateway.settings
        self.logs = {topic.name: Log(settings, topic.name) for topic in TOPICS}

    def post(self, tool: str, value: object) -> None:
        body = json.dumps(value).encode()
        headers = headers_of(tool, body)
        if isinstance(value, dict) and is_push(value):
            body, headers = b"", {"x-goog-channel-token": SECRET, **dict(_as_headers(value))}
        answer = self.client.post(url(self.gateway, tool, f"{tool}_one"), content=body, headers=headers)
        assert answer.status_code < 500, answer.text
        assert answer.status_code not in {401, 404, 415}, answer.text

    def put(self, tool: str, value: object) -> None:
        """As an enterprise would write it."""
        headers = [("connection", f"{tool}_one".encode()), ("content-type", b"application/json"), WRITER]
        self.producer.send(raw_of(tool), f"{tool}_one".encode(), json.dumps(value).encode(), headers=headers)

    def all_handled(self, tool: str) -> None:
        """What lies on the raw topic until now, since one connection stays on one partition."""
        headers = [("connection", f"{tool}_one".encode())]
        # Heard from before it is sent: it is put aside at once.
        aside = Log(self.gateway.settings, REJECTED.name)
        sent = self.producer.send(raw_of(tool), f"{tool}_one".encode(), b"no JSON", headers=headers).get(30)
        origin = f"{raw_of(tool)}/{sent.partition}/{sent.offset}".encode()
        eventually(lambda: aside.growth() and any(record.key == origin for record in aside.records()), seconds=120)

    def ours(self) -> Iterator[tuple[str, Record]]:
        """All records but those that the enterprise wrote."""
        for topic, log in self.logs.items():
            yield from ((topic, record) for record in log.records() if WRITER not in record.headers)


def _as_headers(push: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Such as HTTP takes."""
    for name, text in push.items():
        if isinstance(text, str) and " " not in name:
            yield name, text


@pytest.fixture(scope="module")
def way(broker: Settings) -> Iterator[Way]:
    connections = {
        f"{tool}_one": Connection(
            Speaker(f"quiet-{tool}", None, tool, f"{tool}_one"),
            TOOLS[tool],
            SAMPLES[tool][1],
            SECRET,
            digest_key=DIGEST_KEY,
        )
        for tool in CONVERTED
    }
    producer = Producer(broker)
    rates: dict[str, Any] = {"ingest_connection_rate": 100_000}
    try:
        with (
            running_gateway(broker.kafka, make_token(broker), connections=connections, **rates) as gateway,
            httpx.Client(timeout=30) as client,
        ):
            yield Way(gateway, producer, client)
    finally:
        producer.close()


def variants(tool: str) -> Sequence[Any]:
    """All that a vendor documents with the marker in each string in turn; the other examples with it in all of them."""
    names = NAMES.get(tool, NOBODY)
    full = [replaced(value, {path: MARKER}) for value in FULL.get(tool, ()) for path, _ in strings(value, names)]
    whole = (*FULL.get(tool, ()), *SAMPLES[tool][0])
    return [*full, *(written for value in whole for _, written in at_once(value, names))]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tool", CONVERTED)
def test_what_people_wrote_is_on_no_topic_and_in_no_line_of_the_log(way: Way, broker: Settings, tool: str) -> None:
    examples = [*FULL.get(tool, ()), *SAMPLES[tool][0]]
    tenant = f"quiet-{tool}"
    people = people_of(examples, tenant)
    write(broker, DIRECTORY.name, {f"{tenant}/{one.id}": one.model_dump_json().encode() for one in people})
    write(broker, EVENTS.name, {f"{tenant}/rel-1": to_json(relationship_of(tenant, "e-1"))})
    time.sleep(FOLLOWED_SECONDS)
    written = variants(tool)

    with capture_logs() as lines:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(partial(way.post, tool), written))
        for value in written:
            way.put(tool, value)
        way.all_handled(tool)

    found = list(way.ours())
    assert {topic for topic, _ in found} >= {raw_of(tool), REJECTED.name}
    assert any(topic == EVENTS.name and tool.encode() in (record.value or b"") for topic, record in found)
    for topic, record in found:
        assert not is_marked(repr((record.key, record.value, record.headers)).encode()), topic
    assert not is_marked(repr(lines).encode())


@pytest.mark.parametrize(("tool", "content_type", "body"), OTHER_FORMS, ids=lambda given: str(given)[:12])
def test_tables_and_attachments_leave_no_word_either(way: Way, tool: str, content_type: str, body: str) -> None:
    headers = headers_of(tool, body.encode()) | {"content-type": content_type}
    raw = [("connection", f"{tool}_one".encode()), ("content-type", content_type.encode()), WRITER]

    with capture_logs() as lines:
        way.client.post(url(way.gateway, tool, f"{tool}_one"), content=body.encode(), headers=headers)
        way.producer.send(raw_of(tool), f"{tool}_one".encode(), body.encode(), headers=raw)
        way.all_handled(tool)

    for topic, record in way.ours():
        assert not is_marked(repr((record.key, record.value, record.headers)).encode()), topic
    assert not is_marked(repr(lines).encode())
