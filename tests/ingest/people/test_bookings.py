from services.ingest.domain.meetings.bookings import Bookings
from tests.ingest.people.building import CALENDAR, MEETING, booked, event, events, known, minute


def scheduled(session: str, told: float = 0, **changes: object) -> object:
    data = {"session_id": session, "starts_at": minute(100), "ends_at": minute(160)}
    return event("session.scheduled", data, time=minute(told), **changes)


def bookings(*told: object, most: int = 10) -> Bookings:
    made = Bookings(most)
    for one in told:
        made.apply(one)  # type: ignore[arg-type]
    return made


def test_the_latest_revision_counts_in_any_order() -> None:
    later = event("session.cancelled", {"session_id": "s-1"}, time=minute(5))
    made = bookings(scheduled("s-1"), later, scheduled("s-1", told=3))

    found = made.booking("acme", "rel-1", "s-1")

    assert found is not None
    assert found.cancelled


def test_an_older_cancellation_does_not_cancel() -> None:
    older = event("session.cancelled", {"session_id": "s-1"}, time=minute(-5))
    made = bookings(scheduled("s-1"), older, event("session.cancelled", {"session_id": "s-9"}))

    found = made.booking("acme", "rel-1", "s-1")

    assert found is not None
    assert not found.cancelled


def test_eviction_removes_a_booking_and_all_of_its_keys() -> None:
    projection = known()
    (one,) = events(projection, booked(0, 60), CALENDAR)
    made = bookings(one, scheduled("s-2"), scheduled("s-3"), scheduled("s-2", told=1), scheduled("s-4"), most=2)

    assert made.booking("acme", "rel-1", "s-3") is None
    assert made.booking("acme", "rel-1", "s-2") is not None
    assert made.relationships_of("acme", "s-3") == frozenset()
    session = made.session("acme", CALENDAR.source, MEETING)
    assert made.relationships_of("acme", session) == frozenset()
    assert made.session_of_run("acme", CALENDAR.source, MEETING, minute(0)) == session


def test_a_session_of_a_group_is_of_all_its_relationships() -> None:
    made = bookings(scheduled("s-1"), scheduled("s-1", subject="rel-2"))

    assert made.relationships_of("acme", "s-1") == {"rel-1", "rel-2"}
    assert made.relationships_of("beta", "s-1") == frozenset()


def test_a_correlation_of_another_source_moves_nothing() -> None:
    own = bookings().session("acme", CALENDAR.source, MEETING)

    made = bookings(scheduled("s-1", correlationid=own))

    assert made.session("acme", CALENDAR.source, MEETING) == own


def test_an_erased_relationship_has_no_bookings_and_others_keep_theirs() -> None:
    made = bookings(scheduled("s-1"), scheduled("s-1", subject="rel-2"), event("relationship.erased", {}))

    assert made.booking("acme", "rel-1", "s-1") is None
    assert made.relationships_of("acme", "s-1") == {"rel-2"}


def test_a_cancellation_before_its_booking_still_cancels_it() -> None:
    off = event("session.cancelled", {"session_id": "s-1", "notice_hours": 1.0}, time=minute(40))
    made = bookings(off, scheduled("s-1"))

    found = made.booking("acme", "rel-1", "s-1")

    assert found is not None
    assert found.cancelled
    assert made.expected_booking("acme", "rel-1", "s-1", minute(100)) is None
    again = bookings(off, scheduled("s-1"), scheduled("s-1", told=50)).booking("acme", "rel-1", "s-1")
    assert again is not None
    assert not again.cancelled


def test_whoever_comes_on_time_to_five_minutes_comes_for_them() -> None:
    made = bookings(
        *(
            event("session.scheduled", {"session_id": session, "starts_at": minute(begin), "ends_at": minute(end)})
            for session, begin, end in (("short", 0, 5), ("next", 5, 60))
        )
    )
    found = [made.expected_booking("acme", "rel-1", "another run", minute(at)) for at in (0, 1)]

    assert [one and one.session for one in found] == ["short", "next"]


def test_of_several_bookings_of_one_time_every_process_expects_the_same() -> None:
    sessions = [f"s-{number}" for number in range(10, 40)]
    made = bookings(*map(scheduled, reversed(sessions)), most=100)

    expected = made.expected_booking("acme", "rel-1", "another run", minute(100))

    assert expected is not None
    assert expected.session == sessions[0]
