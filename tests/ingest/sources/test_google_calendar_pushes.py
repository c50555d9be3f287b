"""Google Calendar pushes: their pointers and their verification."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.ingest.domain.activity import Pointer, Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.google_calendar import TOOL, GoogleCalendarSettings
from services.ingest.sources.tool import RawPayloads, Received, Unverified, Verification, Verified

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SECRET = "a-channel-token"
URI = "https://www.googleapis.com/calendar/v3/calendars/p-ada%40example.com/events?alt=json"


def translated(value: object) -> Translation:
    return TOOL.translate(value, GoogleCalendarSettings())


def push(state: str = "exists", **headers: str) -> Received:
    sent = {
        "x-goog-channel-id": "channel-1",
        "x-goog-channel-token": SECRET,
        "x-goog-channel-expiration": "Tue, 10 Mar 2026 01:13:52 GMT",
        "x-goog-resource-id": "o3hgv1538sdjfh",
        "x-goog-resource-uri": URI,
        "x-goog-resource-state": state,
        "x-goog-message-number": "10",
        "content-length": "0",
    }
    return Received(sent | headers, b"")


def taken(body: bytes | Received) -> tuple[bytes, ...]:
    received = body if isinstance(body, Received) else Received({"content-type": "application/json"}, body)
    found = TOOL.split(received, GoogleCalendarSettings(), NOW)
    assert isinstance(found, RawPayloads), found
    return found.payloads


@pytest.mark.parametrize("state", ["sync", "exists", "not_exists"])
def test_a_push_points_to_the_events_of_its_calendar(state: str) -> None:
    (payload,) = taken(push(state))

    assert SECRET.encode() not in payload
    assert translated(json.loads(payload)) == Pointer("calendars/p-ada%40example.com/events")
    assert taken(payload) == (payload,)


def test_the_body_of_a_push_is_ignored() -> None:
    assert taken(replace(push(), body=b"{}")) == taken(push())


def test_header_names_of_a_push_may_be_as_documented() -> None:
    sent = {"X-Goog-Resource-State": "exists", "X-Goog-Resource-URI": URI}

    assert translated(sent) == Pointer("calendars/p-ada%40example.com/events")


@pytest.mark.parametrize(
    ("uri", "outcome"),
    [
        ("https://www.googleapis.com/calendar/v3/calendars/primary/events", Pointer("calendars/primary/events")),
        ("https://evil.example.com/calendars/c1/events?x=1", Pointer("calendars/c1/events")),
        ("https://www.googleapis.com/calendar/v3/users/me/calendarList", Ignored("no_events")),
        ("https://www.googleapis.com/calendar/v3/calendars/c1/acl", Ignored("no_events")),
    ],
)
def test_only_the_calendar_is_read_from_the_address_of_a_push(uri: str, outcome: Translation) -> None:
    assert translated({"x-goog-resource-state": "exists", "x-goog-resource-uri": uri}) == outcome


@pytest.mark.parametrize("uri", [None, 5, "https://[", "/calendars/%2e%2e/events", "/calendars/a%2fb/events"])
def test_a_push_without_a_calendar_is_rejected(uri: object) -> None:
    assert isinstance(translated({"x-goog-resource-state": "exists", "x-goog-resource-uri": uri}), Rejected)


def test_a_state_that_google_does_not_document_is_ignored() -> None:
    assert translated({"x-goog-resource-state": "update"}) == Ignored("unknown_state")


def proof(received: Received, secret: str = SECRET) -> Verification:
    return TOOL.verify(received, secret, NOW)


def test_a_push_is_proven_by_the_token_of_its_channel() -> None:
    assert proof(push()) == Verified()
    for token in ("", "a-channel-tokeN", SECRET + " "):
        assert isinstance(proof(push(**{"x-goog-channel-token": token})), Unverified)


def test_a_push_of_a_channel_that_was_opened_without_a_token_is_refused_with_that_reason() -> None:
    bare = push()
    headers = {name: text for name, text in bare.headers.items() if name != "x-goog-channel-token"}

    match proof(Received(headers, b"")):
        case Unverified(reason):
            assert "X-Goog-Channel-Token" in reason
        case other:
            raise AssertionError(other)


def test_who_sends_events_bears_the_secret() -> None:
    assert proof(Received({"authorization": f"Bearer {SECRET}"}, b"{}")) == Verified()
    assert isinstance(proof(Received({"authorization": "Bearer guess"}, b"{}")), Unverified)
    assert isinstance(proof(Received({}, b"{}")), Unverified)


def test_without_a_secret_no_request_is_verified() -> None:
    assert isinstance(proof(push(**{"x-goog-channel-token": ""}), ""), Unverified)
    assert isinstance(proof(push(**{"x-goog-channel-token": "x"}), ""), Unverified)
    assert isinstance(proof(Received({"authorization": "Bearer "}, b"{}"), ""), Unverified)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.googleapis.com/calendar/v3/",
        "http://www.googleapis.com/calendar/v3",
        "https://user:password@example.com/v3",
        "https://example.com?y",
        "ftp://example.com",
        "https://",
        "",
    ],
)
def test_an_api_is_asked_over_tls_at_an_address_to_which_paths_can_be_joined(url: str) -> None:
    with pytest.raises(ValueError, match="api_url"):
        GoogleCalendarSettings(api_url=url)


@pytest.mark.parametrize("url", ["https://example.com", "https://example.com:8443/v3/x", "http://127.0.0.1:80/v3"])
def test_an_api_may_stand_elsewhere(url: str) -> None:
    assert GoogleCalendarSettings(api_url=url).api_url == url
