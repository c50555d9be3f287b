"""Requests of tools over HTTP: verification, redaction and responses."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from structlog.testing import capture_logs

from schemas.topics import EVENTS, raw_topic
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import Gateway, Log, event, make_token, running_gateway
from tests.ingest.marking import MARKER, is_marked
from tests.ingest.tooling import (
    SECRETS,
    connections_file,
    meeting_id,
    post_zoom,
    sign_slack,
    sign_zoom,
    url,
    zoom,
)
from tests.receiver import eventually

RAW_ZOOM = raw_topic("zoom")
# On a machine that is slow and busy with other tests; a vendor is waited for longer.
PROMPT_SECONDS = 20.0


@pytest.fixture(scope="module")
def tools(broker: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    file = connections_file(tmp_path_factory.mktemp("connections"))
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file) as running:
        yield running


@pytest.fixture
def raw(broker: Settings) -> Log:
    return Log(broker, RAW_ZOOM)


def test_what_a_tool_sends_is_on_its_raw_topic_when_it_is_answered(tools: Gateway, raw: Log) -> None:
    sent = zoom("started", meeting_id())

    answer = post_zoom(tools, sent)

    # Zoom takes nothing but 200 and 204 for delivered.
    assert (answer.status_code, answer.json()) == (200, {"status": 200, "reason": "recorded"})
    (record,) = raw.records()
    assert record.key == b"zoom_acme"
    assert dict(record.headers) == {
        "connection": b"zoom_acme",
        "content-type": b"application/json",
        "text_cut": b"1",
    }


def test_what_people_wrote_is_cut_before_anything_is_stored(tools: Gateway, raw: Log) -> None:
    sent = zoom("participant_joined", meeting_id(), "ada@example.com")

    post_zoom(tools, sent)

    (record,) = raw.records()
    assert b"our talk" not in (record.value or b"")
    kept = json.loads(record.value or b"")["payload"]["object"]
    assert ("topic" in kept, kept["participant"]["email"]) == (False, "ada@example.com")


def test_no_text_of_a_slack_message_is_stored(tools: Gateway, broker: Settings) -> None:
    log = Log(broker, raw_topic("slack"))
    message = {"type": "message", "channel": "C1", "user": "U1", "text": "dear diary", "ts": "1772445600.000100"}
    body = json.dumps({"type": "event_callback", "event_id": "Ev1", "event_time": 1772445600, "event": message})

    answer = plain_http.post(
        url(tools, "slack", "slack_acme"),
        content=body,
        headers=sign_slack(body.encode(), SECRETS["slack_acme"]),
        timeout=30,
    )

    assert answer.is_success
    (record,) = log.records()
    assert b"diary" not in (record.value or b"")
    assert dict(record.headers)["text_cut"] == b"1"


def test_a_handshake_is_answered_and_not_recorded(tools: Gateway, raw: Log) -> None:
    asked = {"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}, "event_ts": 1}

    answer = post_zoom(tools, asked)

    assert (answer.status_code, answer.json()["plainToken"]) == (200, "abc")
    assert raw.growth() == 0


def test_an_unverified_request_is_refused(tools: Gateway, raw: Log) -> None:
    body = json.dumps(zoom("started", meeting_id())).encode()
    target = url(tools, "zoom", "zoom_acme")
    old = sign_zoom(body, SECRETS["zoom_acme"], round(time.time()) - 301)

    for headers in ({}, {"content-type": "application/json"}, old, sign_zoom(b"other", SECRETS["zoom_acme"])):
        answer = plain_http.post(target, content=body, headers=headers)

        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:rapport:problem:unauthorized"
        assert 'Signature realm="rapport"' in answer.headers["www-authenticate"]
        assert SECRETS["zoom_acme"] not in answer.text
    assert raw.growth() == 0


UNPROVEN: dict[str, tuple[str, dict[str, str]]] = {
    "no proof": ("zoom/zoom_acme", {}),
    "an old proof": ("zoom/zoom_acme", sign_zoom(b"{}", SECRETS["zoom_acme"], 1_000_000_000)),
    "a wrong proof": ("zoom/zoom_acme", sign_zoom(b"{}", "another secret")),
    "no connection": ("zoom/nobody", {}),
    "no connection, and a proof": ("zoom/nobody", sign_zoom(b"{}", SECRETS["zoom_acme"])),
    "a connection of another tool": ("slack/zoom_acme", {}),
    "a connection of another tool, and its own proof": ("slack/zoom_acme", sign_zoom(b"{}", SECRETS["zoom_acme"])),
    "no tool": ("tea/zoom_acme", {}),
    "no route": ("zoom/zoom_acme/statements", {}),
    "no route of no connection": ("zoom/nobody/statements", {}),
    "a bearer": ("zoom/zoom_acme", {"authorization": "Bearer x"}),
    "a bearer for no connection": ("hr/nobody", {"authorization": "Bearer x"}),
    "notifications without their secret": ("microsoft_graph/nobody", {}),
}


def test_who_proves_nothing_does_not_learn_which_connections_there_are(tools: Gateway) -> None:
    root = f"http://127.0.0.1:{tools.settings.ingest_port}/v1/sources"

    answers = {
        what: plain_http.post(f"{root}/{path}", content=b"{}", headers={"content-type": "application/json", **headers})
        for what, (path, headers) in UNPROVEN.items()
    }

    told = {what: (one.status_code, one.content, _without_date(one.headers)) for what, one in answers.items()}
    assert answers["no proof"].status_code == 401
    assert {what for what, one in told.items() if one != told["no proof"]} == set()


def test_a_handshake_that_anybody_may_ask_for_is_answered_alike_for_connections_that_there_are_not(
    tools: Gateway,
) -> None:
    root = f"http://127.0.0.1:{tools.settings.ingest_port}/v1/sources"

    echoed = plain_http.post(f"{root}/microsoft_graph/nobody?validationToken=abc")
    about = plain_http.get(f"{root}/xapi/nobody/about")

    assert (echoed.status_code, echoed.text) == (200, "abc")
    assert (about.status_code, about.json()) == (200, {"version": ["1.0.3", "2.0.0"]})


def _without_date(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name != "date"]


def test_a_body_is_not_waited_for_where_the_head_proves_nothing(tools: Gateway) -> None:
    for path in ("zoom/zoom_acme", "slack/nobody", "hr/nobody", "google_calendar/nobody", "xapi/nobody"):
        head = f"POST /v1/sources/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", tools.settings.ingest_port), timeout=5) as connection:
            connection.sendall(head.encode())

            assert connection.recv(20).startswith(b"HTTP/1.1 401 ")


def test_nothing_large_is_read_where_the_proof_lies_in_the_body(tools: Gateway) -> None:
    target = url(tools, "microsoft_graph", "nobody")

    small = plain_http.post(target, content=b'{"value": []}')
    large = plain_http.post(target, content=b'{"value": [' + b" " * 2**16 + b"]}")

    assert (small.status_code, large.status_code) == (401, 413)


def test_labels_of_what_is_counted_are_never_those_of_a_path(tools: Gateway) -> None:
    for path in ("invented/zoom_acme", "zoom/invented", "zoom_acme/zoom_acme"):
        plain_http.post(f"http://127.0.0.1:{tools.settings.ingest_port}/v1/sources/{path}")

    counted = plain_http.get(f"http://127.0.0.1:{tools.settings.ingest_health_port}/metrics").text
    assert "invented" not in counted
    assert 'tool="zoom_acme"' not in counted


def test_a_method_that_the_tool_does_not_use_is_answered_405(tools: Gateway) -> None:
    answer = plain_http.get(url(tools, "zoom", "zoom_acme"))

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_what_cannot_be_read_is_answered_and_written_nowhere(tools: Gateway, raw: Log) -> None:
    huge = json.dumps(zoom("started", meeting_id(), padding="x" * 2**20)).encode()

    broken, too_large = post_zoom(tools, b'{"event": '), post_zoom(tools, huge)

    assert (broken.status_code, broken.json()["type"]) == (400, "urn:rapport:problem:malformed")
    assert (too_large.status_code, too_large.json()["type"]) == (413, "urn:rapport:problem:too_large")
    assert raw.growth() == 0


def test_another_content_type_is_answered_415_after_the_proof(tools: Gateway, raw: Log) -> None:
    body = json.dumps(zoom("started", meeting_id())).encode()
    headers = sign_zoom(body, SECRETS["zoom_acme"]) | {"content-type": "text/xml"}

    answer = plain_http.post(url(tools, "zoom", "zoom_acme"), content=body, headers=headers)

    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/json"
    assert raw.growth() == 0


def test_a_payload_of_one_mebibyte_that_does_not_compress_is_recorded(tools: Gateway, raw: Log) -> None:
    noise = "".join(uuid4().hex for _ in range(2**20 // 32 - 20))

    answer = post_zoom(tools, zoom("started", meeting_id(), noise=noise))

    assert answer.is_success, answer.text
    assert raw.growth() == 1


def test_what_a_connection_hands_in_too_fast_is_answered_429_and_not_taken(broker: Settings, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"ingest_connection_rate": 1, "ingest_token_rate": 2}
    file = connections_file(tmp_path)
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file, **limits) as slow:
        raw, log = Log(broker, RAW_ZOOM), Log(broker, EVENTS.name)

        answers = [post_zoom(slow, zoom("started", meeting_id())) for _ in range(14)]
        others = post_zoom(slow, zoom("started", meeting_id()), "zoom_globex")
        forged = [post_zoom(slow, zoom("started", meeting_id()), "zoom_leaders", secret="wrong") for _ in range(14)]
        theirs = post_zoom(slow, zoom("started", meeting_id()), "zoom_leaders")
        events = [slow.post([event(), event()], "application/cloudevents-batch+json") for _ in range(14)]

        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert {int(answer.headers["retry-after"]) for answer in refused} <= {1, 2}
        assert refused[0].json()["type"] == "urn:rapport:problem:too_many"
        # One connection's haste, and whoever forges one's signature, take nothing from the others.
        assert (others.status_code, theirs.status_code) == (200, 200)
        assert {answer.status_code for answer in forged} == {401}
        assert raw.growth() == len(answers) - len(refused) + 2
        taken = [answer for answer in events if answer.status_code == 202]
        assert {answer.status_code for answer in events} == {202, 429}
        assert log.growth() == 2 * len(taken)


def test_requests_are_counted_by_tool(tools: Gateway) -> None:
    post_zoom(tools, zoom("started", meeting_id()))

    health = f"http://127.0.0.1:{tools.settings.ingest_health_port}"
    counted = plain_http.get(f"{health}/metrics").text
    assert 'rapport_ingest_payloads_total{outcome="recorded",place="http",tool="zoom"}' in counted
    eventually(
        lambda: 'outcome="ignored:event_not_used",place="log",tool="zoom"' in plain_http.get(f"{health}/metrics").text
    )


def test_readiness_reports_each_part(tools: Gateway) -> None:
    status, said = tools.readiness()

    assert status == 200
    assert all(part in said["detail"] for part in ("gateway:", "raw topic:", "knowledge:", "tools:"))


def test_slack_is_answered_in_time_while_the_worker_waits_for_a_vendor(broker: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = _with_a_calendar_at(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        with running_gateway(broker.kafka, make_token(broker), ingest_connections=file) as slow:
            headers = {"x-goog-channel-token": "a channel's token", "x-goog-resource-state": "exists"}
            headers |= {
                "x-goog-resource-uri": "https://www.googleapis.com/calendar/v3/calendars/ada@example.com/events"
            }
            pushed = plain_http.post(url(slow, "google_calendar", "calendar"), headers=headers, timeout=30)
            # The worker has asked; this server will never answer it.
            silent.settimeout(30)
            asked, _ = silent.accept()

            began = time.monotonic()
            body = json.dumps({"type": "url_verification", "challenge": "c"}).encode()
            proof = sign_slack(body, SECRETS["slack_acme"])
            answer = plain_http.post(url(slow, "slack", "slack_acme"), content=body, headers=proof, timeout=30)
            recorded = post_zoom(slow, zoom("started", meeting_id()))
            seconds = time.monotonic() - began
            asked.close()

    assert all(answered.is_success for answered in (pushed, answer, recorded))
    assert seconds < PROMPT_SECONDS


def _with_a_calendar_at(address: str, folder: Path) -> Path:
    file = connections_file(folder)
    (folder / "calendar").write_text("a channel's token")
    calendar = {"id": "calendar", "tool": "google_calendar", "tenant": "acme", "secret_file": "calendar"}
    given = yaml.safe_load(file.read_text())
    given["connections"].append(calendar | {"api_token_file": "calendar", "settings": {"api_url": address}})
    file.write_text(yaml.safe_dump(given))
    return file


def test_whatever_somebody_asks_for_no_word_of_it_is_in_the_log(tools: Gateway) -> None:
    with capture_logs() as lines:
        answer = plain_http.post(url(tools, "zoom", f"{MARKER}%20{'x' * 100}"), content=b"{}")

    assert answer.status_code == 401
    (line,) = [one for one in lines if one["event"] == "request_done"]
    assert (line["tool"], line["connection"]) == ("zoom", "no name")
    assert not is_marked(repr(lines).encode())


def test_the_lag_of_every_consumer_of_the_process_is_measured(tools: Gateway) -> None:
    counted = plain_http.get(f"http://127.0.0.1:{tools.settings.ingest_health_port}/metrics").text

    lags = [line for line in counted.splitlines() if line.startswith("rapport_consumer_lag{")]
    assert {line.partition('part="')[2].partition('"')[0] for line in lags} == {"tools"}
