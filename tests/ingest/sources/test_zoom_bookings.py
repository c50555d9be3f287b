from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.domain.activity import Booked, Cancelled, Meeting, MeetingMoved, Person
from services.ingest.domain.verdict import Ignored
from tests.ingest.sources.zoom_payloads import (
    SERIES,
    TOLD_AT,
    activities_of,
    created,
    deleted,
    event,
    occurrence,
    only,
    scheduled,
    updated,
    verdict,
)


def test_a_meeting_is_booked_for_the_host_and_the_invited() -> None:
    one = only(created())

    assert isinstance(one, Booked)
    assert one.meeting == Meeting("93200000000")
    assert one.starts_at == datetime(2026, 3, 9, 10, tzinfo=UTC)
    assert one.ends_at - one.starts_at == timedelta(minutes=45)
    assert one.time == TOLD_AT
    assert one.people == (
        Person("x1yCzABCDEfg23HiJKl4mN", "host@example.com"),
        *(Person(address=f"{name}@example.com") for name in ("eve", "ada", "bob")),
    )


def test_a_person_who_books_for_others_does_not_take_part() -> None:
    value = created(settings=None)
    value["payload"]["operator_id"] = "assistant"

    assert only(value).people == (Person("x1yCzABCDEfg23HiJKl4mN"),)


def test_a_recurring_meeting_is_booked_for_each_of_its_dates() -> None:
    gone = occurrence(3, "2026-03-23T10:00:00Z", status="deleted")

    booked = activities_of(created(type=8, occurrences=[*SERIES, gone]))

    assert [one.meeting for one in booked] == [Meeting("93200000000", "1"), Meeting("93200000000", "2")]
    assert {one.ends_at - one.starts_at for one in booked} == {timedelta(minutes=30)}
    assert len({one.key for one in booked}) == 2


@pytest.mark.parametrize("kind", [1, 3, 4, 7])
def test_a_meeting_without_a_fixed_time_is_no_booking(kind: int) -> None:
    assert verdict(created(type=kind)) == Ignored("no_fixed_time")


@pytest.mark.parametrize("changes", [{"start_time": ""}, {"start_time": None}, {"duration": 0}, {"duration": None}])
def test_a_meeting_without_start_or_length_is_no_booking(changes: dict[str, object]) -> None:
    assert verdict(created(**changes)) == Ignored("no_fixed_time")


def test_an_update_has_only_the_changed_members() -> None:
    moved = only(updated({"id": 93200000000, "start_time": "2026-03-10T10:00:00Z"}, {"id": 1, "start_time": "x"}))
    longer = only(updated({"id": "93200000000", "duration": 60}, {"id": "93200000000", "duration": 45}))

    assert moved.meeting == longer.meeting == Meeting("93200000000")
    assert isinstance(moved, MeetingMoved)
    assert (moved.starts_at, moved.lasts) == (datetime(2026, 3, 10, 10, tzinfo=UTC), None)
    assert (longer.starts_at, longer.lasts) == (None, timedelta(hours=1))


def test_an_update_of_what_we_do_not_use_is_ignored() -> None:
    assert verdict(updated({"id": 1, "topic": "New"}, {"id": 1, "topic": "Old"})) == Ignored("nothing_used_has_changed")
    assert verdict(updated({"id": 1, "start_time": "2026-03-10T10:00:00Z", "type": 3})) == Ignored("no_fixed_time")


def test_an_update_that_holds_the_whole_meeting_books_it() -> None:
    assert only(updated(scheduled())).people[1:] == only(created()).people[1:]


def test_one_date_of_a_series_is_moved_without_touching_the_others() -> None:
    new = {"id": 1, "occurrences": [occurrence(2, "2026-03-17T10:00:00Z")]}

    moved = only(updated(new, {"id": 1, "occurrences": SERIES}, scope="single"))

    assert (moved.meeting, moved.starts_at) == (Meeting("1", "2"), datetime(2026, 3, 17, 10, tzinfo=UTC))


def test_dates_that_a_new_rhythm_has_replaced_are_cancelled() -> None:
    new = {"id": 1, "occurrences": [SERIES[0], occurrence(5, "2026-04-01T10:00:00Z")]}

    first, second, gone = activities_of(updated(new, {"id": 1, "occurrences": SERIES}))

    assert isinstance(gone, Cancelled)
    assert [first.meeting.instance, second.meeting.instance, gone.meeting.instance] == ["1", "5", "2"]


def test_a_replaced_date_without_an_offset_is_of_the_zone_of_the_meeting() -> None:
    new = {"id": 1, "timezone": "America/New_York", "occurrences": [occurrence(5, "2026-04-01T10:00:00")]}

    _, gone = activities_of(updated(new, {"id": 1, "occurrences": [occurrence(2, "2026-03-16T10:00:00")]}))

    assert isinstance(gone, Cancelled)
    assert (gone.meeting.instance, gone.starts_at) == ("2", datetime(2026, 3, 16, 14, tzinfo=UTC))


def test_a_date_removed_from_a_series_is_cancelled() -> None:
    gone = only(updated({"id": 1, "occurrences": [occurrence(2, "2026-03-16T10:00:00Z", status="deleted")]}))

    assert isinstance(gone, Cancelled)
    assert gone.meeting == Meeting("1", "2")


def test_a_deleted_meeting_is_cancelled_for_all_who_were_booked() -> None:
    one = only(deleted())

    assert isinstance(one, Cancelled)
    assert (one.meeting, one.people, one.time) == (Meeting("93200000000"), (), TOLD_AT)
    assert one.starts_at == datetime(2026, 3, 9, 10, tzinfo=UTC)


def test_of_a_deleted_series_each_date_that_is_still_to_come_is_cancelled() -> None:
    past = occurrence(9, "2026-02-23T10:00:00Z")

    assert [one.meeting.instance for one in activities_of(deleted(type=8, occurrences=[past, *SERIES]))] == ["1", "2"]
    assert only(deleted(start_time=None)).meeting == Meeting("93200000000")


def test_a_meeting_recovered_from_the_trash_is_booked_again() -> None:
    kept = scheduled()
    del kept["settings"]

    one = only(event("meeting.recovered", kept, operator="host@example.com"))

    assert isinstance(one, MeetingMoved)
    assert (one.starts_at, one.lasts) == (datetime(2026, 3, 9, 10, tzinfo=UTC), timedelta(minutes=45))


def test_tidying_up_a_meeting_that_is_over_cancels_nothing() -> None:
    assert verdict(deleted(start_time="2026-03-01T10:00:00Z")) == Ignored("already_over")
