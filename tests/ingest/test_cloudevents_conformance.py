"""The features of the CloudEvents conformance suite for the bindings of HTTP and Kafka, and its cases for JSON."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from starlette.datastructures import Headers

from schemas.events import to_json
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents import Parsed, read_record
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Rejected, Verdict
from services.ingest.gateway.events_endpoint import media_type, read_content

ATTRIBUTES = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
}
DATA = {"message": "Hello World!"}
BODY = json.dumps(DATA).encode()
STRUCTURED = ATTRIBUTES | {"datacontenttype": "application/json", "data": DATA}
SCOPE = Scope("acme", frozenset({"/calendar"}))
CLOCK = Clock(datetime(2026, 3, 2, tzinfo=UTC), "wall")
HELD: Mapping[str, object] = {
    "specversion": "1.0",
    "source": "/calendar",
    "id": "1",
    "type": "mentoring.session.held.v1",
    "time": "2026-03-01T10:00:00Z",
    "subject": "rel-1",
    "program": "onboarding",
    "data": {"session_id": "s-1", "started_at": "2026-03-01T10:00:00Z"},
}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_http_binary_content_mode(content_type: str) -> None:
    headers = {"Host": "example.com", "Content-Type": content_type} | {f"ce-{n}": v for n, v in ATTRIBUTES.items()}

    assert parsed_as_http(headers, BODY) == ATTRIBUTES | {"datacontenttype": content_type, "data": DATA}


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_http_structured_content_mode(content_type: str) -> None:
    assert parsed_as_http({"Content-Type": content_type}, json.dumps(STRUCTURED).encode()) == STRUCTURED


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_kafka_binary_content_mode(content_type: str) -> None:
    headers = {"content-type": content_type} | {f"ce_{name}": value for name, value in ATTRIBUTES.items()}

    assert parsed_as_kafka(headers, BODY) == ATTRIBUTES | {"datacontenttype": content_type, "data": DATA}


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_kafka_structured_content_mode(content_type: str) -> None:
    assert parsed_as_kafka({"content-type": content_type}, json.dumps(STRUCTURED).encode()) == STRUCTURED


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="minimal"),
        pytest.param({"dataschema": None, "datacontenttype": None, "correlationid": None}, id="null for optional"),
        pytest.param({"dataschema": "https://example.org/held"}, id="all core attributes"),
        pytest.param({"time": "2026-03-01T10:00:00.000000000Z"}, id="time to nanoseconds"),
        pytest.param({"time": "2026-03-01T11:00:00+01:00"}, id="positive offset"),
        pytest.param({"time": "2026-03-01T09:00:00-01:00"}, id="negative offset"),
        pytest.param({"traceparent": "00-1-1-01", "correlationid": "c-1"}, id="extensions that we know"),
    ],
)
def test_a_valid_event_of_the_json_format_is_admitted(change: dict[str, object]) -> None:
    verdict = judged(change)

    assert isinstance(verdict, Admitted), verdict
    assert verdict.event.time == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"specversion": None}, "specversion", id="no specversion"),
        pytest.param({"specversion": ""}, "specversion", id="empty specversion"),
        pytest.param({"specversion": "0.9"}, "specversion", id="unknown specversion"),
        pytest.param({"id": None}, "id", id="no id"),
        pytest.param({"type": None}, "type", id="no type"),
        pytest.param({"source": None}, "source", id="no source"),
        pytest.param({"time": "lunchtime"}, "time", id="time garbage"),
        pytest.param({"time": "2018-04-05T18:31:00X"}, "time", id="time offset X"),
        pytest.param({"time": "2018-04-05T18:31:00+25:00"}, "time", id="time offset out of range"),
        pytest.param({"time": "2018-04-05T18:31:00+xx:00"}, "time", id="time offset non-integer"),
        pytest.param({"id": ""}, "id", id="empty id"),
        pytest.param({"type": ""}, "type", id="empty type"),
        pytest.param({"source": ""}, "source", id="empty source"),
        pytest.param({"datacontenttype": "xyz"}, "datacontenttype", id="no media type"),
        pytest.param({"datacontenttype": ""}, "datacontenttype", id="empty datacontenttype"),
        pytest.param({"subject": ""}, "subject", id="empty subject"),
        pytest.param({"id": 25}, "id", id="numeric id"),
        pytest.param({"id": {"xyz": "abc"}}, "id", id="object id"),
        pytest.param({"dataContentType": "application/json"}, "dataContentType", id="capitalized attribute"),
        pytest.param({"correlation_id": "c-1"}, "correlation_id", id="punctuated extension that we know"),
        pytest.param({"Data-Base64": "e30="}, "Data-Base64", id="data in another form of their name"),
        pytest.param({"data_base64": "eyAieHl6IjogMTIzIH0="}, "data_base64", id="both data and data_base64"),
    ],
)
def test_an_invalid_event_of_the_json_format_is_rejected_with_its_path(change: dict[str, object], path: str) -> None:
    verdict = judged(change)

    assert isinstance(verdict, Rejected)
    assert verdict.errors[0].path == path


@pytest.mark.parametrize(
    "name", ["MyExtension", "my.extension", "traceId", "X-Foo", "x_request_id", "Traceparent", "été", ""]
)
def test_what_is_no_attribute_by_its_name_says_nothing_and_is_left_out(name: str) -> None:
    """The suite calls such an event invalid. What is in it is what its sender meant: gateways and brokers add these."""
    verdict = judged({name: "of a gateway"})

    assert isinstance(verdict, Admitted), verdict
    assert verdict.dropped == 1
    assert b"of a gateway" not in to_json(verdict.event)


def test_what_is_no_attribute_by_its_name_is_left_out_in_binary_mode() -> None:
    attributes = {name: str(value) for name, value in HELD.items() if name != "data"} | {"x-foo": "of a gateway"}
    data = json.dumps(HELD["data"]).encode()

    over_http = parsed_as_http({f"ce-{name}": value for name, value in attributes.items()}, data)
    over_kafka = parsed_as_kafka({f"ce_{name}": value for name, value in attributes.items()}, data)

    for event in (over_http, over_kafka):
        verdict = admit(event, SCOPE, CLOCK)
        assert isinstance(verdict, Admitted), verdict
        assert verdict.dropped == 1


def parsed_as_http(headers: Mapping[str, str], body: bytes) -> object:
    given = Headers(headers)
    (event,) = read_content(media_type(given), given, body).events
    return event


def parsed_as_kafka(headers: Mapping[str, str], value: bytes) -> object:
    parsed = read_record([(name, text.encode()) for name, text in headers.items()], value)
    assert isinstance(parsed, Parsed), parsed
    return parsed.value


def judged(change: dict[str, object]) -> Verdict:
    return admit(dict(HELD) | change, SCOPE, CLOCK)
