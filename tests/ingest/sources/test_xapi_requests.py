"""xAPI 1.0.3 and 2.0: a receiver's obligations, and what is recorded of a request."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from services.ingest.domain.cloudevents import Parsed
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.tool import Handshake, RawPayloads, Received, Unverified, Verified
from services.ingest.sources.xapi.model import XapiSettings
from services.ingest.sources.xapi.tool import TOOL
from tests.ingest.sources.mutation import mutated
from tests.ingest.sources.redaction import PSEUDONYM, redacted_by
from tests.ingest.sources.test_xapi import ID, OTHER_ID, SAMPLES, statement

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASIC = "Basic " + b64encode(b"lms:s3cret").decode()
SECRET = "lms:s3cret"


def taken(
    value: object, method: str = "POST", content_type: str = "application/json", **query: str
) -> RawPayloads | Rejected:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return TOOL.split(Received({"content-type": content_type}, body, query, method, "/statements"), XapiSettings(), NOW)


def statements(value: RawPayloads | Rejected) -> list[Any]:
    assert isinstance(value, RawPayloads), value
    return [json.loads(payload) for payload in value.payloads]


def reason(value: RawPayloads | Rejected) -> str:
    assert isinstance(value, Rejected), value
    return f"{value.errors[0].path} {value.errors[0].reason}".strip()


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: member for name, member in value.items() if name not in names}


@pytest.mark.parametrize("version", ["1.0.3", "1.0.0", "1.0", "2.0.0", "2.0"])
def test_a_client_with_the_password_and_the_version_is_proven(version: str) -> None:
    headers = {"authorization": BASIC, "x-experience-api-version": version}

    assert TOOL.verify(Received(headers, b"[]"), SECRET, NOW) == Verified()


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!!", "Basic bG1z", "Bearer lms:s3cret", "Basic " + b64encode(b"\xff:x").decode()],
)
def test_a_client_without_the_password_is_refused(authorization: str) -> None:
    headers = {"authorization": authorization, "x-experience-api-version": "1.0.3"}

    assert isinstance(TOOL.verify(Received(headers, b"[]"), SECRET, NOW), Unverified)
    assert isinstance(TOOL.verify(Received(headers, b"[]"), "", NOW), Unverified)


@pytest.mark.parametrize("version", ["", "0.95", "1.0.3.1", "1.1", "2.1.0", "3.0.0"])
def test_another_version_is_a_bad_request_of_a_proven_client(version: str) -> None:
    headers = {"authorization": BASIC, "x-experience-api-version": version}

    answer = TOOL.verify(Received(headers, b"[]"), SECRET, NOW)

    assert isinstance(answer, Handshake)
    assert answer.status == 400
    assert b"X-Experience-API-Version" in answer.body


def test_the_version_can_be_queried_without_authentication() -> None:
    answer = TOOL.verify(Received({}, b"", method="GET", path="/about"), SECRET, NOW)

    assert isinstance(answer, Handshake)
    assert json.loads(answer.body) == {"version": ["1.0.3", "2.0.0"]}


def test_statements_are_recorded_one_by_one_and_answered_with_their_ids() -> None:
    found = taken([statement(), statement(id=OTHER_ID)])

    assert [one["id"] for one in statements(found)] == [ID, OTHER_ID]
    assert isinstance(found, RawPayloads)
    assert found.answer is not None
    assert (found.answer.status, json.loads(found.answer.body)) == (200, [ID, OTHER_ID])
    assert found.answer.headers == (("X-Experience-API-Version", "1.0.3"),)


@pytest.mark.parametrize(("asked", "answered"), [("1.0.1", "1.0.3"), ("2.0", "2.0.0"), ("2.0.0", "2.0.0")])
def test_a_response_names_the_version_of_the_client(asked: str, answered: str) -> None:
    received = Received({"x-experience-api-version": asked}, json.dumps(statement()).encode())

    found = TOOL.split(received, XapiSettings(), NOW)

    assert isinstance(found, RawPayloads)
    assert found.answer is not None
    assert found.answer.headers == (("X-Experience-API-Version", answered),)


def test_a_put_is_answered_without_content() -> None:
    found = taken(without(statement(), "id"), "PUT", statementId=ID)

    assert statements(found)[0]["id"] == ID
    assert isinstance(found, RawPayloads)
    assert found.answer is not None
    assert (found.answer.status, found.answer.body) == (204, b"")


def test_what_the_client_leaves_out_is_completed() -> None:
    bare = without(statement(), "id", "timestamp", "stored")

    (completed,) = statements(taken(bare))

    assert completed["timestamp"] == "2026-03-01T12:00:00.000000Z"
    assert statements(taken(bare))[0]["id"] == completed["id"]
    assert "timestamp" not in statements(taken(without(statement(), "timestamp")))[0]


def test_what_was_taken_once_stays_as_it_is() -> None:
    found = taken([without(statement(), "id", "timestamp", "stored"), statement()])
    assert isinstance(found, RawPayloads)

    for payload in found.payloads:
        later = TOOL.split(Received({"content-type": found.media_type}, payload), XapiSettings(), datetime.now(UTC))
        assert isinstance(later, RawPayloads)
        assert later.payloads == (payload,)


def test_an_empty_array_is_valid_and_ignored() -> None:
    found = taken([])

    assert isinstance(found, RawPayloads)
    assert found.payloads == (b"[]",)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([statement(), "x"], "a statement is a JSON object"),
        (3, "a statement is a JSON object"),
        ([statement(id="x")], "0.id must be a UUID"),
        ([statement(id=7)], "0.id must be a UUID"),
        ([statement(), statement(id=ID.upper())], "1.id is that of another statement"),
        (b"{", "is not valid JSON"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_request_at_fault_records_nothing(value: object, words: str) -> None:
    assert words in reason(taken(value))


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        (statement(), "", "PUT needs ?statementId="),
        (statement(), OTHER_ID, "another than that of ?statementId="),
        ([statement()], ID, "PUT carries one statement"),
    ],
)
def test_a_put_at_fault_records_nothing(value: object, name: str, words: str) -> None:
    assert words in reason(taken(value, "PUT", statementId=name))


def test_of_statements_with_attachments_only_the_statements_are_kept() -> None:
    body = (
        b"--abc\r\nContent-Type: application/json\r\n\r\n" + json.dumps(statement()).encode() + b"\r\n"
        b"--abc\r\nContent-Type: text/plain\r\nX-Experience-API-Hash: 1\r\n\r\na secret letter\r\n--abc--\r\n"
    )

    found = taken(body, content_type="multipart/mixed; boundary=abc")

    assert statements(found) == [statement()]
    assert TOOL.parse(body, 'multipart/mixed; boundary="abc"') == Parsed(statement())


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "multipart/mixed; boundary=abc"),
        (b"--abc\r\nContent-Type: text/plain\r\n\r\nx\r\n--abc--", "multipart/mixed; boundary=abc"),
        (b"--abc", "multipart/mixed"),
        (b"x", "multipart/mixed; boundary=\r\nX: y"),
        (b"x", "multipart/mixed; boundary=" + "a" * 1000),
        (b"--a\r\nContent-Type: application/json\r\n\r\n{\r\n--a--", "multipart/mixed; boundary=a"),
    ],
)
def test_parts_that_hold_no_statements_are_refused(body: bytes, content_type: str) -> None:
    assert isinstance(taken(body, content_type=content_type), Rejected)


def test_what_people_answer_in_their_own_words_is_cut() -> None:
    value = statement("commented", result={"response": "secret words"})

    assert "secret" not in json.dumps(redacted_by(TOOL, value))


def test_names_platforms_extensions_and_attachments_are_cut() -> None:
    value = statement(
        actor={"name": "secret", "mbox": "mailto:ada@example.com"},
        context={"platform": "secret", "language": "secret", "extensions": {"https://example.com/x": "secret"}},
        attachments=[{"display": {"en": "secret"}, "fileUrl": "https://example.com/secret"}],
    )

    found = redacted_by(TOOL, value)

    assert "secret" not in json.dumps(found)
    assert TOOL.translate(found, XapiSettings()) == TOOL.translate(value, XapiSettings())


def test_of_a_statement_that_means_nothing_here_only_that_it_is_one_is_kept() -> None:
    value = statement("experienced", result={"response": "secret words"})

    assert redacted_by(TOOL, value) == {
        "verb": {"id": "cut"},
        "object": {"objectType": "Activity", "id": "", "definition": {"type": ""}},
    }


def test_an_account_that_may_be_text_has_the_digest_that_the_directory_knows() -> None:
    home = "https://lms.example.com"
    value = statement(actor={"account": {"homePage": home, "name": "Ada L"}})

    found = redacted_by(TOOL, value)

    assert found["actor"] == {"openid": PSEUDONYM(f"{home}#Ada L")}
    mail = {"account": {"homePage": home, "name": "ada@example.com"}}
    assert redacted_by(TOOL, statement(actor=mail))["actor"] == mail


def test_ids_of_activities_that_may_be_text_are_digests() -> None:
    found = redacted_by(TOOL, statement(object={"id": "https://example.com/?q=how to quit"}))

    assert found["object"] == {"id": PSEUDONYM("https://example.com/?q=how to quit")}


@given(mutated(SAMPLES))
def test_whatever_comes_is_taken_or_refused_and_what_was_taken_stays(value: Any) -> None:  # noqa: ANN401
    for method in ("POST", "PUT"):
        found = taken(value, method, statementId=ID)
        for payload in found.payloads if isinstance(found, RawPayloads) else ():
            again = taken(payload)
            assert isinstance(again, RawPayloads)
            assert again.payloads == (payload,)
