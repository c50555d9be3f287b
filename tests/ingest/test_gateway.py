import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS
from services.ingest.__main__ import main
from services.ingest.gateway.limits import BURST_SECONDS
from services.ingest.gateway.requests import (
    LONGEST_PAUSE_SECONDS,
    MAX_BYTES,
    MAX_PAUSED_OF_ONE,
    REFUSED_PER_SECOND,
)
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import BATCH, SOURCE, Gateway, Log, event, make_token, stored_id
from tests.plain_http import NO_TLS
from tests.receiver import eventually

JSON = "application/json"
# What a mebibyte of nonsense may take on a machine that is slow and busy with other tests.
BUSY_SECONDS = 10.0
HELD = event()["data"]


@pytest.fixture
def log(broker: Settings) -> Log:
    return Log(broker, EVENTS.name)


def test_an_event_is_on_the_log_when_it_is_answered_202(gateway: Gateway, log: Log) -> None:
    sent = event()

    answer = gateway.post(sent)

    assert answer.status_code == 202
    assert answer.json() == {"id": sent["id"], "status": 202, "reason": "recorded"}
    (record,) = log.records()
    assert record.value is not None
    recorded = MENTORING_EVENT.validate_json(record.value)
    assert (recorded.id, recorded.tenant, recorded.source) == (sent["id"], "acme", SOURCE)
    assert record.key == b"acme/rel-1"
    assert dict(record.headers) == {"content-type": b"application/cloudevents+json"}


def test_plain_json_is_accepted_as_a_structured_event(gateway: Gateway) -> None:
    assert gateway.post(event(), f"{JSON}; charset=utf-8").status_code == 202


def test_binary_mode_carries_the_attributes_in_headers(gateway: Gateway, log: Log) -> None:
    sent = event(id="ü 1")
    headers = {f"ce-{name}": value for name, value in sent.items() if name != "data"} | {"ce-id": "%C3%BC%201"}

    answer = gateway.post(sent["data"], JSON, **headers)

    assert answer.json() == {"id": stored_id("ü 1"), "status": 202, "reason": "recorded"}
    assert len(log.records()) == 1


def test_a_batch_is_answered_event_by_event(gateway: Gateway, log: Log) -> None:
    sent = [event(), event()]

    answer = gateway.post(sent, BATCH)

    assert answer.status_code == 202
    assert answer.json() == {
        "recorded": 2,
        "duplicates": 0,
        "rejected": 0,
        "events": [{"index": i, "id": e["id"], "status": 202, "reason": "recorded"} for i, e in enumerate(sent)],
    }
    assert log.growth() == 2


def test_a_mixed_batch_accepts_valid_events_and_reports_the_others(gateway: Gateway, log: Log) -> None:
    good = event()
    bad = [event(type="mentoring.session.hold.v1"), event(source="urn:foreign"), event(data={}), 7]

    answer = gateway.post([bad[0], good, *bad[1:]], BATCH)

    assert answer.status_code == 207
    entries = answer.json()["events"]
    assert [(e["status"], e["reason"]) for e in entries] == [
        (400, "unknown_type"),
        (202, "recorded"),
        (403, "forbidden"),
        (400, "invalid"),
        (400, "malformed"),
    ]
    assert entries[2]["errors"] == [{"path": "source", "reason": "this sender may not speak for this source"}]
    assert [json.loads(record.value or b"")["id"] for record in log.records()] == [good["id"]]


def test_a_repeat_is_answered_as_a_duplicate(gateway: Gateway, log: Log) -> None:
    sent = event()
    gateway.post(sent)

    same = gateway.post(sent | {"time": "2026-03-01T12:00:00+02:00", "recordedtime": "2020-01-01T00:00:00Z"})

    assert same.status_code == 202
    assert same.json()["reason"] == "duplicate"
    assert log.growth() == 1


def test_the_same_id_with_other_content_is_a_conflict(gateway: Gateway, log: Log) -> None:
    sent = event()
    gateway.post(sent)

    answer = gateway.post(sent | {"subject": "rel-2"})

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:rapport:problem:conflict"
    assert answer.json()["errors"][0]["path"] == "id"
    assert log.growth() == 1


def test_one_batch_may_repeat_and_contradict_itself(gateway: Gateway, log: Log) -> None:
    sent = event()

    answer = gateway.post([sent, sent, sent | {"subject": "rel-2"}], BATCH)

    assert [entry["reason"] for entry in answer.json()["events"]] == ["recorded", "duplicate", "conflict"]
    assert log.growth() == 1


def test_many_at_once_sending_the_same_event_write_it_once(gateway: Gateway, log: Log) -> None:
    sent = event()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: gateway.post(sent), range(32)))

    assert {answer.status_code for answer in answers} == {202}
    assert sorted(answer.json()["reason"] for answer in answers) == ["duplicate"] * 31 + ["recorded"]
    assert log.growth() == 1


@dataclass(frozen=True)
class Refusal:
    body: bytes
    status: int
    code: str
    path: str = ""
    content_type: str = JSON


def of_event(status: int, code: str, path: str, **changes: object) -> Refusal:
    return Refusal(json.dumps(event(**changes)).encode(), status, code, path)


REFUSED = {
    "broken JSON": Refusal(b'{"source": ', 400, "malformed", content_type="application/cloudevents+json"),
    "no JSON at all": Refusal(b"", 400, "malformed"),
    "not UTF-8": Refusal(b'{"id": "\xff"}', 400, "malformed"),
    "a name twice": Refusal(b'{"id": "1", "id": "2"}', 400, "malformed"),
    "a lone surrogate": of_event(400, "malformed", "", id="\ud800"),
    "bottomless nesting": Refusal(b'{"data":' + b"[" * 200_000, 400, "malformed"),
    "an array as one event": Refusal(json.dumps([event()]).encode(), 400, "malformed"),
    "an object as a batch": Refusal(json.dumps(event()).encode(), 400, "malformed", content_type=BATCH),
    "a wrong type of value": of_event(400, "invalid", "data.minutes", data=HELD | {"minutes": "thirty"}),
    "a time without zone": of_event(400, "invalid", "time", time="2026-03-01T10:00:00"),
    "an unknown type": of_event(400, "unknown_type", "type", type="mentoring.tea.drunk.v1"),
    "a type of ours": of_event(403, "forbidden", "type", type="mentoring.score.changed.v1"),
    "an erasure": of_event(403, "forbidden", "type", type="mentoring.relationship.erased.v1", data={}),
    "a foreign source": of_event(403, "forbidden", "source", source="urn:foreign"),
    "a foreign tenant": of_event(403, "forbidden", "tenant", tenant="globex"),
    "the future": of_event(400, "future", "time", time="2199-01-01T00:00:00Z"),
}


@pytest.mark.parametrize("refusal", REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_has_path_and_reason_and_nothing_is_written(gateway: Gateway, log: Log, refusal: Refusal) -> None:
    answer = gateway.post(refusal.body, refusal.content_type)

    problem = answer.json()
    assert answer.status_code == problem["status"] == refusal.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:rapport:problem:{refusal.code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["errors"][0]["path"] == refusal.path
    assert problem["errors"][0]["reason"]
    assert log.growth() == 0


def test_an_empty_batch_is_refused(gateway: Gateway, log: Log) -> None:
    answer = gateway.post([], BATCH)

    assert (answer.status_code, answer.json()["type"]) == (400, "urn:rapport:problem:empty_batch")
    assert log.growth() == 0


def test_a_batch_without_a_good_event_is_refused_as_a_whole(gateway: Gateway, log: Log) -> None:
    all_foreign = gateway.post([event(source="urn:foreign"), event(source="urn:foreign")], BATCH)
    of_both_kinds = gateway.post([event(source="urn:foreign"), event(data={})], BATCH)

    assert (all_foreign.status_code, of_both_kinds.status_code) == (403, 400)
    assert [entry["status"] for entry in of_both_kinds.json()["events"]] == [403, 400]
    assert log.growth() == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/json; charset=utf-16"])
def test_another_content_type_is_answered_415(gateway: Gateway, log: Log, content_type: str) -> None:
    answer = gateway.post(event(), content_type)

    assert answer.status_code == 415
    assert "application/cloudevents+json" in answer.headers["accept-post"]
    assert log.growth() == 0


@pytest.mark.parametrize("encoding", ["gzip", "Deflate", "identity, br"])
def test_a_compressed_body_is_refused(gateway: Gateway, log: Log, encoding: str) -> None:
    answer = gateway.post(event(), **{"content-encoding": encoding})

    assert answer.status_code == 415
    assert "send it as it is, without Content-Encoding" in answer.json()["detail"]
    assert log.growth() == 0


@pytest.mark.parametrize("encoding", ["identity", "utf-8", ""])
def test_what_says_nothing_of_compression_is_no_reason_to_refuse(gateway: Gateway, encoding: str) -> None:
    assert gateway.post(event(), **{"content-encoding": encoding}).status_code == 202


def test_five_megabytes_are_answered_413(gateway: Gateway, log: Log) -> None:
    body = json.dumps([event() for _ in range(20_000)]).encode()

    declared = gateway.post(body, BATCH)
    streamed = gateway.client.post("/v1/events", content=pieces(body), headers={"content-type": BATCH})

    assert len(body) > 5_000_000
    assert declared.status_code == streamed.status_code == 413
    assert declared.json()["type"] == streamed.json()["type"] == "urn:rapport:problem:too_large"
    assert gateway.post(event()).status_code == 202
    assert log.growth() == 1


def test_a_body_without_end_is_cut_off(gateway: Gateway) -> None:
    head = (
        "POST /v1/events HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
        f"Authorization: {gateway.client.headers['authorization']}\r\n\r\n"
    )
    sent = 0
    with socket.create_connection(("127.0.0.1", gateway.settings.ingest_port), timeout=5) as connection:
        connection.sendall(head.encode())
        with suppress(ConnectionError):
            while sent < 100 * 2**20:
                connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                sent += 65_536
    assert 2**20 < sent < 50 * 2**20


def pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer rpt_nobody_00", "Basic dTpw", "Bearer ü"])
def test_a_request_without_a_valid_token_is_refused(gateway: Gateway, log: Log, authorization: str) -> None:
    answer = gateway.post(event(), authorization=authorization.encode("latin-1"))  # type: ignore[arg-type]

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:rapport:problem:unauthorized"
    assert log.growth() == 0


def test_a_token_takes_effect_and_ends_while_the_gateway_runs(gateway: Gateway, broker: Settings) -> None:
    secret = make_token(broker, tenant="globex", programs=("leaders",))

    eventually(lambda: gateway.post(event(), authorization=f"Bearer {secret}").status_code == 403)
    own = event(program="leaders")
    eventually(lambda: gateway.post(own, authorization=f"Bearer {secret}").status_code == 202)
    revoke(broker, secret)

    eventually(lambda: gateway.post(event(), authorization=f"Bearer {secret}").status_code == 401)


def revoke(broker: Settings, secret: str) -> None:
    token_id = secret.removeprefix("rpt_").rpartition("_")[0]
    result = CliRunner().invoke(main, ["token", "revoke", token_id], env={"RAPPORT_KAFKA": broker.kafka})
    assert result.exit_code == 0, result.output


def test_binary_mode_refuses_headers_that_are_no_attributes(gateway: Gateway) -> None:
    for header, value in (("ce-data", "x"), ("ce-data_base64", "x"), ("ce-id", "%ff")):
        answer = gateway.post({}, JSON, **{header: value})

        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, header)
    headers = [("content-type", JSON), ("ce-id", "1"), ("ce-id", "2")]
    twice = gateway.client.post("/v1/events", content=b"{}", headers=headers)
    assert twice.json()["errors"] == [{"path": "ce-id", "reason": "is there twice"}]


def test_what_is_not_served_is_answered_in_the_same_form(gateway: Gateway) -> None:
    nothing, wrong = gateway.client.get("/v2/events"), gateway.client.get("/v1/events")

    assert gateway.client.post("/v1/events/").status_code == 404
    assert (nothing.status_code, nothing.json()["type"]) == (404, "urn:rapport:problem:not_found")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.headers["content-type"] == "application/problem+json"
    assert wrong.json()["detail"] == "GET /v1/events: POST is served here"


def test_the_gateway_lists_its_endpoints(gateway: Gateway) -> None:
    links = gateway.client.get("/").json()["links"]

    described: dict[str, Any] = gateway.client.get(links["openapi"]).json()
    operation = described["paths"][links["events"]]["post"]
    batch = described["paths"]["/v1/events/batch"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/cloudevents+json"}
    assert set(batch["requestBody"]["content"]) == {BATCH}
    assert all(media_type in operation["description"] for media_type in (BATCH, JSON))
    assert {"202", "207", "400", "401", "403", "409", "413", "415", "503"} <= set(operation["responses"])


def test_refusals_of_a_flooding_sender_are_delayed_and_no_others(gateway: Gateway, broker: Settings) -> None:
    often, other = (Gateway(gateway.settings, client_of(gateway, make_token(broker))) for _ in range(2))
    nonsense = b"[" + b"{}," * 999 + b"{}" + b" " * (MAX_BYTES - 3_001) + b"]"

    with often.client, other.client:
        eventually(lambda: all(one.post(event()).status_code == 202 for one in (often, other)), what="the tokens")
        allowed = [timed(often, nonsense) for _ in range(REFUSED_PER_SECOND * BURST_SECONDS * 1024 // MAX_BYTES)]
        more = [timed(often, nonsense) for _ in range(3)]
        short = timed(other, b"nonsense")
        good = often.post(event())

    assert max(allowed) < BUSY_SECONDS
    assert max(more) >= 1
    assert max(more) < LONGEST_PAUSE_SECONDS + BUSY_SECONDS
    assert short < max(more)
    assert good.status_code == 202


def test_of_many_who_are_refused_much_at_once_some_lose_their_connection_and_nobody_the_way_in(
    gateway: Gateway, broker: Settings
) -> None:
    often = Gateway(gateway.settings, client_of(gateway, make_token(broker)))
    nonsense = b"[" + b"{}," * 999 + b"{}" + b" " * (MAX_BYTES - 3_001) + b"]"
    with often.client, ThreadPoolExecutor(3 * MAX_PAUSED_OF_ONE) as pool:
        eventually(lambda: often.post(event()).status_code == 202, what="the token")
        answers = list(pool.map(lambda _: often.post(nonsense, BATCH), range(3 * MAX_PAUSED_OF_ONE)))
        good = often.post(event())

    assert {answer.status_code for answer in answers} <= {400, 429}
    assert "close" in {answer.headers.get("connection") for answer in answers}
    assert good.status_code == 202


def client_of(gateway: Gateway, secret: str) -> httpx.Client:
    headers = {"authorization": f"Bearer {secret}"}
    limits = httpx.Limits(max_connections=200)
    return httpx.Client(base_url=gateway.client.base_url, headers=headers, timeout=30, limits=limits, verify=NO_TLS)


def timed(gateway: Gateway, body: bytes) -> float:
    began = time.monotonic()
    assert gateway.post(body, BATCH).status_code == 400
    return time.monotonic() - began


def test_what_happened_is_counted(gateway: Gateway) -> None:
    gateway.post(event())

    health = f"http://127.0.0.1:{gateway.settings.ingest_health_port}"
    assert 'rapport_ingest_events_total{outcome="recorded",way="http"}' in plain_http.get(f"{health}/metrics").text
