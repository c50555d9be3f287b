from datetime import datetime, timedelta

import pytest

from schemas.primitives import Side
from services.ingest.domain.meetings.attendance import (
    LONGEST,
    REJOIN_GRACE,
    SETTLE_DELAY,
    Attendance,
    AttendanceEvent,
    HeldOutcome,
    MissedOutcome,
    NoOutcome,
    Span,
    VisitorPresence,
    due,
    is_present,
    outcome,
    overlap,
    visitor_presence,
)
from services.ingest.domain.meetings.bookings import Booking
from tests.ingest.people.building import START, minute

BOOKING = Booking("s-1", minute(0), minute(60), START)


def came(at: float, role: Side = "mentor", visitor: str = "") -> AttendanceEvent:
    return AttendanceEvent(role, visitor, "joined", minute(at))


def went(at: float, role: Side = "mentor", visitor: str = "") -> AttendanceEvent:
    return AttendanceEvent(role, visitor, "left", minute(at))


def seen(*facts: AttendanceEvent, recorded: datetime | None = None) -> Attendance:
    return Attendance(frozenset(facts), recorded or max((one.time for one in facts), default=START))


def span(begin: float, end: float) -> Span:
    return Span(minute(begin), minute(end))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([came(0), went(50)], VisitorPresence((span(0, 50),))),
        ([went(50), came(0)], VisitorPresence((span(0, 50),))),
        ([came(0), went(10), came(20), went(50)], VisitorPresence((span(0, 10), span(20, 50)))),
        ([came(0)], VisitorPresence((), minute(0))),
        ([went(50)], VisitorPresence(())),
        ([went(5), came(10), went(50)], VisitorPresence((span(10, 50),))),
        ([came(0), went(50), went(55)], VisitorPresence((span(0, 50),))),
        ([came(0), came(10), went(20), went(50)], VisitorPresence((span(0, 50),))),
        ([came(0), came(20), went(50)], VisitorPresence((span(0, 50),))),
        ([came(0), came(1), went(10), came(20)], VisitorPresence((), minute(0))),
        ([came(0), went(10), came(10), went(50)], VisitorPresence((span(0, 10), span(10, 50)))),
        ([came(10), went(10)], VisitorPresence((span(10, 10),))),
    ],
    ids=[
        "comes and goes",
        "is told the other way round",
        "comes again",
        "never leaves",
        "was never seen to come",
        "leaves before coming",
        "leaves twice",
        "comes with two devices",
        "comes again without having left",
        "is still there with one of two devices",
        "changes rooms at one instant",
        "comes and goes at one instant",
    ],
)
def test_a_visitor(facts: list[AttendanceEvent], expected: VisitorPresence) -> None:
    assert visitor_presence(facts) == expected


def test_somebody_who_came_more_often_than_they_left_is_there() -> None:
    assert is_present([came(0), came(1), went(1)])
    assert is_present([came(0), went(5), went(6), came(9)])
    assert not is_present([went(5), came(0)])


def test_overlap_is_when_both_sides_are_present() -> None:
    assert overlap([span(0, 20), span(10, 30)], [span(5, 8), span(25, 60)]) == (span(5, 8), span(25, 30))
    assert overlap([span(0, 20)], [span(20, 40)]) == ()


def test_a_session_is_held_from_the_overlap_of_both_sides() -> None:
    facts = seen(came(0), came(4, "mentee"), went(50), went(52, "mentee"))

    assert outcome(facts, None) == HeldOutcome(minute(4), minute(52), 46.0)
    assert due(facts, None) == minute(52) + SETTLE_DELAY


def test_any_mentee_of_a_group_will_do() -> None:
    facts = seen(
        came(0),
        went(60),
        came(0, "mentee", "a"),
        went(3, "mentee", "a"),
        came(10, "mentee", "b"),
        went(20, "mentee", "b"),
    )

    assert outcome(facts, None) == HeldOutcome(minute(0), minute(60), 13.0)


def test_interruptions_add_up() -> None:
    facts = seen(came(0), went(3), came(4), went(7), came(0, "mentee"), went(9, "mentee"))

    assert outcome(facts, None) == HeldOutcome(minute(0), minute(9), 6.0)


@pytest.mark.parametrize(("until", "is_held"), [(5, True), (4.99, False)])
def test_less_than_five_minutes_is_no_session(until: float, is_held: bool) -> None:  # noqa: FBT001
    facts = seen(came(0), went(until), came(0, "mentee"), went(until, "mentee"))

    assert isinstance(outcome(facts, None), HeldOutcome) is is_held
    assert outcome(facts, BOOKING) == (HeldOutcome(minute(0), minute(5), 5.0) if is_held else NoOutcome("too_short"))


@pytest.mark.parametrize(("side", "absent"), [("mentor", "mentee"), ("mentee", "mentor")])
def test_one_side_at_a_booked_meeting_is_missed_by_the_other(side: Side, absent: Side) -> None:
    facts = seen(came(0, side), went(15, side))

    assert outcome(facts, BOOKING) == MissedOutcome(BOOKING, absent)
    assert due(facts, BOOKING) == minute(60) + SETTLE_DELAY


def test_a_booked_meeting_is_over_at_its_end_and_not_when_both_drop_out() -> None:
    facts = seen(came(0), went(6), came(1, "mentee"), went(5.5, "mentee"))

    assert due(facts, BOOKING) == minute(60) + SETTLE_DELAY


def test_a_visitor_of_an_overrunning_booked_meeting_has_ten_minutes_to_return() -> None:
    facts = seen(came(0), went(65), came(1, "mentee"), went(64, "mentee"))

    assert due(facts, BOOKING) == minute(65) + REJOIN_GRACE


@pytest.mark.parametrize("side", ["mentor", "mentee"])
def test_an_unidentified_visitor_may_be_the_other_side(side: Side) -> None:
    guest = AttendanceEvent("unidentified", "phone", "joined", minute(1))

    assert outcome(seen(came(0, side), went(55, side), guest), BOOKING) == NoOutcome("unidentified")
    assert due(seen(came(0, side), went(55, side), guest), BOOKING) == minute(55) + REJOIN_GRACE


def test_an_unidentified_visitor_is_no_third_side() -> None:
    guest = (
        AttendanceEvent("unidentified", "", "joined", minute(-300)),
        AttendanceEvent("unidentified", "", "left", minute(90)),
    )
    both = [came(0), went(50), came(1, "mentee"), went(51, "mentee")]

    assert (
        outcome(seen(*both, *guest), BOOKING) == outcome(seen(*both), BOOKING) == HeldOutcome(minute(1), minute(51), 49)
    )
    assert due(seen(*both, *guest, recorded=minute(51)), None) == minute(51) + SETTLE_DELAY
    assert outcome(seen(came(0), went(50), *guest), None) == NoOutcome("not_booked")
    assert due(seen(came(0), went(50), *guest), None) == minute(0) + LONGEST


def test_one_side_without_a_booking_is_nothing() -> None:
    assert outcome(seen(came(0), went(15)), None) == NoOutcome("not_booked")


def test_who_never_left_was_there_for_four_hours_at_most() -> None:
    facts = seen(came(0), came(1, "mentee"), went(30, "mentee"))

    assert due(facts, None) == minute(0) + LONGEST
    assert outcome(facts, None) == HeldOutcome(minute(1), minute(240), 29.0)


def test_who_never_left_a_booked_meeting_was_there_to_its_end() -> None:
    facts = seen(came(0), came(1, "mentee"))

    assert outcome(facts, BOOKING) == HeldOutcome(minute(1), minute(60), 59.0)


def test_who_came_before_the_meeting_was_moved_has_not_missed_it() -> None:
    moved = BOOKING._replace(starts_at=minute(1440), ends_at=minute(1500))
    facts = seen(came(0), went(15))

    assert outcome(facts, moved) == NoOutcome("not_yet")
    assert due(facts, moved) == minute(1500) + SETTLE_DELAY


def test_what_was_seen_of_the_day_before_it_was_moved_does_not_count() -> None:
    moved = BOOKING._replace(starts_at=minute(1440), ends_at=minute(1500))
    facts = seen(came(0), went(15), came(1441))

    assert due(facts, moved) == minute(1441) + LONGEST
    assert outcome(facts, moved) == MissedOutcome(moved, "mentee")


def test_a_session_has_the_minutes_of_a_day_at_most() -> None:
    facts = seen(came(0), went(9_000), came(0, "mentee"), went(9_000, "mentee"))

    assert outcome(facts, None) == HeldOutcome(minute(0), minute(9_000), 1_440.0)


def test_what_is_recorded_late_is_waited_for() -> None:
    facts = seen(came(0), recorded=minute(10_000))

    assert due(facts, None) == minute(10_000) + SETTLE_DELAY
    assert facts.with_event(came(0), minute(20_000)) is facts
    assert facts.with_event(went(9), minute(20_000)).recorded - minute(20_000) == timedelta(0)
