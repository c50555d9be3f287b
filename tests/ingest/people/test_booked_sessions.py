from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas import payloads as p
from services.ingest.domain.activity import Meeting, MeetingMoved, Missed, MoveRequested, Person
from services.ingest.domain.ids import session_id
from services.ingest.domain.meetings.revisions import Revisions
from services.ingest.domain.verdict import Ignored, Rejected
from tests.ingest.people.building import (
    ADA,
    BEN,
    CALENDAR,
    CAT,
    HR,
    NATIVE,
    STRANGER,
    ZOOM,
    booked,
    cancelled,
    event,
    events,
    kinds,
    known,
    minute,
    pair,
    participant,
    say,
)

OTHER = Meeting("99999")
OTHER_STRANGER = Person(address="other@example.org")


def test_a_meeting_of_a_pair_is_scheduled() -> None:
    (one,) = events(known(), booked(0, 60, ADA, BEN, STRANGER), CALENDAR)

    assert one.type == "mentoring.session.scheduled.v1"
    assert (one.subject, one.program, one.source) == ("rel-1", "leaders", "urn:rapport:acme:google_calendar:calendar")
    assert one.data.session_id == session_id(CALENDAR.source, booked(0, 60).meeting)
    assert (one.data.starts_at, one.data.ends_at) == (minute(0), minute(60))
    assert (one.data.by, one.data.evidence) == ("system", "calendar")
    assert one.data.origin == p.Origin(tool="google_calendar", native_type="meeting", native_id="84512")


def test_the_same_again_is_unchanged_and_other_times_are_a_reschedule() -> None:
    projection = known()
    (first,) = events(projection, booked(0, 60))

    assert say(projection, booked(0, 60, key="other")) == Ignored("unchanged")
    (second,) = events(projection, booked(120, 180))

    assert kinds([second]) == ["session.rescheduled"]
    assert first.type == "mentoring.session.scheduled.v1"
    assert second.type == "mentoring.session.rescheduled.v1"
    assert first.data.session_id == second.data.session_id


def test_a_meeting_that_moves_to_another_id_stays_the_same_session_for_good() -> None:
    projection = known()
    (first,) = events(projection, booked(0, 60))
    moved = booked(300, 360, key="moved", meeting=OTHER, replaces=booked(0, 60).meeting, time=minute(-60))
    (second,) = events(projection, moved)
    (third,) = events(projection, cancelled(-30, meeting=OTHER))

    assert kinds([first, second, third]) == ["session.scheduled", "session.rescheduled", "session.cancelled"]
    assert len({getattr(one.data, "session_id", None) for one in (first, second, third)}) == 1


def test_a_move_to_the_same_time_is_emitted_to_record_the_new_id() -> None:
    projection = known()
    events(projection, booked(0, 60))
    moved = booked(0, 60, key="moved", meeting=OTHER, replaces=booked(0, 60).meeting)

    assert kinds(events(projection, moved)) == ["session.rescheduled"]
    assert say(projection, moved) == Ignored("unchanged")


def test_a_cancellation_without_people_is_of_those_who_were_booked() -> None:
    projection = known()
    events(projection, booked(0, 60))

    (one,) = events(projection, cancelled(-90))

    assert one.type == "mentoring.session.cancelled.v1"
    assert one.data.notice_hours == 1.5
    assert say(projection, cancelled(-80)) == Ignored("unchanged")


def test_a_cancelled_meeting_may_be_booked_again() -> None:
    projection = known()
    events(projection, booked(0, 60))
    events(projection, cancelled(-90))

    assert kinds(events(projection, booked(0, 60, key="again", time=minute(-60)))) == ["session.scheduled"]


def test_a_cancellation_of_what_is_not_known_is_of_the_people_it_names() -> None:
    assert say(known(), cancelled(-90)) == Ignored("not_booked")
    (one,) = events(known(), cancelled(-90, ADA, BEN))

    assert one.type == "mentoring.session.cancelled.v1"
    assert one.data.notice_hours is None


def test_notice_is_never_negative() -> None:
    projection = known()
    events(projection, booked(0, 60))

    (one,) = events(projection, cancelled(30))

    assert one.type == "mentoring.session.cancelled.v1"
    assert one.data.notice_hours == 0


def test_a_tool_that_sends_only_the_changed_members() -> None:
    projection = known()
    events(projection, booked(0, 60))

    (later,) = events(projection, MeetingMoved("m1", minute(-50), NATIVE, booked(0, 1).meeting, starts_at=minute(10)))
    (longer,) = events(
        projection, MeetingMoved("m2", minute(-40), NATIVE, booked(0, 1).meeting, lasts=timedelta(minutes=90))
    )

    assert later.type == longer.type == "mentoring.session.rescheduled.v1"
    assert (later.data.starts_at, later.data.ends_at) == (minute(10), minute(70))
    assert (longer.data.starts_at, longer.data.ends_at) == (minute(10), minute(100))
    assert say(projection, MeetingMoved("m3", minute(-40), NATIVE, booked(0, 1).meeting)) == Ignored("unchanged")
    assert say(projection, MeetingMoved("m4", minute(-40), NATIVE, OTHER)) == Ignored("not_booked")


def test_a_move_beyond_the_end_of_time_is_refused() -> None:
    projection = known()
    events(projection, booked(0, 60))
    last = datetime.max.replace(tzinfo=UTC)

    found = say(projection, MeetingMoved("m1", minute(-50), NATIVE, booked(0, 1).meeting, starts_at=last))

    assert isinstance(found, Rejected)
    assert found.errors[0].path == "starts_at"


def test_strangers_are_none_of_our_business() -> None:
    assert say(known(), booked(0, 60, ADA, STRANGER)) == Ignored("strangers")
    assert say(known(), booked(0, 60, STRANGER)) == Ignored("strangers")


def test_two_of_ours_who_are_no_pair_yet_are_put_aside_and_let_in_later() -> None:
    projection = known()
    found = say(projection, booked(0, 60, ADA, CAT))
    assert isinstance(found, Rejected)
    assert found.reason == "unresolved"

    projection.apply(pair("ada", "cat", subject="rel-2"))

    assert [one.subject for one in events(projection, booked(0, 60, ADA, CAT))] == ["rel-2"]


def test_somebody_who_could_be_several_is_put_aside_and_never_guessed() -> None:
    projection = known(
        pair(), participant("ada"), participant("ben"), participant("cat", addresses=("ben@example.com",))
    )

    found = say(projection, booked(0, 60))

    assert isinstance(found, Rejected)
    assert (found.reason, found.errors[0].path) == ("unresolved", "people.1")
    assert "p-ben, p-cat" in found.errors[0].reason
    assert "@" not in found.errors[0].reason


def test_a_meeting_of_a_group_is_one_event_and_of_two_pairs_two() -> None:
    projection = known(
        event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"}),
        pair("ada", "cat", subject="rel-2"),
        *map(participant, ("ada", "ben", "cat")),
    )

    found = events(projection, booked(0, 60, ADA, BEN, CAT))

    assert [one.subject for one in found] == ["rel-1", "rel-2"]
    assert len({one.id for one in found}) == 2


def test_a_connection_of_a_programme_sees_its_pairs_only() -> None:
    connection_scope = replace(CALENDAR, program="other")

    found = say(known(), booked(0, 60), connection_scope)

    assert isinstance(found, Rejected)
    assert found.reason == "unresolved"


def test_what_is_erased_is_not_booked_any_more() -> None:
    projection = known()
    events(projection, booked(0, 60))
    projection.apply(event("relationship.erased", {}))

    assert say(projection, cancelled(-90)) == Ignored("not_booked")
    assert isinstance(say(projection, booked(0, 60, key="again")), Rejected)


@pytest.mark.parametrize(
    ("absent", "side"), [((ADA,), "mentor"), ((BEN,), "mentee"), ((ADA, BEN), "both"), ((BEN, CAT), "mentee")]
)
def test_a_no_show_names_the_absent_side(absent: tuple[Person, ...], side: str) -> None:
    projection = known()
    events(projection, booked(0, 60))

    (one,) = events(projection, Missed("x", minute(60), NATIVE, booked(0, 60).meeting, absent))

    assert one.type == "mentoring.session.missed.v1"
    assert one.data.absent == side


def test_an_absent_stranger_is_no_no_show() -> None:
    projection = known()
    events(projection, booked(0, 60))
    meeting = booked(0, 60).meeting

    assert say(projection, Missed("x", minute(60), NATIVE, meeting, (STRANGER,))) == Ignored("strangers")
    assert say(projection, Missed("x", minute(60), NATIVE, OTHER, (ADA,))) == Ignored("not_booked")
    assert kinds(events(projection, Missed("x", minute(60), NATIVE, OTHER, (ADA,), (ADA, BEN)))) == ["session.missed"]


def test_two_connections_never_share_a_session() -> None:
    assert session_id(CALENDAR.source, OTHER) != session_id(HR.source, OTHER)


def test_a_connection_of_another_programme_does_not_reach_a_booking() -> None:
    projection = known()
    events(projection, booked(0, 60))
    other = replace(ZOOM, program="other")

    assert say(projection, cancelled(-90), other) == Ignored("not_booked")


def test_somebody_absent_who_could_be_several_is_put_aside() -> None:
    projection = known(
        pair(), participant("ada"), participant("ben"), participant("cat", addresses=("ben@example.com",))
    )

    found = say(projection, Missed("x", minute(60), NATIVE, OTHER, (BEN,), (ADA, BEN)))

    assert isinstance(found, Rejected)
    assert found.reason == "unresolved"


def test_removed_attendees_have_it_cancelled_and_the_others_keep_it() -> None:
    people = (participant("ada"), participant("ben"), participant("cat"))
    projection = known(pair(), pair("ada", "cat", subject="rel-2"), *people)
    events(projection, booked(60, 120, ADA, BEN, CAT))

    (one,) = events(projection, booked(60, 120, ADA, CAT, key="ben declined"))

    assert (one.type, one.subject) == ("mentoring.session.cancelled.v1", "rel-1")
    assert isinstance(one.data, p.SessionCancelled)
    assert one.data.notice_hours is not None
    assert say(projection, booked(60, 120, ADA, CAT, key="once more")) == Ignored("unchanged")


def test_a_pair_that_has_ended_has_it_cancelled_though_both_of_them_come_with_others() -> None:
    people = (participant("ada"), participant("ben"), participant("cat"))
    projection = known(pair(), pair("ada", "cat", subject="rel-2"), *people)
    events(projection, booked(60, 120, ADA, BEN, CAT))
    end = {"planned": True, "reason_code": "completed", "initiated_by": "admin"}
    projection.apply(event("relationship.ended", end, time=minute(-90)))

    (one,) = events(projection, booked(60, 120, ADA, BEN, CAT, key="later", time=minute(-60)))

    assert (one.type, one.subject) == ("mentoring.session.cancelled.v1", "rel-1")


def test_a_meeting_with_one_remaining_participant_is_cancelled() -> None:
    projection = known()
    events(projection, booked(60, 120, ADA, BEN))

    assert kinds(events(projection, booked(60, 120, ADA, key="ben left"))) == ["session.cancelled"]
    assert say(projection, booked(60, 120, ADA, key="again")) == Ignored("strangers")


@pytest.mark.parametrize(
    ("changes", "becomes"),
    [
        ({"people": (ADA, STRANGER)}, []),
        ({"people": (STRANGER, BEN)}, []),
        ({"people": (ADA, Person())}, []),
        ({"people": (ADA, STRANGER), "declined": (BEN,)}, ["session.cancelled"]),
        ({"people": (STRANGER,)}, ["session.cancelled"]),
        ({"people": (ADA, STRANGER), "new": (STRANGER,)}, ["session.cancelled"]),
        ({"people": (ADA, CAT, STRANGER)}, []),
    ],
    ids=[
        "ben may be asked by another address",
        "so may ada",
        "somebody of whom nothing is told",
        "ben said no, so that the other one is not he",
        "one cannot be two",
        "who took the place of another one is not they",
        "that another mentee comes too says nothing of ben",
    ],
)
def test_somebody_by_an_unknown_address_may_be_the_one_who_was_booked(
    changes: dict[str, Any], becomes: list[str]
) -> None:
    projection = known(pair(), pair("ada", "cat", subject="rel-2"), *map(participant, ("ada", "ben", "cat")))
    events(projection, booked(60, 120, ADA, BEN))

    found = say(projection, booked(60, 120, key="later", time=minute(-60), **changes))

    told = kinds(found) if isinstance(found, list) else []
    assert [kind for kind in told if kind != "session.scheduled"] == becomes


@pytest.mark.parametrize(
    ("first", "second", "becomes"),
    [
        ((ADA, BEN, STRANGER), (ADA, STRANGER), ["session.cancelled"]),
        ((ADA, BEN, STRANGER), (STRANGER, BEN), ["session.cancelled"]),
        ((ADA, BEN, STRANGER), (Person(address="STRANGER@example.org"), ADA), ["session.cancelled"]),
        ((ADA, BEN, STRANGER), (ADA, STRANGER, OTHER_STRANGER), []),
        ((ADA, BEN, STRANGER), (STRANGER, OTHER_STRANGER), ["session.cancelled"]),
        ((ADA, BEN), (STRANGER, OTHER_STRANGER), []),
        ((ADA, BEN, Person()), (ADA, Person()), []),
    ],
    ids=[
        "who was asked beside ben is not he",
        "nor ada",
        "an address in another case is the same",
        "somebody else may be he",
        "one cannot be two",
        "two may be two",
        "of whom nothing is told may be anybody",
    ],
)
@pytest.mark.parametrize("is_told_late", [False, True])
def test_a_stranger_who_was_asked_beside_somebody_is_not_the_same_person(
    first: tuple[Person, ...],
    second: tuple[Person, ...],
    becomes: list[str],
    is_told_late: bool,  # noqa: FBT001
) -> None:
    projection = known()
    versions = [booked(60, 120, *first), booked(60, 120, *second, key="later", time=minute(-60))]
    found = [say(projection, one) for one in (reversed(versions) if is_told_late else versions)]

    told = [kind for one in found if isinstance(one, list) for kind in kinds(one)]

    assert told == ["session.scheduled", *becomes]


def test_removed_attendees_are_cancelled_even_if_the_others_are_no_pair_yet() -> None:
    projection = known()
    events(projection, booked(60, 120, ADA, BEN))

    found = say(projection, booked(60, 120, ADA, CAT, key="later", time=minute(-60)))

    assert isinstance(found, Rejected)
    assert found.reason == "unresolved"
    (session,) = projection.bookings.sessions("acme", "rel-1")
    assert session.booking.cancelled
    projection.apply(pair("ada", "cat", subject="rel-2"))
    let_in = events(projection, booked(60, 120, ADA, CAT, key="later", time=minute(-60)))
    assert [(one.type, one.subject) for one in let_in] == [("mentoring.session.scheduled.v1", "rel-2")]


def test_over_the_limit_the_oldest_request_is_evicted() -> None:
    revisions, former = Revisions(most=1), Meeting("former")
    for name in ("first", "second"):
        revisions.apply(ZOOM.source, MoveRequested(name, minute(0), NATIVE, Meeting(name), former))

    assert revisions.requested_meeting(ZOOM.source, Meeting("first")) is None
    assert revisions.requested_meeting(ZOOM.source, Meeting("second")) == former
