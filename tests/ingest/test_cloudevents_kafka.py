"""The receiver's obligations of the CloudEvents Kafka binding, on the raw topic."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator

import pytest

from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS, RAW_CLOUDEVENTS, REJECTED
from services.runtime.kafka import Headers, Producer, Record
from services.runtime.settings import Settings
from tests.ingest.conftest import Gateway, Log, event, stored_id
from tests.receiver import eventually

JSON = ("content-type", b"application/json")
DATA = json.dumps(event()["data"]).encode()
CAUGHT_UP = re.compile(r"raw topic: \d+ partitions, lag 0")

pytestmark = pytest.mark.usefixtures("gateway")


@pytest.fixture(scope="module")
def producer(broker: Settings) -> Iterator[Producer]:
    producer = Producer(broker)
    yield producer
    producer.close()


def attributes(**changes: str) -> Headers:
    """The headers of an event in binary mode."""
    return [(f"ce_{name}", value.encode()) for name, value in (event() | changes).items() if name != "data"]


def put(producer: Producer, headers: Headers, value: bytes | None) -> str:
    sent = producer.send(RAW_CLOUDEVENTS.name, b"any", value, partition=0, headers=headers).get(60)
    return f"{RAW_CLOUDEVENTS.name}/{sent.partition}/{sent.offset}"


def test_every_mode_arrives_on_the_log_in_structured_mode(broker: Settings, producer: Producer) -> None:
    log = Log(broker, EVENTS.name)
    encoded = b64encode(DATA).decode()
    of_base64 = {name: value for name, value in event(id="base64", data_base64=encoded).items() if name != "data"}
    structured = [("content-type", b"application/cloudevents+json; charset=UTF-8")]

    put(producer, [JSON, *attributes(id="binary €")], DATA)
    put(producer, [*attributes(id="no content type")], DATA)
    put(producer, structured, json.dumps(event(id="structured", dataschema=None, myextension=None)).encode())
    put(producer, [], json.dumps(event(id="bare")).encode())
    put(producer, structured, json.dumps(of_base64).encode())

    eventually(lambda: log.growth() >= 5)
    records = log.records()
    assert {MENTORING_EVENT.validate_json(r.value or b"").id for r in records} == {
        stored_id(one, "rawcorp") for one in ("binary €", "no content type", "structured", "bare", "base64")
    }
    assert {tuple(record.headers) for record in records} == {(("content-type", b"application/cloudevents+json"),)}


def test_what_the_binding_does_not_allow_is_kept_with_the_reason(
    gateway: Gateway, broker: Settings, producer: Producer
) -> None:
    kept = Log(broker, REJECTED.name)

    paths = {
        put(producer, [JSON, *attributes()], None): "",
        put(producer, [JSON, *attributes()], b"{"): "data",
        put(producer, [("content-type", b"application/avro"), *attributes()], DATA): "content-type",
        put(producer, [("content-type", b"application/cloudevents-batch+json")], b"[]"): "content-type",
        put(producer, [JSON, *attributes(), ("ce_data", b"1")], DATA): "ce_data",
        put(producer, [JSON, *attributes(subject="free text")], DATA): "subject",
        put(producer, [JSON, *attributes(), ("ce_Correlation Id", b"1")], DATA): "?",
    }

    eventually(lambda: CAUGHT_UP.search(gateway.readiness()[1]["detail"]) and kept.growth() >= len(paths))
    assert {(record.key or b"").decode(): header(record, "path") for record in kept.records()} == paths


def header(record: Record, name: str) -> str:
    return dict(record.headers)[name].decode()
