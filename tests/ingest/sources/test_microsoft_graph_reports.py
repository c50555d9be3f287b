"""Translation of Teams attendance reports."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.ingest.domain.activity import Activity, Ended, Joined, Left, Meeting, Native, Person, Translation
from services.ingest.domain.meetings.attendance import Span
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.microsoft_graph.reports import stays
from services.ingest.sources.microsoft_graph.tool import TOOL, MicrosoftGraphSettings

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
ADA = Person(id="dc17674c-81d9-4adb-bfb2-8f6a442e4623", address="p-ada@example.com")


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def text(minute: float | None) -> str | None:
    """With seven decimals, as Graph writes it."""
    return None if minute is None else at(minute).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def record(*intervals: tuple[float | None, float | None], **changes: object) -> dict[str, Any]:
    return {
        "id": "dc17674c-81d9-4adb-bfb2-8f6a442e4623",
        "emailAddress": "p-ada@example.com",
        "totalAttendanceInSeconds": 1152,
        "role": "Presenter",
        "identity": {"id": "dc17674c-81d9-4adb-bfb2-8f6a442e4623", "displayName": "Somebody", "tenantId": None},
        "attendanceIntervals": [
            {"joinDateTime": text(joined), "leaveDateTime": text(left), "durationInSeconds": 0}
            for joined, left in intervals
        ],
    } | changes


def report(*records: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users('u')/onlineMeetings('m')/attendanceReports",
        "id": "c9b6db1c-d5eb-427d-a5c0-20088d9b22d7",
        "totalParticipantCount": len(records),
        "meetingStartDateTime": text(0),
        "meetingEndDateTime": text(60),
        "attendanceRecords": list(records),
    } | changes


def translated(value: object) -> Translation:
    return TOOL.translate(value, MicrosoftGraphSettings())


def activities_of(value: object) -> tuple[Activity, ...]:
    found = translated(value)
    assert isinstance(found, tuple), found
    return found


def course(value: object) -> list[tuple[str, int, str]]:
    """What happened: kind, minute, and who."""
    return [
        (
            type(one).__name__,
            round((one.time - NOON) / timedelta(minutes=1)),
            one.person.address or one.person.id if isinstance(one, Joined | Left) else "",
        )
        for one in activities_of(value)
    ]


def test_several_intervals_of_one_person_are_several_ways_in_and_out() -> None:
    joined, left, again, *_, ended = activities_of(report(record((1, 10), (20, 59))))

    assert joined == Joined(
        key="c9b6db1c-d5eb-427d-a5c0-20088d9b22d7/dc17674c-81d9-4adb-bfb2-8f6a442e4623/joined/2026-03-05T12:01:00.000000Z",
        time=at(1),
        native=Native("meetingAttendanceReport", "c9b6db1c-d5eb-427d-a5c0-20088d9b22d7"),
        meeting=Meeting("c9b6db1c-d5eb-427d-a5c0-20088d9b22d7"),
        person=ADA,
    )
    assert (type(left), left.time, type(again), again.time) == (Left, at(10), Joined, at(20))
    assert (type(ended), ended.time) == (Ended, at(60))
    assert len({one.key for one in activities_of(report(record((1, 10), (20, 59))))}) == 5


def test_what_everybody_did_comes_in_the_order_in_which_it_happened() -> None:
    ben = record((5, 30), (30, 50), emailAddress="p-ben@example.com", identity=None, role="Organizer")

    assert course(report(record((1, 59)), ben)) == [
        ("Joined", 1, "p-ada@example.com"),
        ("Joined", 5, "p-ben@example.com"),
        ("Left", 50, "p-ben@example.com"),
        ("Left", 59, "p-ada@example.com"),
        ("Ended", 60, ""),
    ]


def test_two_devices_are_one_person() -> None:
    assert course(report(record((1, 30), (10, 50)), record((45, 55)))) == [
        ("Joined", 1, "p-ada@example.com"),
        ("Left", 55, "p-ada@example.com"),
        ("Ended", 60, ""),
    ]


@pytest.mark.parametrize(("joined", "left", "stay"), [(None, 30, (0, 30)), (10, None, (10, 60)), (None, None, (0, 60))])
def test_a_time_that_graph_lacks_is_that_of_the_meeting(
    joined: float | None, left: float | None, stay: tuple[int, int]
) -> None:
    times = [minute for _, minute, _ in course(report(record((joined, left))))]

    assert times == [*stay, 60]


def test_a_record_without_times_is_no_attendance() -> None:
    unknown = report(record((None, None)), meetingStartDateTime=None, meetingEndDateTime=None)

    assert translated(unknown) == Ignored("nobody_was_there")


def test_a_missing_end_is_that_of_the_last_visitor() -> None:
    assert course(report(record((1, 40)), meetingEndDateTime=None))[-1] == ("Ended", 40, "")


@pytest.mark.parametrize(
    ("changes", "person"),
    [
        ({"emailAddress": None}, Person(id="dc17674c-81d9-4adb-bfb2-8f6a442e4623")),
        ({"identity": None}, Person(address="p-ada@example.com")),
        ({"identity": {"id": None}, "emailAddress": "p-ada@example.com"}, Person(address="p-ada@example.com")),
    ],
)
def test_an_address_or_an_id_suffices(changes: dict[str, Any], person: Person) -> None:
    first, *_ = activities_of(report(record((1, 2), **changes)))

    assert isinstance(first, Joined)
    assert first.person == person


def test_a_dial_in_visitor_is_unidentified() -> None:
    assert course(report(record((1, 2), emailAddress="", identity={"id": None}))) == [
        ("Joined", 1, ""),
        ("Left", 2, ""),
        ("Ended", 60, ""),
    ]


@pytest.mark.parametrize("intervals", [(), ((30, 29.9),), ((30, 30),)], ids=["none", "one before itself", "an instant"])
def test_of_whom_no_time_is_known_somebody_was_there(intervals: tuple[tuple[float, float], ...]) -> None:
    assert course(report(record(*intervals))) == [("Joined", 0, ""), ("Left", 60, ""), ("Ended", 60, "")]


def test_a_report_of_an_empty_meeting_has_its_end() -> None:
    assert course(report()) == [("Ended", 60, "")]


def test_a_report_without_its_records_is_rejected() -> None:
    bare = report()
    del bare["attendanceRecords"]

    match translated(bare):
        case Rejected("invalid", (problem,)):
            assert problem.path == "attendanceRecords"
        case other:
            raise AssertionError(other)


def test_an_interval_that_ends_before_it_begins_costs_nothing_but_itself() -> None:
    whole = translated(report(record((1, 2), (30, 20))))

    assert whole == translated(report(record((1, 2))))
    assert translated(report(record((30, 20)))) != whole


def test_every_report_of_a_meeting_is_a_meeting_of_its_own() -> None:
    both = activities_of({"value": [report(record((1, 2))), report(record((1, 2)), id="another")]})

    assert {one.meeting.id for one in both if isinstance(one, Joined)} == {
        "c9b6db1c-d5eb-427d-a5c0-20088d9b22d7",
        "another",
    }


def test_stays_are_apart_and_last() -> None:
    found = stays(
        [
            Span(at(5), at(5)),
            Span(at(1), at(3)),
            Span(at(2), at(4)),
            Span(at(9), at(9)),
            Span(at(4), at(5)),
        ]
    )

    assert found == [Span(at(1), at(5))]
