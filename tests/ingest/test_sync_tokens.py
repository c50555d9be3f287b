"""The topic of sync tokens: the latest record of a calendar counts, and an unreadable one leads to a full sync."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from schemas.topics import SYNC_TOKENS
from services.ingest.domain.scope import ConnectionScope
from services.ingest.flow.tools.fetched_resources import SyncTokens
from services.runtime.kafka import Producer, read_to_end
from services.runtime.settings import Settings
from tests.ingest.fetching import SUNDAY


@pytest.fixture(scope="module")
def producer(broker: Settings) -> Iterator[Producer]:
    producer = Producer(broker)
    yield producer
    producer.close()


@pytest.fixture
def connection_scope() -> ConnectionScope:
    return ConnectionScope("acme", None, "google_calendar", f"c{uuid4().hex}")


def test_the_last_token_of_each_calendar_counts(
    broker: Settings, producer: Producer, connection_scope: ConnectionScope
) -> None:
    tokens = SyncTokens(broker, producer)
    for calendar, token in (("a", "1"), ("b", "2"), ("a", "3")):
        tokens.store(connection_scope, calendar, token, SUNDAY)

    again = SyncTokens(broker, producer)

    kept = [again.find(connection_scope, calendar) for calendar in "abc"]
    assert [one and one.token for one in kept] == ["3", "2", None]
    assert again.find(ConnectionScope("globex", None, "google_calendar", connection_scope.connection), "a") is None


@pytest.mark.parametrize("value", [b"no token", b"{}", None])
def test_a_token_that_cannot_be_read_is_none(
    broker: Settings, producer: Producer, connection_scope: ConnectionScope, value: bytes | None
) -> None:
    SyncTokens(broker, producer).store(connection_scope, "a", "1", SUNDAY)
    (key,) = [
        r.key for r in read_to_end(broker, [SYNC_TOKENS.name]) if connection_scope.connection.encode() in (r.key or b"")
    ]
    producer.send(SYNC_TOKENS.name, key, value).get(60)

    assert SyncTokens(broker, producer).find(connection_scope, "a") is None
