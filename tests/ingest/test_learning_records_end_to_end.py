"""xAPI statements, HR feeds and form answers, end to end: from HTTP onto the log, sent as real clients send them."""

import hmac
import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import yaml

from schemas.topics import EVENTS, REJECTED, raw_topic
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import Gateway, Log, make_token, running_gateway
from tests.ingest.sources import test_typeform as typeform
from tests.ingest.sources import test_xapi as xapi
from tests.ingest.tooling import DirectoryLog, Pair, make_pair, of, url
from tests.plain_http import NO_TLS
from tests.receiver import eventually

PASSWORD = "lms:secret of the records"
TOKEN = "secret of the feed"
SIGNED = "secret of the form"
CONNECTIONS: tuple[dict[str, object], ...] = (
    {"id": "records_xapi", "tool": "xapi", "tenant": "acme", "secret_file": "password"},
    {"id": "records_hr", "tool": "hr", "tenant": "acme", "secret_file": "token"},
    {
        "id": "records_typeform",
        "tool": "typeform",
        "tenant": "acme",
        "secret_file": "signed",
        "settings": typeform.SETTINGS | {"respondent": {"address": "mail"}, "relationship": None},
    },
)
XAPI = {"x-experience-api-version": "1.0.3", "content-type": "application/json"}


@pytest.fixture(scope="module")
def tools(broker: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("records")
    for name, secret in (("password", PASSWORD), ("token", TOKEN), ("signed", SIGNED)):
        (folder / name).write_text(secret)
    file: Path = folder / "connections.yaml"
    file.write_text(yaml.safe_dump({"connections": list(CONNECTIONS)}))
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file) as running:
        yield running


@pytest.fixture
def log(broker: Settings) -> Log:
    return Log(broker, EVENTS.name)


@pytest.fixture
def kept(broker: Settings) -> Log:
    return Log(broker, REJECTED.name)


def heard(pair: Pair, log: Log) -> list[tuple[str, str]]:
    """Which events tools have brought about, and who did it."""
    told = [one for one in of(pair, log) if one["source"].startswith("urn:rapport:")]
    return [(one["type"].removeprefix("mentoring.").removesuffix(".v1"), one["data"]["by"]) for one in told]


def client(tools: Gateway) -> httpx.Client:
    user, _, password = PASSWORD.partition(":")
    base = url(tools, "xapi", "records_xapi")
    return httpx.Client(base_url=base, auth=(user, password), headers=XAPI, timeout=30, verify=NO_TLS)


def test_an_xapi_client_is_answered_as_the_standard_requires(tools: Gateway, broker: Settings, log: Log) -> None:
    pair = make_pair(broker)
    actors = [{"mbox": f"mailto:{address}"} for address in (pair.mentor, pair.mentee)]
    held = xapi.statement(id=str(uuid4()), actor={"objectType": "Group", "member": actors})
    rated = xapi.statement("scored", id=None, actor=actors[1], result={"score": {"raw": 4, "min": 1, "max": 5}})
    name = str(uuid4())

    with client(tools) as lms:
        about = plain_http.get(f"{lms.base_url}about")
        posted = lms.post("/statements", json=[held, rated])
        put = lms.put(
            "/statements", params={"statementId": name}, json=xapi.statement("commented", id=name, actor=actors[0])
        )
        old = lms.post("/statements", json=held, headers={"x-experience-api-version": "0.95"})
        wrong = lms.post("/statements", json=[{"id": "x"}])
        stranger = plain_http.post(f"{lms.base_url}statements", json=held, headers=XAPI)

    assert about.json() == {"version": ["1.0.3", "2.0.0"]}
    assert (posted.status_code, posted.headers["x-experience-api-version"]) == (200, "1.0.3")
    assert posted.json()[0] == held["id"]
    assert (put.status_code, put.content) == (204, b"")
    assert [answer.status_code for answer in (old, wrong, stranger)] == [400, 400, 401]
    wanted = {("session.held", "system"), ("feedback.given", "mentee"), ("message.sent", "mentor")}
    eventually(lambda: set(heard(pair, log)) == wanted)


def test_a_feed_is_recorded_row_by_row_and_a_row_at_fault_is_put_aside_alone(
    tools: Gateway, broker: Settings, log: Log, kept: Log
) -> None:
    pair, raw, directory = make_pair(broker), Log(broker, raw_topic("hr")), DirectoryLog(broker)
    known = f"mentee-{pair.relationship}"
    body = (
        "Employee ID;Name;E-Mail;Status;Leave Start\r\n"
        f"{known};A B;{pair.mentee};On Leave;2026-03-02\r\n"
        f"new-{pair.relationship};H\xe9l\xe8ne;;Active;\r\n"
        f"other-{pair.relationship};C D;;Active;\r\n"
    ).encode("latin-1")
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "text/csv"}

    answer = plain_http.post(url(tools, "hr", "records_hr"), content=body, headers=headers, timeout=30)

    assert answer.status_code == 202
    assert raw.growth() == 3
    eventually(lambda: heard(pair, log) == [("relationship.paused", "system")])
    eventually(lambda: kept.growth() == 1)
    (record,) = kept.records()
    said = {name: value.decode() for name, value in record.headers}
    assert (said["reason"], said["path"]) == ("malformed", "line 3, column Name")
    assert json.loads(record.value or b"")["employee"]["Employee ID"] == f"new-{pair.relationship}"
    eventually(lambda: directory.growth() == 2)


def test_a_form_response_is_processed_and_no_free_text_is_stored(tools: Gateway, broker: Settings, log: Log) -> None:
    pair, raw = make_pair(broker), Log(broker, raw_topic("typeform"))
    answers = (typeform.rated(4, "rating"), typeform.answer("why", "long_text", text="secret words"))
    fields = [typeform.asked("how_was_it", "rating", steps=5)]
    value = typeform.response(*answers, fields=fields, hidden={"mail": pair.mentee.upper()}, token=uuid4().hex)
    body = json.dumps(value).encode()
    signature = b64encode(hmac.new(SIGNED.encode(), body, sha256).digest()).decode()
    headers = {"typeform-signature": f"sha256={signature}", "content-type": "application/json"}

    answer = plain_http.post(url(tools, "typeform", "records_typeform"), content=body, headers=headers, timeout=30)

    assert answer.status_code == 202
    eventually(lambda: heard(pair, log) == [("feedback.given", "mentee")])
    (record,) = raw.records()
    assert b"secret words" not in (record.value or b"")
