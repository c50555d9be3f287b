"""A fetcher on the real broker, against the vendors' APIs on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from schemas.topics import raw_topic
from services.ingest.domain.activity import Pointer
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.tools.fetched_resources import FetchedResources, Fetcher, SyncTokens
from services.ingest.sources.calendar import ApiSettings
from services.ingest.sources.tool import Connection, Tool
from services.runtime.kafka import Producer, Record
from services.runtime.settings import Settings
from tests.ingest.conftest import DIGEST_KEY, Log
from tests.ingest.vendor_apis import TOKEN

SUNDAY = datetime(2026, 3, 1, 8, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = SUNDAY

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Following:
    """`follow` hears of the notification a minute later each time."""

    settings: Settings
    producer: Producer
    fetcher: Fetcher
    connection: Connection
    clock: Clock
    opened: list[Fetcher] = field(default_factory=list)
    log: Log = field(init=False)

    def __post_init__(self) -> None:
        self.log = Log(self.settings, raw_topic(self.connection.tool.name))

    def follow(self, resource: str) -> FetchedResources | Ignored | Rejected:
        self.clock.now += timedelta(minutes=1)
        return self.fetcher.fetch(Pointer(resource), self.connection, self.clock.now)

    def records(self) -> list[Record]:
        own = self.connection.connection_scope.connection.encode()
        return [record for record in self.log.records() if record.key == own]

    def ids(self) -> list[str]:
        return [one["id"] for one in self.values()]

    def values(self) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for record in self.records()]

    def restarted(self) -> "Following":
        """Another process: what it knows, it knows from the broker."""
        self.fetcher.close()
        self.opened.append(Fetcher(self.producer, SyncTokens(self.settings, self.producer), self.clock))
        return replace(self, fetcher=self.opened[-1])

    def with_token_file(self, file: Path) -> "Following":
        return replace(self, connection=replace(self.connection, api_token="", api_token_file=file))


@contextmanager
def following(settings: Settings, tool: Tool, tool_settings: ApiSettings) -> Iterator[Following]:
    producer, clock = Producer(settings), Clock()
    fetcher = Fetcher(producer, SyncTokens(settings, producer), clock)
    opened = [fetcher]
    connection_scope = ConnectionScope("acme", None, tool.name, f"c{uuid4().hex}")
    connection = Connection(connection_scope, tool, tool_settings, "secret", TOKEN, digest_key=DIGEST_KEY)
    try:
        yield Following(settings, producer, fetcher, connection, clock, opened)
    finally:
        for one in opened:
            one.close()
        producer.close()
