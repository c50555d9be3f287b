"""A gateway on the real broker, with the real topics, for the tests of ingest."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from schemas.tokens import Token, hashed, secret_of
from schemas.topics import TOKENS, TOPICS
from services.ingest import service
from services.ingest.console import write
from services.ingest.domain.ids import pseudonym_of
from services.ingest.flow.people import followers
from services.ingest.flow.people.projector import projector
from services.ingest.flow.supervise import supervise
from services.ingest.settings import IngestSettings
from services.ingest.sources.tool import Connection
from services.runtime.health import Health
from services.runtime.kafka import Reader, Record, create_topics
from services.runtime.settings import Settings
from tests import plain_http
from tests.plain_http import NO_TLS
from tests.receiver import eventually

SOURCE = "urn:test:calendar"
BATCH = "application/cloudevents-batch+json"
DIGEST_KEY = "a digest key for tests only"
RECENT = 500
"""More than a test writes that looks back. Whoever follows the log reads so many records of each partition when it
starts, which is with every gateway and every pair: with thousands, all of them those of other tests."""
STRUCTURED = "application/cloudevents+json"


def event(**changes: object) -> dict[str, Any]:
    """A valid event with an id of its own."""
    return {
        "specversion": "1.0",
        "source": SOURCE,
        "id": uuid4().hex,
        "type": "mentoring.session.held.v1",
        "time": "2026-03-01T10:00:00Z",
        "subject": "rel-1",
        "program": "onboarding",
        "data": {"session_id": "s-1", "started_at": "2026-03-01T10:00:00Z", "minutes": 30},
    } | changes


def stored_id(text: str, tenant: str = "acme") -> str:
    """As the log has an id that was sent: the same where it is plain, else its digest."""
    return pseudonym_of(DIGEST_KEY, tenant)(text)


ASKED: dict[str, Reader] = {}
"""The reader that is kept for a broker, by the broker's address: to connect takes ten times as long as to ask."""
ASKING = threading.Lock()


@contextmanager
def asked(settings: Settings) -> Iterator[Reader]:
    """Return a reader of topics: the cached one of this broker, otherwise a new one."""
    if settings.kafka in ASKED:
        with ASKING:
            yield ASKED[settings.kafka]
    else:
        with closing(Reader(settings, None)) as reader:
            yield reader


@dataclass
class Log:
    """What has come onto a topic since this object was made."""

    settings: Settings
    topic: str
    _starts: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._starts = self._ends()

    def records(self) -> list[Record]:
        with asked(self.settings) as reader:
            ends = reader.end_offsets(reader.assign([self.topic]))
            found: list[Record] = []
            for partition in ends:
                # What other tests have written before may be long.
                reader.seek(partition, self._starts[partition.number])
            while any(reader.position(partition) < end for partition, end in ends.items()):
                found += [r for records in reader.poll(0.2).values() for r in records]
        return found

    def news(self) -> list[Record]:
        """What has come since the last call."""
        found = self.records()
        for record in found:
            self._starts[record.partition] = max(self._starts[record.partition], record.offset + 1)
        return found

    def growth(self) -> int:
        return sum(self._ends().values()) - sum(self._starts.values())

    def _ends(self) -> dict[int, int]:
        with asked(self.settings) as reader:
            return {p.number: end for p, end in reader.end_offsets(reader.assign([self.topic])).items()}


@dataclass
class Gateway:
    settings: IngestSettings
    client: httpx.Client

    def post(self, body: object, content_type: str = STRUCTURED, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post("/v1/events", content=content, headers={"content-type": content_type, **headers})

    def readiness(self) -> tuple[int, dict[str, str]]:
        answer = plain_http.get(f"http://127.0.0.1:{self.settings.ingest_health_port}/readyz", timeout=30)
        return answer.status_code, answer.json()


def make_topics(bootstrap: str) -> Settings:
    settings = Settings(kafka=bootstrap)
    create_topics(
        settings,
        {topic.name: topic.options(partitions=4, replication=1) for topic in TOPICS},
    )
    return settings


def make_token(settings: Settings, **scopes: Any) -> str:  # noqa: ANN401 (the token's own fields)
    """Writes a token and returns its secret."""
    token_id = f"t{uuid4().hex}"
    secret = secret_of(Token, token_id, uuid4().hex)
    fields = {"tenant": "acme", "sources": (SOURCE,), "created": datetime.now(UTC)} | scopes
    token = Token.model_validate({"token_id": token_id, "sha256": hashed(secret)} | fields)
    write(settings, TOKENS.name, {token_id: token.model_dump_json().encode()})
    return secret


@contextmanager
def running_gateway(
    bootstrap: str,
    secret: str,
    *,
    connections: Mapping[str, Connection] | None = None,
    **options: Any,  # noqa: ANN401 (settings)
) -> Iterator[Gateway]:
    """What `serve` and `work` compose, on a thread; without conclusions about meetings, which would be written at any
    time, unless `ingest_parts` asks for them, and without a projector: the broker has one. `connections`: instead of a
    file of them."""
    ports = {"ingest_port": free_port(set()), "ingest_health_port": free_port(set())}
    given = {"ingest_parts": ("raw", "tools"), "ingest_digest_key": DIGEST_KEY}
    settings = IngestSettings(kafka=bootstrap, **(ports | given | options))
    composition = service.Composition(
        settings,
        connections or service.connections_of(settings),
        frozenset({"http", *settings.ingest_parts}),
        settings.ingest_health_port,
    )
    stop = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            service.run_parts(composition, stop)
        except BaseException as failure:  # noqa: BLE001 (raised again by the assertion below)
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    headers, base = {"authorization": f"Bearer {secret}"}, f"http://127.0.0.1:{settings.ingest_port}"
    with httpx.Client(base_url=base, headers=headers, timeout=30, verify=NO_TLS) as client:
        gateway = Gateway(settings, client)
        try:
            eventually(lambda: bool(failures) or is_ready(gateway))
            assert not failures, failures
            yield gateway
        finally:
            stop.set()
            thread.join(30)
    assert not failures, failures
    assert not thread.is_alive()


def is_ready(gateway: Gateway) -> bool:
    try:
        return gateway.readiness()[0] == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def broker(local_kafka: LocalKafka) -> Iterator[Settings]:
    """Settings that reach the broker, on which the topics exist and the log is projected all the time."""
    settings, stop = make_topics(local_kafka.bootstrap), threading.Event()
    with (
        pytest.MonkeyPatch.context() as patched,
        projector(IngestSettings(kafka=settings.kafka), Health(), stop) as parts,
        closing(Reader(settings, None)) as reader,
    ):
        patched.setattr(followers, "RECENT", RECENT)
        ASKED[settings.kafka] = reader
        thread = threading.Thread(target=supervise, args=(parts, stop))
        thread.start()
        try:
            yield settings
        finally:
            del ASKED[settings.kafka]
            stop.set()
            thread.join(30)


@pytest.fixture(scope="session")
def gateway(broker: Settings) -> Iterator[Gateway]:
    """On the wall's clock, for tenant acme and SOURCE; the raw topic is read for tenant rawcorp."""
    secret = make_token(broker)
    raw: dict[str, Any] = {"ingest_raw_tenant": "rawcorp", "ingest_raw_sources": (SOURCE,)}
    with running_gateway(broker.kafka, secret, **raw) as running:
        yield running
