"""Pointers on the real broker against the vendors' APIs on loopback, as a gateway would follow them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from schemas.topics import raw_of
from services.ingest.domain.tools.said import Pointer
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.pointers.follow import Followed, Pointers
from services.ingest.pointers.sync_tokens import SyncTokens
from services.ingest.sources.api_settings import ApiSettings
from services.ingest.sources.connection import Connection
from services.ingest.sources.tool import Tool
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
    pointers: Pointers
    connection: Connection
    clock: Clock
    opened: list[Pointers] = field(default_factory=list)
    log: Log = field(init=False)

    def __post_init__(self) -> None:
        self.log = Log(self.settings, raw_of(self.connection.tool.name))

    def follow(self, resource: str) -> Followed | Ignored | Rejected:
        self.clock.now += timedelta(minutes=1)
        return self.pointers.follow(Pointer(resource), self.connection, self.clock.now)

    def records(self) -> list[Record]:
        own = self.connection.speaker.connection.encode()
        return [record for record in self.log.records() if record.key == own]

    def ids(self) -> list[str]:
        return [one["id"] for one in self.values()]

    def values(self) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for record in self.records()]

    def restarted(self) -> "Following":
        """Another process: what it knows, it knows from the broker."""
        self.pointers.close()
        self.opened.append(Pointers(self.producer, SyncTokens(self.settings, self.producer), self.clock))
        return replace(self, pointers=self.opened[-1])

    def with_token_file(self, file: Path) -> "Following":
        return replace(self, connection=replace(self.connection, api_token="", api_token_file=file))


@contextmanager
def following(settings: Settings, tool: Tool, tool_settings: ApiSettings) -> Iterator[Following]:
    producer, clock = Producer(settings), Clock()
    pointers = Pointers(producer, SyncTokens(settings, producer), clock)
    opened = [pointers]
    speaker = Speaker("acme", None, tool.name, f"c{uuid4().hex}")
    connection = Connection(speaker, tool, tool_settings, "secret", TOKEN, digest_key=DIGEST_KEY)
    try:
        yield Following(settings, producer, pointers, connection, clock, opened)
    finally:
        for one in opened:
            one.close()
        producer.close()
