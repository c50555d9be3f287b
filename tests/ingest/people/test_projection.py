"""The projection of random logs, and its serialization."""

from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.events import OfRelationship
from services.ingest.domain.meetings.bookings import Bookings
from services.ingest.domain.people.relationship_history import MAX_CHANGES, MAX_STARTS, bounded_history
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.scope import RESERVED
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.people.projected_topics import (
    MAX_SESSIONS,
    RETENTION_AFTER_END,
    BookingsRecord,
    RosterRecord,
    dump,
    load,
    select_retained,
)
from tests.ingest.people.building import NOON, START, event, minute, pair

KINDS = ("started", "ended", "paused", "resumed", "retracted", "scheduled", "rescheduled", "cancelled", "erased")
Steps = list[tuple[str, int, int]]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 2)), max_size=25)


def told(kind: str, number: int, relationship: int) -> OfRelationship:
    """One of a few events, so that repeats, contradictions and retractions meet."""
    names = {"id": f"{kind}-{number}", "subject": f"rel-{relationship}", "time": START + timedelta(hours=number)}
    match kind:
        case "started":
            people = {"mentors": [f"p-{number}"], "mentees": ["p-ben", f"p-x{number}"]}
            return event("relationship.started", people, **names)
        case "ended":
            data = {"planned": False, "reason_code": "moved", "initiated_by": "admin"}
            return event("relationship.ended", data, **names)
        case "paused":
            until = (START + timedelta(days=number)).isoformat() if number % 2 else None
            return event("relationship.paused", {"pause_id": f"pause-{number}", "until": until, "reason": "l"}, **names)
        case "resumed":
            return event("relationship.resumed", {"pause_id": f"pause-{number}" if number else None}, **names)
        case "retracted":
            target = told(("started", "ended", "paused", "resumed")[number % 4], number, relationship)
            data = {"source": target.source, "id": target.id, "type": target.type, "time": target.time}
            return event("event.retracted", data, **names)
        case "scheduled" | "rescheduled":
            times = {"starts_at": minute(number * 60), "ends_at": minute(number * 60 + 30)}
            from_tool = {"source": f"{RESERVED}acme:zoom:z", "correlationid": f"own{number}.series"}
            return event(f"session.{kind}", {"session_id": f"s-{number % 3}", **times}, **names | from_tool)
        case "cancelled":
            return event("session.cancelled", {"session_id": f"s-{number % 3}"}, **names)
        case _:
            return event("relationship.erased", {}, **names)


def projected(whole: Projection, reader: Projection) -> None:
    """As the projector writes it and a follower reads it."""
    roster, bookings = whole.roster, whole.bookings
    for number in range(3):
        name = f"rel-{number}"
        erased = roster.is_erased("acme", name)
        record = RosterRecord(position=1, erased=erased, history=bounded_history(roster.history("acme", name)))
        told = load(RosterRecord, dump(record))
        reader.restore_history("acme", name, None if told.erased else told.history)
        sessions = BookingsRecord(position=1, sessions=select_retained(bookings.sessions("acme", name), NOON))
        reader.restore_bookings("acme", name, load(BookingsRecord, dump(sessions)).sessions)


def answers(projection: Projection) -> object:
    roster, bookings = projection.roster, projection.bookings
    names = [f"rel-{number}" for number in range(3)]
    moments = [START + timedelta(hours=hours) for hours in (-1, 0, 1, 3, 9)]
    return (
        [roster.relationship("acme", one, at) for one in names for at in moments],
        [roster.pauses("acme", one) for one in names],
        [roster.is_erased("acme", one) for one in names],
        [roster.all_relationships("acme", person) for person in ("p-ben", *(f"p-{number}" for number in range(6)))],
        [bookings.sessions("acme", one) for one in names],
        [bookings.relationships_of("acme", f"s-{number}") for number in range(3)],
    )


@given(STEPS)
def test_the_projected_topics_give_the_same_state_as_the_log(steps: Steps) -> None:
    whole = Projection()
    for step in steps:
        whole.apply(told(*step))

    reader = Projection()
    projected(whole, reader)

    assert answers(reader) == answers(whole)


@given(STEPS, STEPS)
@example([("scheduled", 1, 1)], [("erased", 0, 1), ("scheduled", 4, 0)])
def test_reading_the_projection_over_a_part_of_the_log_gives_the_same_state(heard: Steps, later: Steps) -> None:
    """A worker hears at once what it wrote itself; the projection comes afterwards, or before."""
    whole = Projection()
    for step in [*heard, *later]:
        whole.apply(told(*step))

    reader = Projection()
    for step in heard:
        reader.apply(told(*step))
    projected(whole, reader)

    assert answers(reader) == answers(whole)


def test_a_relationship_over_decades_keeps_a_bounded_record() -> None:
    roster = Roster()
    for number in range(MAX_STARTS + 5):
        roster.apply(event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben"]}, id=f"start-{number}"))
    for number in range(MAX_CHANGES + 5):
        roster.apply(event("relationship.resumed", {}, id=f"resumed-{number}"))

    kept = [key.id for key, _ in bounded_history(roster.history("acme", "rel-1")).facts]

    assert len(kept) == MAX_STARTS + MAX_CHANGES
    assert (kept[0], kept[-1]) == ("start-5", f"resumed-{MAX_CHANGES + 4}")


def test_sessions_that_are_long_over_are_not_kept() -> None:
    bookings = Bookings()
    for day in range(200):
        start = NOON + timedelta(days=day)
        times = {"starts_at": start, "ends_at": start + timedelta(hours=1)}
        bookings.apply(event("session.scheduled", {"session_id": f"s-{day}", **times}, id=f"e{day}"))
    now = NOON + timedelta(days=60)

    kept = [one.booking.session for one in select_retained(bookings.sessions("acme", "rel-1"), now)]

    assert len(kept) == MAX_SESSIONS
    assert kept[-1] == "s-199"
    early = [one.booking for one in select_retained(bookings.sessions("acme", "rel-1"), NOON + timedelta(days=180))]
    assert min(one.ends_at for one in early) >= NOON + timedelta(days=180) - RETENTION_AFTER_END


def test_a_pair_is_kept_by_the_ids_of_its_people() -> None:
    roster = Roster()
    roster.apply(pair())

    record = dump(RosterRecord(position=7, history=roster.history("acme", "rel-1")))

    assert load(RosterRecord, record).history == roster.history("acme", "rel-1")
    assert len(record) < 400
