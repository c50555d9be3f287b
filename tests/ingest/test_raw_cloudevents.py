import json
from collections.abc import Iterator

import pytest

from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS, RAW_CLOUDEVENTS, REJECTED
from services.runtime.kafka import Record
from services.runtime.settings import Settings
from tests.foreign import ForeignProducer, foreign_producer
from tests.ingest.conftest import Gateway, Log, event
from tests.receiver import eventually

BROKEN: dict[str, tuple[bytes | None, str, str]] = {
    "broken JSON": (b'{"source": ', "malformed", ""),
    "not UTF-8": (b"\xff\xfe", "malformed", ""),
    "no object": (b"[]", "malformed", ""),
    "nothing": (b"", "malformed", ""),
    "a tombstone": (None, "malformed", ""),
    "a wrong type of value": (json.dumps(event(data={"session_id": 5})).encode(), "invalid", "data.session_id"),
    "an unknown type": (json.dumps(event(type="mentoring.tea.drunk.v1")).encode(), "unknown_type", "type"),
    "a foreign source": (json.dumps(event(source="urn:foreign")).encode(), "forbidden", "source"),
    "a foreign tenant": (json.dumps(event(tenant="acme")).encode(), "forbidden", "tenant"),
    "an erasure": (json.dumps(event(type="mentoring.relationship.erased.v1")).encode(), "forbidden", "type"),
    "the future": (json.dumps(event(time="2199-01-01T00:00:00Z")).encode(), "future", "time"),
    "the edge of the calendar": (json.dumps(event(time="9999-12-31T23:59:59-14:00")).encode(), "invalid", "time"),
    "five megabytes": (b" " * 5_000_000, "too_large", ""),
}


# What of the others is not kept: values that do not pass their own check, and what nothing says of what it may be.
LOST: dict[str, tuple[str, ...]] = {
    "a wrong type of value": ("data.session_id",),
    "an unknown type": ("type", "data"),
    "a foreign source": ("source",),
    "an erasure": ("data.session_id", "data.started_at", "data.minutes"),
    "the edge of the calendar": ("time",),
}
UNREADABLE = {"broken JSON", "not UTF-8", "no object", "nothing", "a tombstone", "five megabytes"}


def redacted_by(name: str, value: bytes | None) -> object:
    if name in UNREADABLE:
        return {}
    kept = json.loads(value or b"")
    for path in LOST.get(name, ()):
        *above, last = path.split(".")
        del (kept[above[0]] if above else kept)[last]
    return kept


@pytest.fixture(scope="module")
def producer(broker: Settings) -> Iterator[ForeignProducer]:
    with foreign_producer(broker) as producer:
        yield producer


def put(producer: ForeignProducer, value: bytes | None) -> str:
    """On partition 0, so that records keep their order; returns the origin."""
    return producer.put(RAW_CLOUDEVENTS.name, b"any", value, partition=0)


@pytest.mark.usefixtures("gateway")
def test_broken_records_are_kept_with_the_reason_and_the_next_good_one_is_processed(
    broker: Settings, producer: ForeignProducer
) -> None:
    log, kept = Log(broker, EVENTS.name), Log(broker, REJECTED.name)

    origins = {name: put(producer, value) for name, (value, _, _) in BROKEN.items()}
    good = event()
    put(producer, json.dumps(good).encode())

    eventually(lambda: log.growth() > 0)
    (recorded,) = log.records()
    assert recorded.value is not None
    assert MENTORING_EVENT.validate_json(recorded.value).id == good["id"]
    assert recorded.key == b"rawcorp/rel-1"
    rejected = {(record.key or b"").decode(): record for record in kept.records()}
    assert rejected.keys() == set(origins.values())
    for name, (value, reason, path) in BROKEN.items():
        record = rejected[origins[name]]
        headers = texts(record)
        assert json.loads(record.value or b"{}") == redacted_by(name, value)
        assert (headers["reason"], headers["path"], headers["tool"]) == (reason, path, "cloudevents")
        assert headers["detail"]
        assert origins[name] == "/".join(headers[f"origin_{part}"] for part in ("topic", "partition", "offset"))
    assert texts(rejected[origins["five megabytes"]])["cut_from_bytes"] == "5000000"


@pytest.mark.usefixtures("gateway")
def test_a_repeat_is_not_written_again_and_a_contradiction_is_kept_aside(
    broker: Settings, producer: ForeignProducer
) -> None:
    log, kept = Log(broker, EVENTS.name), Log(broker, REJECTED.name)
    said = event()

    for value in (said, said, said | {"subject": "rel-2"}, event()):
        put(producer, json.dumps(value).encode())

    eventually(lambda: log.growth() >= 2)
    assert log.growth() == 2
    assert [texts(record)["reason"] for record in kept.records()] == ["conflict"]


def test_what_was_processed_is_committed(gateway: Gateway, producer: ForeignProducer) -> None:
    put(producer, json.dumps(event()).encode())

    eventually(lambda: "lag 0" in gateway.readiness()[1]["detail"])


def texts(record: Record) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}
