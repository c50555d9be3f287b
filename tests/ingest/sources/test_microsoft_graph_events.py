"""Translation of Outlook events from Microsoft Graph."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.activity import Booked, Cancelled, Meeting, Native, Person, Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.microsoft_graph.tool import TOOL, MicrosoftGraphSettings
from services.ingest.sources.tool import RawPayloads, Received

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
STARTS, ENDS = datetime(2026, 3, 5, 9, tzinfo=UTC), datetime(2026, 3, 5, 10, tzinfo=UTC)
ADA, BEN = Person(address="p-ada@example.com"), Person(address="p-ben@example.com")


def guest(address: str, response: str = "none", kind: str = "required") -> dict[str, Any]:
    return {
        "type": kind,
        "status": {"response": response, "time": "0001-01-01T00:00:00Z"},
        "emailAddress": {"name": "Somebody", "address": address},
    }


def local(hour: int, zone: str = "W. Europe Standard Time") -> dict[str, str]:
    return {"dateTime": f"2026-03-05T{hour:02}:00:00.0000000", "timeZone": zone}


def event(**changes: object) -> dict[str, Any]:
    """The members that Microsoft documents for a meeting of two, as in the organizer's calendar."""
    return {
        "@odata.etag": 'W/"ZlnW4RIAV06KYYwlrfNZvQAAKGWwbw=="',
        "id": "AAMkAGI1AAAoZDOFAAA=",
        "createdDateTime": "2026-02-20T08:00:00.1234567Z",
        "lastModifiedDateTime": "2026-02-27T09:30:00.1234567Z",
        "changeKey": "ZlnW4RIAV06KYYwlrfNZvQAAKGWwbw==",
        "originalStartTimeZone": "W. Europe Standard Time",
        "iCalUId": "040000008200E00074C5B7101A82E00800000000",
        "subject": "Mentoring",
        "bodyPreview": "how are you",
        "isAllDay": False,
        "isCancelled": False,
        "isOrganizer": True,
        "seriesMasterId": None,
        "showAs": "busy",
        "type": "singleInstance",
        "recurrence": None,
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "body": {"contentType": "html", "content": "how are you"},
        "start": local(10),
        "end": local(11),
        "location": {"displayName": "Room 1"},
        "attendees": [guest("p-ben@example.com", "accepted"), guest("room-1@example.com", "accepted", "resource")],
        "organizer": {"emailAddress": {"name": "Somebody", "address": "p-ada@example.com"}},
    } | changes


def translated(value: object) -> Translation:
    return TOOL.translate(value, MicrosoftGraphSettings())


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


def taken(value: object) -> list[Any]:
    found = TOOL.split(Received({}, json.dumps(value).encode()), MicrosoftGraphSettings(), NOW)
    assert isinstance(found, RawPayloads), found
    return [json.loads(payload) for payload in found.payloads]


def test_a_meeting_of_two_is_booked_in_utc_and_a_room_is_nobody() -> None:
    assert booked(event()) == Booked(
        key="AAMkAGI1AAAoZDOFAAA=/2026-02-27T09:30:00.123456Z/ZlnW4RIAV06KYYwlrfNZvQAAKGWwbw==",
        time=datetime(2026, 2, 27, 9, 30, 0, 123456, tzinfo=UTC),
        native=Native("event", "AAMkAGI1AAAoZDOFAAA="),
        meeting=Meeting("AAMkAGI1AAAoZDOFAAA="),
        starts_at=STARTS,
        ends_at=ENDS,
        people=(ADA, BEN),
        copy_of=Meeting("icaluid:040000008200E00074C5B7101A82E00800000000/"),
    )


@pytest.mark.parametrize(
    ("zone", "hour"),
    [
        ("UTC", 10),
        ("Europe/Berlin", 9),
        ("W. Europe Standard Time", 9),
        ("Pacific Standard Time", 18),
        ("India Standard Time", 4),
        ("tzone://Microsoft/Utc", 10),
        ("UTC-11", 21),
    ],
)
def test_zones_have_names_of_windows_or_of_iana(zone: str, hour: int) -> None:
    assert booked(event(start=local(10, zone), end=local(11, zone))).starts_at.hour == hour


def test_a_wall_clock_that_shows_an_hour_twice_means_the_first() -> None:
    night = {"dateTime": "2026-10-25T02:30:00.0000000", "timeZone": "W. Europe Standard Time"}
    later = {"dateTime": "2026-10-25T04:00:00.0000000", "timeZone": "W. Europe Standard Time"}

    assert booked(event(start=night, end=later)).starts_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "path"),
    [
        (local(10, "tzone://Microsoft/Custom"), "start"),
        (local(10, "Middle-earth Standard Time"), "start"),
        (local(10, "x" * 10_000_000), "start"),
        ({"dateTime": "2026-03-05T10:00:00.0000000", "timeZone": None}, "start"),
        ({"dateTime": "2026-03-05T10:00:00.0000000"}, "start"),
        ({"dateTime": "9999-12-31T23:59:59.9999999", "timeZone": "UTC"}, "start"),
        ({"dateTime": "2026-13-05T10:00:00", "timeZone": "UTC"}, "start.dateTime"),
        (None, "start"),
    ],
)
def test_a_start_that_is_no_time_is_rejected_with_its_path(start: object, path: str) -> None:
    match translated(event(start=start)):
        case Rejected("invalid", (first, *_)):
            assert first.path == path
            assert len(first.reason) < 200
        case other:
            raise AssertionError(other)


def test_a_cancelled_event_says_whose_and_when_it_would_have_been() -> None:
    activity = cancelled(event(isCancelled=True))

    assert (activity.meeting, activity.people, activity.starts_at) == (
        Meeting("AAMkAGI1AAAoZDOFAAA="),
        (ADA, BEN),
        STARTS,
    )


@pytest.mark.parametrize("reason", ["deleted", "changed"])
def test_a_removal_in_a_delta_has_only_its_id_and_the_time_of_receipt(reason: str) -> None:
    (payload,) = taken({"value": [{"id": "AAMk=", "@removed": {"reason": reason}}]})
    activity = cancelled(payload)

    assert (activity.meeting, activity.people, activity.time) == (Meeting("AAMk="), (), NOW)
    assert taken(payload) == [payload]


@pytest.mark.parametrize(
    "changes",
    [
        {"attendees": []},
        {"attendees": [guest("p-ben@example.com", "declined")]},
        {"attendees": [guest("room-1@example.com", "accepted", "resource")]},
        {"attendees": [guest("P-ADA@example.com")]},
        {"isOrganizer": False, "responseStatus": {"response": "declined"}},
        {"isAllDay": True},
    ],
    ids=["alone", "declined", "a room", "twice", "the owner declined", "all day"],
)
def test_an_entry_of_one_person_or_of_whole_days_is_no_session_any_more(changes: dict[str, Any]) -> None:
    activity = cancelled(event(**changes))

    assert (activity.meeting, activity.people) == (Meeting("AAMkAGI1AAAoZDOFAAA="), ())


def test_of_an_entry_without_duration_it_is_not_known_when_they_meet() -> None:
    assert translated(event(end=local(10))) == Ignored("no_duration")


def test_who_declined_does_not_take_part_and_who_may_come_does() -> None:
    attendees = [
        guest("p-ben@example.com", "tentativelyAccepted"),
        guest("p-cem@example.com", "notResponded", "optional"),
        guest("p-dee@example.com", "declined"),
    ]

    assert booked(event(attendees=attendees)).people == (ADA, BEN, Person(address="p-cem@example.com"))


def test_of_a_group_the_owner_that_declined_cannot_be_told() -> None:
    attendees = [guest("p-ben@example.com"), guest("p-cem@example.com")]

    activity = booked(event(attendees=attendees, isOrganizer=False, responseStatus={"response": "declined"}))

    assert len(activity.people) == 3


def test_an_organizer_that_is_listed_as_declined_does_not_come() -> None:
    attendees = [guest("p-ada@example.com", "declined"), guest("p-ben@example.com"), guest("p-cem@example.com")]

    assert booked(event(attendees=attendees)).people == (BEN, Person(address="p-cem@example.com"))


@pytest.mark.parametrize(
    ("changes", "reason"), [({"type": "seriesMaster"}, "series"), ({"isDraft": True}, "draft")], ids=["series", "draft"]
)
def test_what_is_no_meeting_yet_is_ignored(changes: dict[str, Any], reason: str) -> None:
    assert translated(event(**changes)) == Ignored(reason)


@pytest.mark.parametrize("kind", ["singleInstance", "occurrence", "exception"])
def test_every_kind_of_instance_is_a_meeting_of_its_own(kind: str) -> None:
    assert booked(event(type=kind, seriesMasterId="AAMkMaster=")).meeting == Meeting("AAMkAGI1AAAoZDOFAAA=")


def test_an_occurrence_in_a_delta_is_completed_from_its_series() -> None:
    master = event(id="AAMkMaster=", type="seriesMaster")
    occurrence = {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": 'W/"DwAAABYAAAC9YbapXssvT4RTG13UUr6AAAhT48i7"',
        "id": "AAMkOccurrence=",
        "seriesMasterId": "AAMkMaster=",
        "type": "occurrence",
        "start": local(10, "UTC"),
        "end": local(11, "UTC"),
    }

    payloads = taken({"value": [occurrence, master]})

    activity = booked(payloads[0])
    assert (activity.meeting, activity.people) == (Meeting("AAMkOccurrence="), (ADA, BEN))
    assert activity.starts_at == datetime(2026, 3, 5, 10, tzinfo=UTC)
    assert translated(payloads[1]) == Ignored("series")
    assert translated({"value": [occurrence, master]}) == (activity,)


def test_an_occurrence_that_nobody_completed_is_rejected() -> None:
    sparse = {
        "id": "AAMkOccurrence=",
        "seriesMasterId": "AAMkMaster=",
        "type": "occurrence",
        "lastModifiedDateTime": "2026-02-27T09:30:00Z",
        "start": local(10),
        "end": local(11),
    }
    match translated(sparse):
        case Rejected("invalid", (problem,)):
            assert problem.path == "organizer"
        case other:
            raise AssertionError(other)


def test_a_page_of_events_is_recorded_event_by_event() -> None:
    assert [one["id"] for one in taken({"value": [event(id="a"), event(id="b")]})] == ["a", "b"]
    assert taken(event()) == [event()]
    assert translated({"value": []}) == Ignored("empty")


@pytest.mark.parametrize("value", [None, 5, "event", [], {}, {"value": [5]}, {"value": 5}, {"id": "a"}])
def test_anything_else_is_rejected(value: object) -> None:
    assert isinstance(translated(value), Rejected)
