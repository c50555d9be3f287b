from datetime import timedelta

from schemas import payloads as p
from schemas.events import OfRelationship
from services.ingest.domain.meetings.attendance import LONGEST, SETTLE_DELAY
from services.ingest.domain.meetings.attendance_fold import ATTENDANCE, MAX_RUNS, AttendanceFold, SessionKey
from services.ingest.domain.scope import Scope
from tests.ingest.people.building import admitted, event, known, minute

SCOPE = Scope("acme", frozenset({ATTENDANCE}), internal=True)
DAY = timedelta(days=1)


def came(at: float, role: str = "mentor", **changes: object) -> OfRelationship:
    return event("session.joined", {"session_id": "s-1", "role": role}, time=minute(at), **changes)


def went(at: float, role: str = "mentor", **changes: object) -> OfRelationship:
    return event("session.left", {"session_id": "s-1", "role": role}, time=minute(at), **changes)


def scheduled(begin: float, end: float, **changes: object) -> OfRelationship:
    data = {"session_id": "s-1", "starts_at": minute(begin), "ends_at": minute(end)}
    return event("session.scheduled", data, time=minute(-600), **changes)


BOTH = (came(0), came(1, "mentee"), went(50), went(51, "mentee"))


def fold(*told: OfRelationship, said: frozenset[str] = frozenset()) -> AttendanceFold:
    """Build the fold of one partition as the worker does: bookings are projected as well."""
    projection = known()
    made = AttendanceFold(projection.bookings.expected_booking, said)
    for one in told:
        projection.apply(one)
        made.apply(one)
    return made


def concluded(of: AttendanceFold, at: float) -> list[OfRelationship]:
    return [admitted(raw, SCOPE) for raw in of.advance(minute(at))]


def test_both_have_left_and_it_was_held() -> None:
    made = fold(*BOTH)

    assert concluded(made, 51) == []
    (one,) = concluded(made, 51 + SETTLE_DELAY / timedelta(minutes=1))

    assert one.type == "mentoring.session.held.v1"
    assert (one.source, one.subject, one.program, one.partitionkey) == (ATTENDANCE, "rel-1", "leaders", "acme/rel-1")
    assert (one.data.session_id, one.data.started_at, one.data.minutes) == ("s-1", minute(1), 49.0)
    assert (one.time, one.data.by, one.data.evidence) == (minute(51), "system", "observed")


def test_there_is_one_outcome_and_later_events_are_reported_as_late() -> None:
    made = fold(*BOTH)
    assert len(concluded(made, 60)) == 1

    assert made.apply(came(70)) == SessionKey("acme", "rel-1", "s-1")
    assert made.apply(went(90)) == SessionKey("acme", "rel-1", "s-1")
    assert made.apply(BOTH[0]) is None
    assert concluded(made, 900) == []


def test_a_repeat_elsewhere_is_the_same_event() -> None:
    (one,), (other,) = concluded(fold(*BOTH), 60), concluded(fold(*reversed(BOTH)), 9_000)

    assert one == other


def test_a_booked_meeting_to_which_one_side_came_is_missed() -> None:
    made = fold(scheduled(0, 60), came(2), went(20))

    assert concluded(made, 60) == []
    (one,) = concluded(made, 61)

    assert one.type == "mentoring.session.missed.v1"
    assert (one.data.session_id, one.data.absent, one.time) == ("s-1", "mentee", minute(0))


def test_a_cancelled_meeting_is_not_missed_and_may_still_be_held() -> None:
    cancellation = event("session.cancelled", {"session_id": "s-1"}, time=minute(-60))

    assert concluded(fold(scheduled(0, 60), cancellation, came(2), went(20)), 900) == []
    assert len(concluded(fold(scheduled(0, 60), cancellation, *BOTH), 900)) == 1


def test_a_booking_of_another_tool_is_missed_under_its_own_session() -> None:
    data = {"session_id": "s-calendar", "starts_at": minute(0), "ends_at": minute(60)}
    made = fold(event("session.scheduled", data, time=minute(-600)), came(2), went(20))

    (one,) = concluded(made, 61)

    assert one.type == "mentoring.session.missed.v1"
    assert one.data.session_id == "s-calendar"


def test_nobody_leaves_and_it_is_over_after_four_hours() -> None:
    made = fold(BOTH[0], BOTH[1])

    assert concluded(made, 239) == []
    (one,) = concluded(made, LONGEST / timedelta(minutes=1))

    assert one.type == "mentoring.session.held.v1"
    assert one.data.minutes == 239.0


def test_the_second_of_a_side_is_awaited() -> None:
    made = fold(*BOTH[:3], came(2, "mentee", correlationid="other"), went(51, "mentee", correlationid=None))

    assert concluded(made, 100) == []
    assert len(concluded(made, 240)) == 1


def test_what_is_booked_anew_while_they_meet_moves_what_is_due() -> None:
    projection = known()
    made = AttendanceFold(projection.bookings.expected_booking)
    for one in (scheduled(0, 60), came(2), went(20)):
        projection.apply(one)
        made.apply(one)
    data = {"session_id": "s-1", "starts_at": minute(30), "ends_at": minute(90)}
    projection.apply(event("session.rescheduled", data, time=minute(10)))

    assert concluded(made, 61) == []
    assert [one.type for one in concluded(made, 91)] == ["mentoring.session.missed.v1"]


def test_an_outcome_on_the_log_is_not_emitted_again() -> None:
    (one,) = concluded(fold(*BOTH), 60)
    assert one.type == "mentoring.session.held.v1"

    assert concluded(fold(*BOTH, one), 60) == []
    assert concluded(fold(*BOTH, said=frozenset({one.id})), 60) == []


def test_outcomes_of_other_sources_do_not_count() -> None:
    other = event("session.held", {"session_id": "s-1", "started_at": minute(0)}, time=minute(60))

    assert len(concluded(fold(*BOTH, other), 61)) == 1


def test_an_erased_relationship_has_no_outcome() -> None:
    assert concluded(fold(*BOTH, event("relationship.erased", {})), 900) == []


def test_sessions_of_the_past_are_forgotten() -> None:
    made = fold(*BOTH)
    concluded(made, 60)

    concluded(made, 51 + 2 * 1440)

    assert made.apply(came(70)) is None


def test_the_same_session_id_in_two_relationships_is_two_sessions() -> None:
    made = fold(*BOTH, *(one.model_copy(update={"subject": "rel-2"}) for one in BOTH))

    found = concluded(made, 60)

    assert sorted(one.subject for one in found) == ["rel-1", "rel-2"]
    assert len({one.id for one in found}) == 2


def test_an_outcome_of_what_is_forgotten_changes_nothing() -> None:
    (one,) = concluded(fold(*BOTH), 60)

    assert concluded(fold(one), 900) == []


def other_run(one: OfRelationship) -> OfRelationship:
    """The same in another run of the meeting, which is another session."""
    return one.model_copy(update={"id": f"{one.id}-2", "data": one.data.model_copy(update={"session_id": "s-2"})})


def test_who_came_to_another_run_of_what_was_booked_has_not_missed_it() -> None:
    runs = (came(2), went(3), *(other_run(one) for one in (came(5), came(6, "mentee"), went(50), went(50, "mentee"))))
    made = fold(scheduled(0, 60), *runs)

    (one,) = concluded(made, 600)

    assert isinstance(one.data, p.SessionHeld)
    assert (one.data.session_id, one.data.minutes) == ("s-1", 44.0)
    assert list(made.undecided()) == []


def test_runs_of_what_was_booked_are_one_session_in_any_order_and_also_for_who_reads_it_again() -> None:
    first = (came(0), came(1, "mentee"), went(20), went(20, "mentee"))
    second = tuple(other_run(one) for one in (came(25), came(26, "mentee"), went(70), went(70, "mentee")))

    (one,) = concluded(fold(scheduled(0, 60), *first, *second), 600)
    (other,) = concluded(fold(scheduled(0, 60), *second, *first), 600)
    again = fold(scheduled(0, 60), *first, *second, one)

    assert one == other
    assert isinstance(one.data, p.SessionHeld)
    assert (one.data.minutes, one.time) == (63.0, minute(70))
    assert concluded(again, 600) == []


def test_runs_without_a_booking_are_separate_sessions() -> None:
    second = tuple(other_run(one) for one in (came(65), came(66, "mentee"), went(90), went(90, "mentee")))

    assert len(concluded(fold(*BOTH, *second), 600)) == len({"one", "the other"})


def test_a_side_that_came_to_no_run_has_one_no_show() -> None:
    made = fold(scheduled(0, 60), came(2), went(3), *(other_run(one) for one in (came(5), went(50))))

    found = concluded(made, 600)

    assert {one.id for one in found} == {found[0].id}
    assert isinstance(found[0].data, p.SessionMissed)
    assert (found[0].data.session_id, found[0].data.absent) == ("s-1", "mentee")


def test_what_is_erased_is_of_no_run_any_more() -> None:
    made = fold(scheduled(0, 60), came(2), went(3), other_run(came(6, "mentee")))
    made.apply(event("relationship.erased", {"by": "admin", "evidence": "admin"}, time=minute(30)))

    assert concluded(made, 600) == []


def test_of_more_runs_than_anybody_begins_each_is_concluded_by_itself() -> None:
    runs = [
        one.model_copy(
            update={"id": f"{one.id}-{n}", "data": one.data.model_copy(update={"session_id": f"s-{n}"})},
        )
        for n in range(MAX_RUNS + 1)
        for one in (came(1), went(3))
    ]
    made = fold(scheduled(0, 60), *runs)

    assert len(concluded(made, 600)) == MAX_RUNS + 1
