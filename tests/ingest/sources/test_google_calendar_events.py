"""Translation of Google Calendar events."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.activity import Booked, Cancelled, Meeting, Native, Person, Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.google_calendar import TOOL, GoogleCalendarSettings
from services.ingest.sources.tool import RawPayloads, Received

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
UPDATED = datetime(2026, 2, 27, 9, 30, 0, 123000, tzinfo=UTC)
STARTS, ENDS = datetime(2026, 3, 5, 9, tzinfo=UTC), datetime(2026, 3, 5, 10, tzinfo=UTC)
ADA, BEN = Person(address="p-ada@example.com"), Person(address="p-ben@example.com")
URI = "https://www.googleapis.com/calendar/v3/calendars/p-ada%40example.com/events?alt=json"


def event(**changes: object) -> dict[str, Any]:
    """The members that Google documents for a meeting of two."""
    return {
        "kind": "calendar#event",
        "etag": '"3181161784712000"',
        "id": "7cbh8rpc10lrc0ckih9tafss99",
        "status": "confirmed",
        "htmlLink": "https://www.google.com/calendar/event?eid=x",
        "created": "2026-02-20T08:00:00.000Z",
        "updated": "2026-02-27T09:30:00.123Z",
        "summary": "Mentoring",
        "creator": {"email": "p-ada@example.com", "self": True},
        "organizer": {"email": "p-ada@example.com", "self": True},
        "start": {"dateTime": "2026-03-05T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-05T11:00:00+01:00", "timeZone": "Europe/Berlin"},
        "iCalUID": "7cbh8rpc10lrc0ckih9tafss99@google.com",
        "sequence": 1,
        "attendees": [
            {"email": "p-ada@example.com", "organizer": True, "self": True, "responseStatus": "accepted"},
            {"email": "p-ben@example.com", "responseStatus": "needsAction"},
        ],
        "conferenceData": {"conferenceId": "abc-defg-hij", "entryPoints": [{"entryPointType": "video"}]},
        "reminders": {"useDefault": True},
        "eventType": "default",
    } | changes


def guest(address: str, **more: object) -> dict[str, Any]:
    return {"email": address, "responseStatus": "accepted"} | more


def translated(value: object) -> Translation:
    return TOOL.translate(value, GoogleCalendarSettings())


def taken(body: bytes) -> tuple[bytes, ...]:
    found = TOOL.split(Received({"content-type": "application/json"}, body), GoogleCalendarSettings(), NOW)
    assert isinstance(found, RawPayloads), found
    return found.payloads


def booked(value: object) -> Booked:
    match translated(value):
        case (Booked() as activity,):
            return activity
        case other:
            raise AssertionError(other)


def cancelled(value: object) -> Cancelled:
    match translated(value):
        case (Cancelled() as activity,):
            return activity
        case other:
            raise AssertionError(other)


def test_a_meeting_of_two_is_booked_in_utc() -> None:
    activity = booked(event())

    assert activity == Booked(
        key='7cbh8rpc10lrc0ckih9tafss99/2026-02-27T09:30:00.123000Z/"3181161784712000"',
        time=UPDATED,
        native=Native("calendar#event", "7cbh8rpc10lrc0ckih9tafss99"),
        meeting=Meeting("7cbh8rpc10lrc0ckih9tafss99"),
        starts_at=STARTS,
        ends_at=ENDS,
        people=(ADA, BEN),
        copy_of=Meeting("icaluid:7cbh8rpc10lrc0ckih9tafss99/"),
    )


def test_another_wording_of_an_event_has_another_key_and_is_the_same_meeting() -> None:
    first, later = booked(event()), booked(event(updated="2026-02-28T09:30:00Z"))

    assert first.key != later.key
    assert first.meeting == later.meeting


def test_a_time_without_offset_is_of_the_zone_beside_it() -> None:
    local = {"dateTime": "2026-03-05T10:00:00", "timeZone": "Europe/Berlin"}

    assert booked(event(start=local)).starts_at == STARTS


@pytest.mark.parametrize(
    ("start", "path"),
    [
        ({"dateTime": "2026-03-05T10:00:00"}, "start"),
        ({"dateTime": "2026-03-05T10:00:00", "timeZone": "Mars/Olympus"}, "start"),
        ({"dateTime": "2026-03-05T10:00:00", "timeZone": "../" * 100}, "start"),
        ({"dateTime": "9999-12-31T23:59:59-14:00"}, "start"),
        ({"dateTime": "0001-01-01T00:00:00", "timeZone": "Asia/Tokyo"}, "start"),
        ({"dateTime": 5}, "start.dateTime"),
        ({}, "start.dateTime"),
        (None, "start"),
        ("tomorrow", "start"),
    ],
)
def test_a_start_that_is_no_time_is_rejected_with_its_path(start: object, path: str) -> None:
    match translated(event(start=start)):
        case Rejected("invalid", (first, *_)):
            assert first.path == path
            assert len(first.reason) < 200
        case other:
            raise AssertionError(other)


def test_an_instance_of_a_series_is_a_meeting_of_its_own() -> None:
    instance = event(
        id="7cbh8rpc10lrc0ckih9tafss99_20260305T090000Z",
        recurringEventId="7cbh8rpc10lrc0ckih9tafss99",
        originalStartTime={"dateTime": "2026-03-05T10:00:00+01:00", "timeZone": "Europe/Berlin"},
    )

    assert booked(instance).meeting == Meeting("7cbh8rpc10lrc0ckih9tafss99_20260305T090000Z")


def test_the_series_itself_is_none() -> None:
    assert translated(event(recurrence=["RRULE:FREQ=WEEKLY"])) == Ignored("series")


def test_a_cancelled_instance_holds_next_to_nothing() -> None:
    sparse = {
        "kind": "calendar#event",
        "etag": '"3181161784712001"',
        "id": "7cbh8rpc10lrc0ckih9tafss99_20260305T090000Z",
        "status": "cancelled",
        "recurringEventId": "7cbh8rpc10lrc0ckih9tafss99",
        "originalStartTime": {"dateTime": "2026-03-05T10:00:00+01:00", "timeZone": "Europe/Berlin"},
    }

    (payload,) = taken(json.dumps(sparse).encode())
    activity = cancelled(json.loads(payload))

    assert activity.meeting == Meeting("7cbh8rpc10lrc0ckih9tafss99_20260305T090000Z")
    assert (activity.people, activity.starts_at, activity.time) == ((), None, NOW)


def test_a_deleted_event_may_hold_its_id_only() -> None:
    (payload,) = taken(b'{"id": "gone", "status": "cancelled"}')

    assert cancelled(json.loads(payload)).meeting == Meeting("gone")


def test_a_cancelled_event_with_all_members_names_the_people() -> None:
    activity = cancelled(event(status="cancelled"))

    assert (activity.people, activity.starts_at, activity.time) == ((ADA, BEN), STARTS, UPDATED)


def test_a_cancellation_counts_however_odd_the_rest_of_it_is() -> None:
    activity = cancelled(event(status="cancelled", attendees="nobody", start=[], originalStartTime=7))

    assert (activity.people, activity.starts_at) == ((), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"attendees": None},
        {"attendees": []},
        {"attendees": [guest("p-ada@example.com"), guest("p-ben@example.com", responseStatus="declined")]},
        {"attendees": [guest("p-ada@example.com", responseStatus="declined"), guest("p-ben@example.com")]},
        {"attendees": [guest("p-ada@example.com"), guest("room-1@resource.calendar.example.com", resource=True)]},
        {"attendees": [guest("P-Ada@Example.com"), guest("p-ada@example.com")]},
        {"start": {"date": "2026-03-05"}, "end": {"date": "2026-03-06"}},
    ],
    ids=[
        "alone",
        "nobody asked",
        "mentee declined",
        "mentor declined",
        "a room",
        "twice",
        "days",
    ],
)
def test_an_entry_of_one_person_or_of_whole_days_is_no_session_any_more(changes: dict[str, Any]) -> None:
    activity = cancelled(event(**changes))

    assert (activity.meeting, activity.people) == (Meeting("7cbh8rpc10lrc0ckih9tafss99"), ())


def test_an_attendee_without_an_address_takes_part() -> None:
    match translated(event(attendees=[{"displayName": "Somebody"}])):
        case (Booked(people=people),):
            assert people == (Person(address="p-ada@example.com"), Person())
        case other:
            raise AssertionError(other)


def test_attendees_may_be_missing() -> None:
    alone = event()
    del alone["attendees"]

    assert cancelled(alone).people == ()


def test_who_declined_does_not_take_part_and_who_may_come_does() -> None:
    attendees = [
        guest("p-ben@example.com", responseStatus="tentative"),
        guest("p-cem@example.com", optional=True),
        guest("p-dee@example.com", responseStatus="declined"),
    ]

    assert booked(event(attendees=attendees)).people == (ADA, BEN, Person(address="p-cem@example.com"))


def test_an_attendee_may_have_an_id_and_no_address() -> None:
    assert booked(event(attendees=[{"id": "1157"}])).people == (ADA, Person(id="1157"))


@pytest.mark.parametrize("kind", ["focusTime", "outOfOffice", "workingLocation", "birthday", "fromGmail"])
def test_entries_that_are_no_meetings_are_ignored(kind: str) -> None:
    assert translated(event(eventType=kind)) == Ignored("no_meeting")


def test_of_an_entry_without_duration_it_is_not_known_when_they_meet() -> None:
    assert translated(event(end={"dateTime": "2026-03-05T10:00:00+01:00"})) == Ignored("no_duration")


def test_where_attendees_are_left_out_those_who_are_named_meet_and_nothing_is_said_of_others() -> None:
    assert booked(event(attendeesOmitted=True)).is_partial


@pytest.mark.parametrize("attendees", [None, [], [{"email": "p-ada@example.com"}], [{"displayName": "Somebody"}]])
def test_where_nobody_is_left_in_the_list_the_others_are_asked_for(attendees: object) -> None:
    match translated(event(attendeesOmitted=True, attendees=attendees)):
        case Rejected("invalid", (problem,)):
            assert problem.path == "attendeesOmitted"
        case other:
            raise AssertionError(other)


def test_an_end_before_the_start_is_rejected() -> None:
    match translated(event(end={"dateTime": "2026-03-05T09:00:00+01:00"})):
        case Rejected("invalid", (problem,)):
            assert problem.path == "end"
        case other:
            raise AssertionError(other)


def test_an_id_that_is_an_address_or_too_long_is_stored_as_a_digest() -> None:
    for name in ("p-ada@example.com", "x" * 300):
        activity = booked(event(id=name))

        assert activity.native.id == activity.meeting.id
        assert len(activity.native.id) == 32


def test_a_page_is_translated_as_its_events() -> None:
    page = {"kind": "calendar#events", "items": [event(), event(id="alone", eventType="focusTime"), event(id="b")]}

    activity = translated(page)

    assert isinstance(activity, tuple)
    assert [type(one) for one in activity] == [Booked, Booked]


def test_a_fault_in_a_page_is_reported_with_its_path() -> None:
    match translated({"items": [event(), event(start={"dateTime": 5})]}):
        case Rejected("invalid", (problem, *_)):
            assert problem.path == "items.1.start.dateTime"
        case other:
            raise AssertionError(other)


def test_an_empty_page_is_ignored() -> None:
    assert translated({"kind": "calendar#events", "items": []}) == Ignored("empty")


@pytest.mark.parametrize("value", [None, 5, "event", [], [event()], {}])
def test_anything_else_is_rejected(value: object) -> None:
    assert isinstance(translated(value), Rejected)


def test_every_event_of_a_page_is_recorded_for_itself_once() -> None:
    page = json.dumps({"items": [event(id="a"), {"id": "b", "status": "cancelled"}, 5]}).encode()

    first, second, third = taken(page)

    assert json.loads(first)["id"] == "a"
    assert json.loads(second) == {"id": "b", "status": "cancelled", "updated": "2026-03-01T08:00:00.000000Z"}
    assert third == b"5"
    assert [taken(payload) for payload in (first, second, third)] == [(first,), (second,), (third,)]


def test_a_single_event_is_recorded_as_it_came() -> None:
    body = json.dumps(event(), indent=3).encode()

    assert taken(body) == (body,)


def test_a_body_that_is_no_json_is_rejected() -> None:
    assert isinstance(TOOL.split(Received({}, b"{"), GoogleCalendarSettings(), NOW), Rejected)
    assert isinstance(TOOL.split(Received({}, b""), GoogleCalendarSettings(), NOW), Rejected)
