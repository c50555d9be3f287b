"""The receiver's obligations of the CloudEvents HTTP binding, against a running gateway."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping

import pytest

from schemas.events import MENTORING_EVENT, MentoringEvent
from schemas.topics import EVENTS
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import BATCH, STRUCTURED, Gateway, Log, event, stored_id

JSON = "application/json"

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def log(broker: Settings) -> Log:
    return Log(broker, EVENTS.name)


def attributes(**changes: str) -> dict[str, str]:
    """The headers of an event in binary mode."""
    return {f"ce-{name}": value for name, value in (event() | changes).items() if name != "data"}


def sent(gateway: Gateway, headers: Mapping[str, str], body: object = None) -> tuple[int, str]:
    """Status, and the path at fault."""
    content = json.dumps(event()["data"] if body is None else body).encode()
    answer = gateway.client.post("/v1/events", content=content, headers=dict(headers))
    errors = answer.json().get("errors", [{"path": ""}])
    return answer.status_code, errors[0]["path"]


def dropped(gateway: Gateway) -> float:
    text = plain_http.get(f"http://127.0.0.1:{gateway.settings.ingest_health_port}/metrics", timeout=30).text
    found = re.search(r'^rapport_ingest_dropped_attributes_total\{way="http"\} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def recorded(log: Log) -> MentoringEvent:
    (record,) = log.records()
    assert record.value is not None
    return MENTORING_EVENT.validate_json(record.value)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%41%6c%6C", "All"),
        ('"with blanks"', "with blanks"),
        (r'"a \"quoted\" \\ one"', r'a "quoted" \ one'),
        ('"Euro%20%E2%82%AC"', "Euro €"),
        ("100%", "100%"),
    ],
)
def test_a_header_is_unquoted_and_then_decoded_once(gateway: Gateway, log: Log, value: str, meant: str) -> None:
    assert sent(gateway, attributes(id=value) | {"content-type": JSON}) == (202, "")
    assert recorded(log).id == stored_id(meant)


@pytest.mark.parametrize("value", ["%C0%A0", "%ff", "%ed%a0%80"])
def test_a_header_that_is_no_utf_8_is_refused(gateway: Gateway, log: Log, value: str) -> None:
    assert sent(gateway, attributes(id=value) | {"content-type": JSON}) == (400, "ce-id")
    assert log.growth() == 0


def test_header_names_are_accepted_in_any_case(gateway: Gateway, log: Log) -> None:
    headers = {name.title(): value for name, value in attributes(id="any case").items()}

    assert sent(gateway, headers | {"CONTENT-TYPE": "Application/JSON; Charset=UTF-8"}) == (202, "")
    assert recorded(log).id == stored_id("any case")


@pytest.mark.parametrize("content_type", [{}, {"content-type": "text/json"}, {"content-type": "application/x.y+json"}])
def test_in_binary_mode_any_json_is_data(gateway: Gateway, log: Log, content_type: dict[str, str]) -> None:
    assert sent(gateway, attributes() | content_type) == (202, "")
    assert recorded(log).datacontenttype == JSON


@pytest.mark.parametrize(
    "content_type", ["application/avro", "application/cloudevents+avro", "application/json; charset=utf-16"]
)
def test_in_binary_mode_other_data_are_answered_415(gateway: Gateway, log: Log, content_type: str) -> None:
    status, _ = sent(gateway, attributes() | {"content-type": content_type})

    assert status == 415
    assert log.growth() == 0


def test_extensions_that_we_know_are_kept_and_others_are_left_out_and_counted(gateway: Gateway, log: Log) -> None:
    known = attributes(correlationid="c-1", traceparent=TRACE, tenant="acme", partitionkey="acme/rel-1")
    before = dropped(gateway)

    others = {"ce-remark": "free text", "ce-topic": "t", "ce-X-Request-Id": "free text"}
    answer = sent(gateway, known | others | {"content-type": JSON})

    assert answer == (202, "")
    assert (recorded(log).correlationid, recorded(log).traceparent) == ("c-1", TRACE)
    assert b"free text" not in (log.records()[0].value or b"")
    assert dropped(gateway) == before + 3


def test_faulty_data_are_reported_at_data(gateway: Gateway) -> None:
    answer = gateway.client.post("/v1/events", content=b"{", headers=attributes() | {"content-type": JSON})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "data")


def test_structured_mode_heeds_no_attributes_in_headers(gateway: Gateway, log: Log) -> None:
    said = event()

    answer = gateway.post(said, f"{STRUCTURED}; charset=UTF-8", **{"ce-id": "other", "ce-a_b": "x"})

    assert answer.json()["id"] == said["id"]
    assert recorded(log).id == said["id"]


def test_null_attributes_are_unset(gateway: Gateway) -> None:
    nulls = dict.fromkeys(("dataschema", "datacontenttype", "correlationid", "partitionkey", "tenant", "myextension"))

    assert gateway.post(event(**nulls)).status_code == 202


def test_base64_of_json_is_accepted_alone_and_in_batches(gateway: Gateway, log: Log) -> None:
    encoded = b64encode(json.dumps(event()["data"]).encode()).decode()
    of_base64 = {name: value for name, value in event(data_base64=encoded).items() if name != "data"}

    alone = gateway.post(of_base64)
    batch = gateway.post([of_base64, event(), event(data_base64=encoded)], BATCH)

    assert alone.status_code == 202
    assert [entry["reason"] for entry in batch.json()["events"]] == ["duplicate", "recorded", "invalid"]
    assert batch.json()["events"][2]["errors"][0]["path"] == "data_base64"
    assert log.growth() == 2


def test_the_same_event_in_every_mode_is_one_event(gateway: Gateway, log: Log) -> None:
    said = event()
    headers = {f"ce-{name}": value for name, value in said.items() if name != "data"}

    answers = [
        gateway.post(said),
        gateway.post(said["data"], "application/json; charset=utf-8", **headers),
        gateway.post(said | {"datacontenttype": "text/json"}),
    ]

    assert [answer.json()["reason"] for answer in answers] == ["recorded", "duplicate", "duplicate"]
    assert log.growth() == 1
