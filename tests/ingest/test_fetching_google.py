"""Fetching what a push of Google Calendar points to: completely, once, and across restarts."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.sync_tokens import SyncToken
from schemas.topics import SYNC_TOKENS
from services.ingest.domain.activity import Pointer
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.fetching.calendars import GOOGLE_PARAMETERS
from services.ingest.flow.tools.fetched_resources import FetchedResources
from services.ingest.sources.google_calendar import EVENT, TOOL, GoogleCalendarSettings
from services.runtime.kafka import read_to_end
from services.runtime.loop import TryLaterError
from services.runtime.settings import Settings
from tests.ingest.fetching import SUNDAY, Following, following
from tests.ingest.sources.test_google_calendar_events import event
from tests.ingest.vendor_apis import Reply, Vendors, vendor_apis

CALENDAR, POINTED = "p-ada@example.com", "calendars/p-ada%40example.com/events"


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with vendor_apis() as running:
        running.write(CALENDAR)
        yield running


@pytest.fixture
def google(broker: Settings, vendors: Vendors) -> Iterator[Following]:
    with following(broker, TOOL, GoogleCalendarSettings(api_url=vendors.google)) as ready:
        yield ready


def entries(*names: str, **changes: object) -> list[dict[str, Any]]:
    return [event(id=name, **changes) for name in names]


def queries(vendors: Vendors) -> list[dict[str, str]]:
    return [asked.query for asked in vendors.asked]


def test_all_pages_come_first_and_then_only_what_changed(google: Following, vendors: Vendors) -> None:
    vendors.write(CALENDAR, *entries("a", "b", "c", "d", "e"))

    assert google.follow(POINTED) == FetchedResources(5)
    vendors.write(CALENDAR, {"id": "b", "status": "cancelled"}, *entries("f"))
    assert google.follow(POINTED) == FetchedResources(2)
    assert google.follow(POINTED) == FetchedResources(0)

    assert google.ids() == ["a", "b", "c", "d", "e", "b", "f"]
    whole, *_, changed, _ = queries(vendors)
    assert whole["singleEvents"] == changed["singleEvents"] == "true"
    assert (whole["timeMin"], "syncToken" in whole) == ("2026-02-15T08:01:00.000000Z", False)
    assert ("timeMin" in changed, changed["syncToken"]) == (False, "s0.5")


def _asked_for(fields: str) -> dict[str, Any]:
    """What a partial answer of Google's holds: `a,b(c,d)`."""
    spelled = re.sub(r"(\w+)", r'"\1":{}', fields).replace("{}(", "{").replace(")", "}")
    return dict(json.loads(f"{{{spelled}}}"))


def test_all_that_is_read_of_an_event_is_asked_for() -> None:
    """Also whose copy it is, who may see the guests, and whom they bring along."""
    asked = _asked_for(GOOGLE_PARAMETERS["fields"])["items"]

    assert set(asked) == set(EVENT.members)
    assert set(asked["organizer"]) == {"id", "email", "self"}, "an organizer has no more, and Google refuses others"
    guests = EVENT.members["attendees"].items
    assert guests
    assert set(asked["attendees"]) == set(guests.members)


def test_each_event_is_recorded_like_one_that_was_pushed(google: Following, vendors: Vendors) -> None:
    vendors.write(CALENDAR, *entries("a"), {"id": "b", "status": "cancelled"})

    google.follow(POINTED)

    first, second = google.records()
    name = google.connection.connection_scope.connection.encode()
    assert dict(first.headers) == {"connection": name, "content-type": b"application/json", "text_cut": b"1"}
    assert dict(second.headers) == {"connection": name, "content-type": b"application/json"}
    assert "summary" not in json.loads(first.value or b"")
    assert json.loads(second.value or b"")["updated"] == "2026-03-01T08:01:00.000000Z"


def test_an_unrecordable_resource_is_reported_and_the_others_are_recorded(google: Following, vendors: Vendors) -> None:
    crowd = [{"email": f"{number}-{'x' * 50}@example.com"} for number in range(15_000)]
    vendors.write(CALENDAR, *entries("a"), *entries("b", "c", attendees=crowd), *entries("d"))

    found = google.follow(POINTED)

    assert isinstance(found, FetchedResources)
    assert found.rejected is not None
    (problem,) = found.rejected.errors
    assert (found.resources, found.rejected.reason, problem.path) == (2, "too_large", "resources.1")
    assert re.search(r"a resource has 1,\d{3},\d{3} bytes, at most 1,048,576 are recorded; 1 more", problem.reason)
    assert google.ids() == ["a", "d"]
    assert google.follow(POINTED) == FetchedResources(0)


def test_a_restart_goes_on_where_the_process_before_it_was(google: Following, vendors: Vendors) -> None:
    vendors.write(CALENDAR, *entries("a"))
    google.follow(POINTED)

    again = google.restarted()
    vendors.write(CALENDAR, *entries("b"))

    assert again.follow(POINTED) == FetchedResources(1)
    assert again.ids()[-1] == "b"


def test_what_is_kept_names_nobody(google: Following, vendors: Vendors, broker: Settings) -> None:
    google.follow(POINTED)

    name = google.connection.connection_scope.connection
    (kept,) = [r for r in read_to_end(broker, [SYNC_TOKENS.name]) if name in (r.key or b"").decode(errors="replace")]
    token = SyncToken.model_validate_json(kept.value or b"")
    assert (token.connection, token.token, token.whole) == (name, "s0.0", SUNDAY + timedelta(minutes=1))
    assert b"p-ada" not in (kept.key or b"") + (kept.value or b"")
    assert vendors.asked


def test_a_token_that_google_forgot_makes_everything_be_read_again(google: Following, vendors: Vendors) -> None:
    vendors.write(CALENDAR, *entries("a", "b"))
    google.follow(POINTED)
    vendors.forget_tokens()
    vendors.write(CALENDAR, *entries("c"))

    assert google.follow(POINTED) == FetchedResources(3)
    assert google.follow(POINTED) == FetchedResources(0)

    assert google.ids() == ["a", "b", "a", "b", "c"]


def test_the_window_moves_on_with_time(google: Following, vendors: Vendors) -> None:
    vendors.write(CALENDAR, *entries("a"))
    google.follow(POINTED)
    google.clock.now += timedelta(days=31)
    vendors.write(CALENDAR, {"id": "a", "status": "cancelled"})

    assert google.follow(POINTED) == FetchedResources(2)
    assert google.follow(POINTED) == FetchedResources(0)

    assert queries(vendors)[2]["timeMin"] == "2026-03-18T08:02:00.000000Z"


def test_a_push_that_was_recorded_before_the_last_question_needs_no_other(google: Following, vendors: Vendors) -> None:
    google.follow(POINTED)
    told_at = google.clock.now - timedelta(minutes=1)

    again = google.fetcher.fetch(Pointer(POINTED), google.connection, told_at)

    assert again == Ignored("just_fetched")
    assert len(vendors.asked) == 1


def test_what_was_not_recorded_is_asked_for_again(google: Following, vendors: Vendors) -> None:
    vendors.write(CALENDAR, *entries("a", "b", "c"))
    vendors.scripted.extend([None, Reply(503)])

    with pytest.raises(TryLaterError):
        google.follow(POINTED)

    assert google.records() == []
    assert google.follow(POINTED) == FetchedResources(3)


@pytest.mark.parametrize("wait", ["120", "Sun, 01 Mar 2026 08:03:00 GMT"])
def test_a_tool_that_wants_to_be_left_alone_is(google: Following, vendors: Vendors, wait: str) -> None:
    vendors.scripted.append(Reply(429, {}, {"retry-after": wait}))

    for _ in range(2):
        with pytest.raises(TryLaterError, match=google.connection.connection_scope.connection):
            google.follow(POINTED)

    assert len(vendors.asked) == 1
    assert google.follow(POINTED) == FetchedResources(0)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(503, None, {"retry-after": "soon"}),
        Reply(408),
        Reply(403, {"error": {"code": 403, "errors": [{"reason": "rateLimitExceeded"}]}}),
        Reply(403, {"error": {"code": 403, "errors": [{"reason": "quotaExceeded"}]}}),
    ],
)
def test_a_tool_that_is_away_is_asked_again_later(google: Following, vendors: Vendors, reply: Reply) -> None:
    vendors.scripted.append(reply)

    with pytest.raises(TryLaterError, match=f"answers {reply.status}"):
        google.follow(POINTED)

    assert google.follow(POINTED) == FetchedResources(0)


def test_a_tool_that_cannot_be_reached_is_asked_again_later(google: Following, vendors: Vendors) -> None:
    vendors.scripted.append(Reply(200, b"", {"content-length": "5000", "connection": "close"}))

    with pytest.raises(TryLaterError, match="no answer from the API"):
        google.follow(POINTED)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_authorization_is_reported_with_the_connection(
    google: Following, vendors: Vendors, status: int
) -> None:
    vendors.scripted.append(Reply(status, {"error": {"message": "p-ada@example.com may not"}}))

    match google.follow(POINTED):
        case Rejected("forbidden", (problem,)):
            assert google.connection.connection_scope.connection in problem.reason
            assert str(status) in problem.reason
            assert "example.com" not in problem.reason
        case other:
            raise AssertionError(other)


def test_a_token_in_a_file_is_read_anew_each_time(google: Following, vendors: Vendors, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    renewed = google.with_token_file(file)

    assert isinstance(renewed.follow(POINTED), Rejected)
    file.write_text(f"{vendors.token}\n")
    assert renewed.follow(POINTED) == FetchedResources(0)


def test_a_calendar_that_is_gone_is_left(google: Following) -> None:
    assert google.follow("calendars/nobody/events") == Ignored("gone")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(200, b"<html>"), "malformed"),
        (Reply(200, []), "malformed"),
        (Reply(400, {}), "invalid"),
        (Reply(302, {}, {"location": "https://evil.example.com"}), "invalid"),
    ],
)
def test_an_answer_that_makes_no_sense_is_rejected(
    google: Following, vendors: Vendors, reply: Reply, reason: str
) -> None:
    vendors.scripted.append(reply)

    match google.follow(POINTED):
        case Rejected(given, (problem,)):
            assert given == reason
            assert google.connection.connection_scope.connection in problem.reason
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(
    "body", [{}, {"items": None}, {"items": 5, "nextSyncToken": 5}, {"items": [], "nextPageToken": ""}]
)
def test_a_page_without_what_it_should_hold_is_empty(google: Following, vendors: Vendors, body: object) -> None:
    vendors.scripted.append(Reply(200, body))

    assert google.follow(POINTED) == FetchedResources(0)


def test_an_api_that_never_ends_is_left(google: Following, vendors: Vendors) -> None:
    vendors.scripted.extend([Reply(200, {"items": [], "nextPageToken": "x"})] * 500)

    match google.follow(POINTED):
        case Rejected("too_large", _):
            assert len(vendors.asked) == 400
        case other:
            raise AssertionError(other)
