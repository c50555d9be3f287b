"""Unbounded input about one relationship or one tenant: its cost is bounded, and other tenants lose nothing."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

from schemas.events import OfRelationship
from schemas.topics import ROSTER
from services.ingest.domain.meetings.bookings import MAX_OF_RELATIONSHIP, Bookings
from services.ingest.domain.people.relationship_history import MAX_CHANGES, MAX_STARTS
from services.ingest.domain.people.roster import Roster
from services.ingest.flow.people.projected_topics import RosterRecord, load, roster_value
from tests.ingest.people.building import NOON, START, event, minute, pair

LONGEST = {"subject": "s" * 128, "program": "p" * 128, "source": '"' * 512}
"""Quotes are twice as long in JSON."""


def _ids() -> Iterator[str]:
    return (f"{number:06d}".ljust(128, '"') for number in count())


def largest_story() -> Iterator[OfRelationship]:
    """More than is kept of everything, and all of it as long as a token may say it."""
    ids = _ids()
    people = [f"{number:03d}".ljust(128, "x") for number in range(200)]
    everybody = {"mentors": people[:100], "mentees": people[100:], "coordinator": people[0]}
    for number in range(MAX_STARTS + 1):
        yield event("relationship.started", everybody, id=next(ids), time=minute(number), **LONGEST)
    for number in range(MAX_CHANGES + 1):
        leave = {"pause_id": f"{number:03d}".ljust(128, "l"), "reason": "leave", "until": minute(10**6)}
        yield event("relationship.paused", leave, id=next(ids), time=minute(number), **LONGEST)
    for number in range(201):
        target = {"source": LONGEST["source"], "id": next(ids), "type": "mentoring.relationship.started.v1"}
        data = {"by": "admin", "evidence": "admin", "time": minute(number), **target}
        yield event("event.retracted", data, id=next(ids), **LONGEST)


def test_the_largest_relationship_fits_into_a_record_and_keeps_its_latest_facts() -> None:
    roster = Roster()
    for one in largest_story():
        roster.apply(one)

    value = roster_value(2**62, roster.history("acme", LONGEST["subject"]))

    limit = int(ROSTER.options(1, 1)["configs"]["max.message.bytes"])
    assert len(value) + 1_000 < limit
    assert load(RosterRecord, value).history.facts[-1][0].time == minute(MAX_CHANGES)


def test_a_relationship_with_unbounded_events_has_a_bounded_history() -> None:
    roster = Roster()
    roster.apply(pair())

    for number in range(3_000):
        roster.apply(event("relationship.resumed", {}, time=minute(number)))

    assert len(roster.history("acme", "rel-1").facts) <= 2 * (MAX_STARTS + MAX_CHANGES)
    assert roster.relationship("acme", "rel-1") is not None


def test_who_is_in_none_of_the_starts_that_are_kept_is_found_no_more_and_neither_after_an_erasure() -> None:
    roster = Roster()
    for number in range(2 * (MAX_STARTS + MAX_CHANGES) + 1):
        people = {"mentors": [f"p-{number}"], "mentees": ["p-ben"]}
        roster.apply(event("relationship.started", people, time=minute(number)))

    assert roster.all_relationships("acme", "p-0") == ()
    assert roster.all_relationships("acme", "p-ben") == ("rel-1",)
    roster.erase("acme", "rel-1")
    assert roster.all_relationships("acme", "p-ben") == ()


def booked(number: int, **names: object) -> OfRelationship:
    start = NOON + timedelta(hours=number)
    times = {"starts_at": start, "ends_at": start + timedelta(hours=1)}
    return event("session.scheduled", {"session_id": f"s-{number}", **times}, time=START, **names)


def test_unbounded_bookings_of_one_tenant_evict_none_of_another() -> None:
    bookings = Bookings(most=50)
    for number in range(5):
        bookings.apply(booked(number, tenant="beta"))

    for number in range(200):
        bookings.apply(booked(number, subject=f"rel-{number}"))

    assert len(bookings.sessions("beta", "rel-1")) == 5
    assert sum(len(bookings.sessions("acme", f"rel-{number}")) for number in range(200)) == 45


def test_of_one_relationship_the_sessions_that_end_last_are_known() -> None:
    bookings = Bookings()
    for number in range(MAX_OF_RELATIONSHIP + 10):
        bookings.apply(booked(number))

    known = {one.booking.session for one in bookings.sessions("acme", "rel-1")}

    assert known == {f"s-{number}" for number in range(10, MAX_OF_RELATIONSHIP + 10)}
    assert not bookings.relationships_of("acme", "s-0")
