from itertools import permutations
from typing import Any

import pytest

from schemas.events import OfRelationship, to_json
from schemas.payloads import SessionAttendance, SessionScheduled
from services.ingest.domain.activity import Activity, Meeting, Person
from services.ingest.domain.ids import session_id
from services.ingest.domain.meetings.attendance_fold import AttendanceFold
from services.ingest.domain.meetings.attendance_index import MAX_UNIDENTIFIED
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected
from tests.ingest.people.building import (
    ADA,
    BEN,
    CALENDAR,
    CAT,
    MEETING,
    STRANGER,
    ZOOM,
    booked,
    cancelled,
    ended,
    event,
    events,
    joined,
    kinds,
    known,
    left,
    minute,
    pair,
    participant,
    say,
)


def events_of(projection: Projection, *said: Activity) -> list[Any]:
    told = (say(projection, one) for one in said)
    return [one for found in told if isinstance(found, list) for one in found]


def test_nothing_is_emitted_for_one_side_until_the_other_comes() -> None:
    projection = known()

    assert say(projection, joined(ADA, 0)) == Ignored("alone")
    found = events(projection, joined(BEN, 3))

    assert kinds(found) == ["session.joined", "session.joined"]
    assert [(getattr(one.data, "role", None), one.data.by) for one in found] == [
        ("mentor", "mentor"),
        ("mentee", "mentee"),
    ]
    assert kinds(events(projection, left(ADA, 50))) == ["session.left"]


def test_strangers_and_their_meetings_are_not_kept() -> None:
    projection = known()

    assert say(projection, joined(STRANGER, 0)) == Ignored("strangers")
    assert say(projection, ended(60)) == Ignored("strangers")
    assert projection.attendance_index.at(ZOOM.source, MEETING).people == frozenset()


def test_two_of_ours_who_are_no_pair_are_put_aside() -> None:
    projection = known()
    say(projection, joined(ADA, 0))

    assert isinstance(say(projection, joined(CAT, 1)), Rejected)
    assert kinds(events(projection, joined(BEN, 2))) == ["session.joined"] * 2
    assert say(projection, left(CAT, 3)) == Ignored("no_pair_of_theirs")


def test_a_repeat_is_the_same_event() -> None:
    projection = known()
    say(projection, joined(ADA, 0))
    first = events(projection, joined(BEN, 3))

    again = events(projection, joined(BEN, 3))

    assert {one.id for one in again} <= {one.id for one in first}


def test_a_batch_repeated_after_a_failure_emits_all_events() -> None:
    projection = known()
    said: list[Activity] = [joined(ADA, 0), joined(BEN, 1), left(ADA, 30), left(BEN, 31)]
    first = [found for one in said if isinstance(found := say(projection, one), list)]

    again = [found for one in said if isinstance(found := say(projection, one), list)]

    assert ids(again) == ids(first)


def ids(found: list[list[OfRelationship]]) -> set[str]:
    return {one.id for events_ in found for one in events_}


def test_an_end_is_the_leaving_of_all_who_are_still_there() -> None:
    projection = known()
    say(projection, joined(ADA, 0))
    say(projection, joined(BEN, 1))
    say(projection, left(BEN, 40))

    (one,) = events(projection, ended(50))

    assert one.type == "mentoring.session.left.v1"
    assert one.data.role == "mentor"
    assert kinds(events(projection, ended(55))) == ["session.left"]


def test_a_join_reported_after_the_end_is_emitted_with_a_leave() -> None:
    projection = known()
    say(projection, joined(ADA, 0))
    say(projection, ended(50))

    assert kinds(events(projection, joined(BEN, 1))) == [
        "session.joined",
        "session.joined",
        "session.left",
        "session.left",
    ]


def test_one_side_of_a_booked_meeting_is_emitted_at_once() -> None:
    projection = known()
    events(projection, booked(0, 60))

    assert kinds(events(projection, joined(ADA, 1))) == ["session.joined"]


def test_a_booking_of_another_tool_at_that_time_will_do() -> None:
    projection = known()
    events(projection, booked(0, 60), CALENDAR)

    assert kinds(events(projection, joined(ADA, -5))) == ["session.joined"]
    assert kinds(events(projection, left(ADA, 90))) == ["session.joined", "session.left"]


def test_a_booking_of_another_time_will_not_do() -> None:
    projection = known()
    events(projection, booked(600, 660), CALENDAR)

    assert say(projection, joined(ADA, -5)) == Ignored("alone")


def test_an_absent_booked_pair_has_one_no_show_if_other_participants_came() -> None:
    projection = known()
    events(projection, booked(0, 60))
    say(projection, joined(CAT, 1))

    (one,) = events(projection, ended(61))
    (again,) = events(projection, ended(62))

    assert one.type == "mentoring.session.missed.v1"
    assert (one.data.absent, one.data.evidence) == ("both", "observed")
    assert again == one


def test_an_ended_meeting_without_attendance_has_no_no_show() -> None:
    """Somebody began it. The word of it may be late, be of a run under another id, or was never asked for."""
    projection = known()
    events(projection, booked(0, 60))

    assert say(projection, ended(61)) == Ignored("strangers")
    assert kinds(events(projection, joined(ADA, 0))) == ["session.joined", "session.left"]


NOBODY = Person()


@pytest.mark.parametrize("guest", [NOBODY, STRANGER], ids=["a phone", "an address that nobody knows"])
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_an_unidentified_visitor_of_a_booked_meeting_is_emitted(guest: Person, order: tuple[int, ...]) -> None:
    projection = known()
    events(projection, booked(0, 60))
    said: list[Activity] = [joined(ADA, 0), joined(guest, 1), left(guest, 50), left(ADA, 51)]

    found = [one for place in order if isinstance(one := say(projection, said[place]), list)]

    told = {one.id: one for events_ in found for one in events_}.values()
    roles = sorted((getattr(one.data, "role", ""), one.data.by, one.type.split(".")[2]) for one in told)
    assert roles == [
        ("mentor", "mentor", "joined"),
        ("mentor", "mentor", "left"),
        ("unidentified", "system", "joined"),
        ("unidentified", "system", "left"),
    ]
    assert not any("stranger" in to_json(one).decode() for one in told)


def test_another_participant_at_a_time_booked_by_another_tool_is_emitted_as_unidentified() -> None:
    def told(other: Person) -> list[OfRelationship]:
        projection = known()
        events(projection, booked(0, 60), CALENDAR)
        say(projection, joined(ADA, 0))
        return [one for one in events(projection, joined(other, 1)) if getattr(one.data, "role", "") == "unidentified"]

    of_ours = told(CAT)

    assert kinds(of_ours) == ["session.joined"]
    assert [to_json(one) for one in of_ours] == [to_json(one) for one in told(STRANGER)]


def test_one_of_many_other_participants_is_emitted() -> None:
    crowd = [f"p{number}" for number in range(30)]
    projection = known(pair(), *map(participant, ("ada", "ben", *crowd)))
    events(projection, booked(0, 60), CALENDAR)
    for name in crowd:
        say(projection, joined(Person(address=f"{name}@example.com"), 1))

    told = events(projection, joined(ADA, 2))

    assert sorted(str(getattr(one.data, "role", "")) for one in told) == ["mentor", "unidentified"]


def test_a_guest_without_a_booking_emits_nothing() -> None:
    projection = known()

    assert say(projection, joined(NOBODY, 0)) == Ignored("unidentified_guest")
    assert say(projection, joined(ADA, 0)) == Ignored("alone")
    assert kinds(events(projection, joined(BEN, 1))) == ["session.joined", "session.joined"]
    assert say(projection, left(NOBODY, 30)) == Ignored("unidentified_guest")


def test_unidentified_visitors_may_be_both_sides_so_that_there_is_no_no_show() -> None:
    projection = known()
    events(projection, booked(0, 60))
    say(projection, joined(NOBODY, 1))

    assert say(projection, ended(61)) == Ignored("strangers")


def test_who_could_be_several_may_be_the_one_who_is_waited_for() -> None:
    projection = known(
        pair(), participant("ada"), participant("ben"), participant("cat", addresses=("ben@example.com",))
    )
    events(projection, booked(0, 60, Person(participant="p-ada"), Person(participant="p-ben")))
    say(projection, joined(ADA, 0))
    assert isinstance(say(projection, joined(BEN, 1)), Rejected)

    told = events(projection, left(ADA, 50))

    assert "unidentified" in {getattr(one.data, "role", None) for one in told}


def test_a_crowd_of_guests_emits_a_bounded_number_of_events() -> None:
    projection = known()
    events(projection, booked(0, 60))
    for number in range(200):
        say(projection, joined(NOBODY, number / 10, key=str(number)))

    told = events(projection, joined(ADA, 1))

    assert len(told) == 1 + MAX_UNIDENTIFIED


def test_a_run_that_ends_early_is_not_the_end_of_what_is_booked() -> None:
    projection = known()
    events(projection, booked(0, 60))
    say(projection, joined(CAT, 1))

    assert say(projection, ended(6)) == Ignored("unchanged")
    assert kinds(events(projection, ended(52))) == ["session.missed"]


def test_nobody_has_missed_what_is_cancelled_or_still_to_come() -> None:
    projection = known()
    events(projection, booked(0, 60))
    assert say(projection, ended(-10)) == Ignored("strangers")
    events(projection, cancelled(-5))

    assert say(projection, ended(61)) == Ignored("strangers")


def test_of_a_group_each_visit_is_one_event() -> None:
    projection = known(
        event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"}),
        *map(participant, ("ada", "ben", "cat")),
    )
    say(projection, joined(ADA, 0))
    events(projection, joined(BEN, 1))

    (one,) = events(projection, joined(CAT, 2))

    assert one.type == "mentoring.session.joined.v1"
    assert one.data.role == "mentee"


def test_a_person_in_two_pairs_emits_events_of_both() -> None:
    projection = known(pair(), pair("ada", "cat", subject="rel-2"), *map(participant, ("ada", "ben", "cat")))
    say(projection, joined(BEN, 0))
    say(projection, joined(CAT, 1))

    found = events(projection, joined(ADA, 2))

    assert sorted(one.subject for one in found) == ["rel-1", "rel-1", "rel-2", "rel-2"]
    assert len({one.id for one in found}) == 4


def test_a_person_who_could_be_several_is_put_aside() -> None:
    projection = known(
        pair(), participant("ada"), participant("ben"), participant("cat", addresses=("ada@example.com",))
    )

    found = say(projection, joined(ADA, 0))

    assert isinstance(found, Rejected)
    assert found.errors[0].path == "person"


DATE = Meeting("84512", "2026-03-02")
OTHER_DATE = Meeting("84512", "2026-03-03")


def test_a_run_of_a_booked_meeting_is_the_session_of_its_date() -> None:
    projection = known()
    (session,) = events(projection, booked(0, 60, meeting=DATE))
    events(projection, booked(1440, 1500, meeting=OTHER_DATE))

    (one,) = events(projection, joined(ADA, -20))

    assert isinstance(session.data, SessionScheduled)
    assert isinstance(one.data, SessionAttendance)
    assert one.data.session_id == session.data.session_id


def test_a_run_far_from_every_booked_date_is_a_session_of_its_own() -> None:
    projection = known()
    events(projection, booked(0, 60, meeting=DATE))
    say(projection, joined(ADA, 1440))

    found = events(projection, joined(BEN, 1441))

    assert {getattr(one.data, "session_id", None) for one in found} == {session_id(ZOOM.source, MEETING)}


def test_a_run_reported_before_its_booking_stays_one_session() -> None:
    """Otherwise those who were emitted before would have missed the rest of it."""
    projection = known()
    told = [*events_of(projection, joined(ADA, 0), joined(BEN, 1), left(ADA, 35))]

    say(projection, booked(40, 100, meeting=Meeting(MEETING.id)))
    after = events_of(projection, left(BEN, 60), joined(ADA, 0), joined(BEN, 1))

    assert len({one.data.session_id for one in [*told, *after]}) == 1
    # What a feed plays back is what was told before, to the letter.
    assert {one.id: one for one in told}.items() <= {one.id: one for one in [*told, *after]}.items()
    fold = AttendanceFold(projection.bookings.expected_booking)
    for one in [*told, *after]:
        fold.apply(one)
    concluded = [raw["type"] for raw in fold.advance(minute(24 * 60))]
    assert concluded == ["mentoring.session.held.v1"]


def test_nobody_came_to_any_run_of_a_booked_meeting() -> None:
    projection = known()
    events(projection, booked(0, 60, meeting=Meeting("84512")))
    say(projection, joined(CAT, 1))

    assert kinds(events(projection, ended(61))) == ["session.missed"]
