"""The topic of sync tokens: the last word on a calendar counts, and what cannot be read is asked for anew."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from schemas.topics import SYNC_TOKENS
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.pointers.sync_tokens import SyncTokens
from services.runtime.kafka import Producer, read_to_end
from services.runtime.settings import Settings
from tests.ingest.following import SUNDAY


@pytest.fixture(scope="module")
def producer(broker: Settings) -> Iterator[Producer]:
    producer = Producer(broker)
    yield producer
    producer.close()


@pytest.fixture
def speaker() -> Speaker:
    return Speaker("acme", None, "google_calendar", f"c{uuid4().hex}")


def test_the_last_token_of_each_calendar_counts(broker: Settings, producer: Producer, speaker: Speaker) -> None:
    tokens = SyncTokens(broker, producer)
    for calendar, token in (("a", "1"), ("b", "2"), ("a", "3")):
        tokens.keep(speaker, calendar, token, SUNDAY)

    again = SyncTokens(broker, producer)

    kept = [again.of(speaker, calendar) for calendar in "abc"]
    assert [one and one.token for one in kept] == ["3", "2", None]
    assert again.of(Speaker("globex", None, "google_calendar", speaker.connection), "a") is None


@pytest.mark.parametrize("value", [b"no token", b"{}", None])
def test_a_token_that_cannot_be_read_is_none(
    broker: Settings, producer: Producer, speaker: Speaker, value: bytes | None
) -> None:
    SyncTokens(broker, producer).keep(speaker, "a", "1", SUNDAY)
    (key,) = [r.key for r in read_to_end(broker, [SYNC_TOKENS.name]) if speaker.connection.encode() in (r.key or b"")]
    producer.send(SYNC_TOKENS.name, key, value).get(15)

    assert SyncTokens(broker, producer).of(speaker, "a") is None
