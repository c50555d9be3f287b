"""The official CloudEvents SDK for Python as a client: the gateway accepts each of its modes."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from cloudevents.core.bindings import http, kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1 import conversion as old_http
from cloudevents.v1 import kafka as old_kafka
from cloudevents.v1.http import CloudEvent as OldCloudEvent

from schemas.topics import EVENTS, RAW_CLOUDEVENTS
from services.runtime.kafka import Producer
from services.runtime.settings import Settings
from tests.ingest.conftest import BATCH, SOURCE, Gateway, Log, stored_id
from tests.receiver import eventually

DATA: dict[str, object] = {"session_id": "s-1", "started_at": "2026-03-01T10:00:00Z", "minutes": 30}
JSON = {"datacontenttype": "application/json"}
PAYLOADS: dict[str, dict[str, object] | bytes] = {"a dictionary": DATA, "bytes": json.dumps(DATA).encode()}
Write = Callable[[CloudEvent], kafka.KafkaMessage]


def event(data: dict[str, object] | bytes, **attributes: str) -> CloudEvent:
    given = {
        "type": "mentoring.session.held.v1",
        "source": SOURCE,
        "id": f"ü {uuid4().hex}",
        "time": datetime(2026, 3, 1, 10, tzinfo=UTC),
        "subject": "rel-1",
        "program": "onboarding",
    }
    return CloudEvent(attributes=given | attributes, data=data)


@pytest.fixture
def log(broker: Settings) -> Log:
    return Log(broker, EVENTS.name)


@pytest.mark.parametrize("data", PAYLOADS.values(), ids=PAYLOADS.keys())
@pytest.mark.parametrize("declared", [{}, JSON], ids=["no content type", "JSON"])
@pytest.mark.parametrize("write", [http.to_binary_event, http.to_structured_event])
def test_http_events_are_recorded(
    gateway: Gateway,
    log: Log,
    write: Callable[[CloudEvent], http.HTTPMessage],
    declared: dict[str, str],
    data: dict[str, object] | bytes,
) -> None:
    said = event(data, **declared)
    message = write(said)

    answer = gateway.client.post("/v1/events", content=message.body, headers=message.headers)

    assert (answer.status_code, answer.json()["id"]) == (202, stored_id(said.get_id()))
    assert log.growth() == 1


def test_a_batch_of_what_the_json_format_writes_is_recorded(gateway: Gateway, log: Log) -> None:
    written = [JSONFormat().write(event(data)) for data in PAYLOADS.values()]

    answer = gateway.post(b"[" + b",".join(written) + b"]", BATCH)

    assert (answer.status_code, answer.json()["recorded"]) == (202, len(written))
    assert log.growth() == len(written)


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("write", [kafka.to_binary_event, kafka.to_structured_event])
def test_kafka_events_are_recorded(broker: Settings, log: Log, write: Write) -> None:
    said = [event(data, **declared) for data in PAYLOADS.values() for declared in ({}, JSON)]

    put(broker, [write(one) for one in said])

    eventually(lambda: log.growth() >= len(said))
    assert log.growth() == len(said)


@pytest.mark.usefixtures("gateway")
def test_events_of_its_older_interface_are_accepted(gateway: Gateway, broker: Settings, log: Log) -> None:
    """It writes `datacontenttype` into the content type of structured records of Kafka."""
    first, *others = [OldCloudEvent(old_attributes(), DATA) for _ in range(4)]
    binary, structured = old_http.to_binary(first), old_http.to_structured(others[0])

    answers = [
        gateway.client.post("/v1/events", content=body, headers=headers) for headers, body in (binary, structured)
    ]
    put(broker, [old_kafka.to_binary(others[1]), old_kafka.to_structured(others[2])])

    assert [answer.status_code for answer in answers] == [202, 202]
    eventually(lambda: log.growth() >= 4)


def old_attributes() -> dict[str, str]:
    return {
        "type": "mentoring.session.held.v1",
        "source": SOURCE,
        "time": "2026-03-01T10:00:00Z",
        "subject": "rel-1",
        "program": "onboarding",
        "datacontenttype": "application/json",
    }


def put(broker: Settings, messages: list[kafka.KafkaMessage] | list[old_kafka.KafkaMessage]) -> None:
    with closing(Producer(broker)) as producer:
        for message in messages:
            value = message.value if isinstance(message.value, bytes) else message.value.encode()
            producer.send(RAW_CLOUDEVENTS.name, b"any", value, headers=list(message.headers.items())).get(60)
