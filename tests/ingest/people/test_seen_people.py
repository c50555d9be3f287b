from schemas.events import OfRelationship
from schemas.payloads import SessionAttendance, SessionScheduled
from services.ingest.domain.tools.derived import session_id
from services.ingest.domain.tools.said import Meeting, Said
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
    pair,
    participant,
    say,
)


def test_of_somebody_alone_nothing_is_told_until_the_other_side_comes() -> None:
    knowledge = known()

    assert say(knowledge, joined(ADA, 0)) == Ignored("alone")
    found = events(knowledge, joined(BEN, 3))

    assert kinds(found) == ["session.joined", "session.joined"]
    assert [(getattr(one.data, "role", None), one.data.by) for one in found] == [
        ("mentor", "mentor"),
        ("mentee", "mentee"),
    ]
    assert kinds(events(knowledge, left(ADA, 50))) == ["session.left"]


def test_strangers_and_their_meetings_are_not_kept() -> None:
    knowledge = known()

    assert say(knowledge, joined(STRANGER, 0)) == Ignored("strangers")
    assert say(knowledge, ended(60)) == Ignored("strangers")
    assert knowledge.presence.at(ZOOM.source, MEETING).people == frozenset()


def test_two_of_ours_who_are_no_pair_are_put_aside() -> None:
    knowledge = known()
    say(knowledge, joined(ADA, 0))

    assert isinstance(say(knowledge, joined(CAT, 1)), Rejected)
    assert kinds(events(knowledge, joined(BEN, 2))) == ["session.joined"] * 2
    assert say(knowledge, left(CAT, 3)) == Ignored("no_pair_of_theirs")


def test_a_repeat_is_the_same_event() -> None:
    knowledge = known()
    say(knowledge, joined(ADA, 0))
    first = events(knowledge, joined(BEN, 3))

    again = events(knowledge, joined(BEN, 3))

    assert {one.id for one in again} <= {one.id for one in first}


def test_after_a_failure_the_whole_batch_told_again_gives_all_events() -> None:
    knowledge = known()
    said: list[Said] = [joined(ADA, 0), joined(BEN, 1), left(ADA, 30), left(BEN, 31)]
    first = [found for one in said if isinstance(found := say(knowledge, one), list)]

    again = [found for one in said if isinstance(found := say(knowledge, one), list)]

    assert ids(again) == ids(first)


def ids(found: list[list[OfRelationship]]) -> set[str]:
    return {one.id for events_ in found for one in events_}


def test_an_end_is_the_leaving_of_all_who_are_still_there() -> None:
    knowledge = known()
    say(knowledge, joined(ADA, 0))
    say(knowledge, joined(BEN, 1))
    say(knowledge, left(BEN, 40))

    (one,) = events(knowledge, ended(50))

    assert one.type == "mentoring.session.left.v1"
    assert one.data.role == "mentor"
    assert kinds(events(knowledge, ended(55))) == ["session.left"]


def test_somebody_told_of_only_after_the_end_has_left_with_it() -> None:
    knowledge = known()
    say(knowledge, joined(ADA, 0))
    say(knowledge, ended(50))

    assert kinds(events(knowledge, joined(BEN, 1))) == [
        "session.joined",
        "session.joined",
        "session.left",
        "session.left",
    ]


def test_at_a_booked_meeting_one_side_is_told_at_once() -> None:
    knowledge = known()
    events(knowledge, booked(0, 60))

    assert kinds(events(knowledge, joined(ADA, 1))) == ["session.joined"]


def test_a_booking_of_another_tool_at_that_time_will_do() -> None:
    knowledge = known()
    events(knowledge, booked(0, 60), CALENDAR)

    assert kinds(events(knowledge, joined(ADA, -5))) == ["session.joined"]
    assert kinds(events(knowledge, left(ADA, 90))) == ["session.joined", "session.left"]


def test_a_booking_of_another_time_will_not_do() -> None:
    knowledge = known()
    events(knowledge, booked(600, 660), CALENDAR)

    assert say(knowledge, joined(ADA, -5)) == Ignored("alone")


def test_a_booked_pair_of_whom_nobody_came_has_missed_it_once() -> None:
    knowledge = known()
    events(knowledge, booked(0, 60))

    (one,) = events(knowledge, ended(61))
    (again,) = events(knowledge, ended(62))

    assert one.type == "mentoring.session.missed.v1"
    assert (one.data.absent, one.data.evidence) == ("both", "observed")
    assert again == one


def test_nobody_has_missed_what_is_cancelled_or_still_to_come() -> None:
    knowledge = known()
    events(knowledge, booked(0, 60))
    assert say(knowledge, ended(-10)) == Ignored("strangers")
    events(knowledge, cancelled(-5))

    assert say(knowledge, ended(61)) == Ignored("strangers")


def test_of_a_group_each_visit_is_one_event() -> None:
    knowledge = known(
        event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"}),
        *map(participant, ("ada", "ben", "cat")),
    )
    say(knowledge, joined(ADA, 0))
    events(knowledge, joined(BEN, 1))

    (one,) = events(knowledge, joined(CAT, 2))

    assert one.type == "mentoring.session.joined.v1"
    assert one.data.role == "mentee"


def test_one_person_in_two_pairs_is_told_of_both() -> None:
    knowledge = known(pair(), pair("ada", "cat", subject="rel-2"), *map(participant, ("ada", "ben", "cat")))
    say(knowledge, joined(BEN, 0))
    say(knowledge, joined(CAT, 1))

    found = events(knowledge, joined(ADA, 2))

    assert sorted(one.subject for one in found) == ["rel-1", "rel-1", "rel-2", "rel-2"]
    assert len({one.id for one in found}) == 4


def test_a_person_who_could_be_several_is_put_aside() -> None:
    knowledge = known(
        pair(), participant("ada"), participant("ben"), participant("cat", addresses=("ada@example.com",))
    )

    found = say(knowledge, joined(ADA, 0))

    assert isinstance(found, Rejected)
    assert found.errors[0].path == "person"


DATE = Meeting("84512", "2026-03-02")
OTHER_DATE = Meeting("84512", "2026-03-03")


def test_a_run_of_a_booked_meeting_is_the_session_of_its_date() -> None:
    knowledge = known()
    (session,) = events(knowledge, booked(0, 60, meeting=DATE))
    events(knowledge, booked(1440, 1500, meeting=OTHER_DATE))

    (one,) = events(knowledge, joined(ADA, -20))

    assert isinstance(session.data, SessionScheduled)
    assert isinstance(one.data, SessionAttendance)
    assert one.data.session_id == session.data.session_id


def test_a_run_far_from_every_booked_date_is_a_session_of_its_own() -> None:
    knowledge = known()
    events(knowledge, booked(0, 60, meeting=DATE))
    say(knowledge, joined(ADA, 1440))

    found = events(knowledge, joined(BEN, 1441))

    assert {getattr(one.data, "session_id", None) for one in found} == {session_id(ZOOM.source, MEETING)}


def test_nobody_came_to_any_run_of_a_booked_meeting() -> None:
    knowledge = known()
    events(knowledge, booked(0, 60, meeting=Meeting("84512")))

    assert kinds(events(knowledge, ended(61))) == ["session.missed"]
