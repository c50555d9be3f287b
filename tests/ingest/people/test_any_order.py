"""Invariants of a meeting for activities in any order, with repetitions, and wherever a process stops."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from itertools import permutations
from sys import getsizeof

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.directory import Participant
from schemas.events import OfRelationship
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Ended,
    Joined,
    Left,
    Meeting,
    MeetingMoved,
    Person,
)
from services.ingest.domain.meetings.attendance_fold import AttendanceFold
from services.ingest.domain.meetings.revisions import GUEST_BYTES, MAX_REVISIONS, REVISION_BYTES, Guests, Revisions
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Ignored, Rejected
from tests.ingest.people.building import (
    ADA,
    BEN,
    CALENDAR,
    CAT,
    MEETING,
    NATIVE,
    STRANGER,
    ZOOM,
    admitted,
    booked,
    cancelled,
    ended,
    event,
    joined,
    known,
    left,
    minute,
    pair,
    participant,
    say,
)
from tests.ingest.people.test_attendance_fold import SCOPE

END = minute(100_000)
OTHER_STRANGER = Person(address="other@example.org")
DI = Person(address="di@example.com")

visits = st.builds(
    lambda person, verb, at: verb(person, at),
    st.sampled_from([ADA, BEN, Person(), STRANGER]),
    st.sampled_from([joined, left]),
    st.integers(0, 90),
)
meetings = st.lists(st.one_of(visits, st.builds(ended, st.integers(30, 95))), min_size=1, max_size=9, unique=True)


def outcomes(said: Sequence[Activity], *, is_booked: bool) -> list[OfRelationship]:
    """Everything is reported and recorded at one instant, then time passes."""
    projection = known()
    if is_booked:
        say(projection, booked(0, 60))
    fold = AttendanceFold(projection.bookings.expected_booking)
    told = [one for statement in said for one in _told(say(projection, statement))]
    for one in told:
        fold.apply(one.model_copy(update={"recordedtime": END}))
    return [admitted(raw, SCOPE) for raw in fold.advance(END + timedelta(hours=12))]


def _told(result: list[OfRelationship] | Ignored | Rejected) -> list[OfRelationship]:
    assert not isinstance(result, Rejected), result
    return result if isinstance(result, list) else []


@given(st.data(), meetings, st.booleans())
def test_order_and_repetition_make_no_difference(data: st.DataObject, said: list[Activity], is_booked: bool) -> None:  # noqa: FBT001
    other = data.draw(st.permutations([*said, *data.draw(st.lists(st.sampled_from(said), max_size=4))]))

    expected, found = (outcomes(one, is_booked=is_booked) for one in (said, other))

    assert found == expected
    assert len(found) <= 1


@given(meetings, st.sampled_from([Person(), STRANGER]), st.integers(0, 90))
def test_no_show_is_not_emitted_if_an_unidentified_person_was_there(
    said: list[Activity], guest: Person, at: int
) -> None:
    found = outcomes([joined(guest, at), *said], is_booked=True)

    assert [one.type for one in found] in ([], ["mentoring.session.held.v1"])


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 9)), max_size=6))
def test_both_who_drop_out_and_are_back_have_one_outcome_of_all_their_time(stays: list[tuple[int, int]]) -> None:
    """Each stays for some minutes and is away for less than ten."""
    at = 0
    told: list[Activity] = []
    for lasts, away in [*stays, (20, 0)]:
        told += [joined(ADA, at), joined(BEN, at), left(BEN, at + lasts), left(ADA, at + lasts)]
        at += lasts + away
    projection = known()
    say(projection, booked(0, 60))
    fold = AttendanceFold(projection.bookings.expected_booking)
    log = sorted((one for said in told for one in _told(say(projection, said))), key=lambda one: one.time)

    found = []
    for one in log:
        # On the wall's clock the time comes before the event.
        found += [admitted(raw, SCOPE) for raw in fold.advance(one.time)]
        fold.apply(one.model_copy(update={"recordedtime": one.time}))
    found += [admitted(raw, SCOPE) for raw in fold.advance(END)]

    (held,) = found
    assert held.type == "mentoring.session.held.v1"
    assert getattr(held.data, "minutes", None) == 20.0 + sum(lasts for lasts, _ in stays)


company = st.builds(
    lambda person, verb, at: verb(person, at),
    st.sampled_from([ADA, BEN, CAT, DI, STRANGER]),
    st.sampled_from([joined, left]),
    st.integers(-10, 90),
)
in_company = st.lists(st.one_of(company, st.builds(ended, st.integers(30, 95))), min_size=1, max_size=9, unique=True)
in_calendars = st.sampled_from(
    [
        [booked(0, 60, ADA, BEN)],
        [booked(0, 60, ADA, BEN), booked(0, 60, ADA, CAT, key="of two", meeting=Meeting("2"))],
        [booked(0, 60, ADA, BEN, CAT)],
    ]
)


@given(st.data(), in_company, in_calendars, st.booleans())
def test_other_participants_lead_to_the_same_events_in_any_order(
    data: st.DataObject,
    said: list[Activity],
    in_calendar: list[Activity],
    is_cat_mentored: bool,  # noqa: FBT001
) -> None:
    """With a mentor of two pairs and a person without a pair, at times that a calendar has booked."""
    other = data.draw(st.permutations([*said, *data.draw(st.lists(st.sampled_from(said), max_size=4))]))

    found = []
    for order in (said, other):
        pairs = [pair(), *([pair("ada", "cat", subject="rel-2")] if is_cat_mentored else [])]
        projection = known(*pairs, *map(participant, ("ada", "ben", "cat", "di")))
        for one in in_calendar:
            say(projection, one, CALENDAR)
        fold = AttendanceFold(projection.bookings.expected_booking)
        for one in order:
            told = say(projection, one)
            assert not isinstance(told, Rejected) or told.reason == "unresolved"
            for visit in told if isinstance(told, list) else []:
                fold.apply(visit.model_copy(update={"recordedtime": END}))
        found.append([admitted(raw, SCOPE) for raw in fold.advance(END + timedelta(hours=12))])

    assert found[0] == found[1]


def test_somebody_with_two_devices_of_which_one_leaves_is_there_until_the_end() -> None:
    said: list[Activity] = [joined(ADA, 0), joined(ADA, 1), left(ADA, 1), joined(BEN, 0), ended(38)]

    found = [outcomes(one, is_booked=True) for one in permutations(said)]

    assert all(one == found[0] for one in found)
    assert [getattr(one.data, "minutes", None) for one in found[0]] == [38.0]


moves = st.one_of(
    st.builds(lambda at: MeetingMoved("", END, NATIVE, MEETING, minute(at)), st.integers(60, 90)),
    st.builds(lambda long: MeetingMoved("", END, NATIVE, MEETING, lasts=minute(long) - minute(0)), st.integers(30, 90)),
    st.builds(lambda at, who: booked(at, at + 60, who, BEN), st.integers(60, 90), st.sampled_from([ADA, STRANGER])),
)
rethought = st.one_of(
    st.builds(lambda at: booked(at, at + 60, ADA, BEN), st.integers(60, 90)),
    st.just(Cancelled("", END, NATIVE, MEETING)),
)


@given(st.data(), st.lists(moves, max_size=5) | st.lists(rethought, max_size=5))
def test_of_a_meeting_that_is_booked_and_changed_the_same_is_known_in_any_order(
    data: st.DataObject, changed: list[Activity]
) -> None:
    said = [replace(one, key=f"{at}", time=minute(at - 500)) for at, one in enumerate([booked(0, 60), *changed])]

    found = []
    for order in (said, data.draw(st.permutations(said)), data.draw(st.permutations([*said, *said]))):
        projection = known()
        for one in order:
            assert not isinstance(say(projection, one), Rejected)
        (session,) = projection.bookings.sessions("acme", "rel-1")
        found.append((session.booking.cancelled, not session.booking.cancelled and session.booking[1:3]))

    assert found[0] == found[1] == found[2]


SHARED = Meeting("every copy")
in_copies = st.one_of(
    st.builds(
        lambda at, whose: booked(at, at + 60, meeting=Meeting(whose), copy_of=SHARED),
        st.sampled_from([0, 15]),
        st.sampled_from("ab"),
    ),
    st.builds(
        lambda whose, who: Cancelled("", END, NATIVE, Meeting(whose), who, copy_of=SHARED),
        st.sampled_from("ab"),
        st.sampled_from([(), (ADA, BEN)]),
    ),
    st.builds(lambda whose: Cancelled("", END, NATIVE, Meeting(whose)), st.sampled_from("ab")),
)


@given(st.data(), st.lists(in_copies, max_size=6))
def test_of_a_meeting_in_two_calendars_the_same_is_known_in_any_order(
    data: st.DataObject, changed: list[Activity]
) -> None:
    """Of an entry that was removed a calendar tells nothing but its own id."""
    first: list[Activity] = [booked(0, 60, meeting=Meeting(whose), copy_of=SHARED) for whose in "ab"]
    said = [replace(one, key=f"{at}", time=minute(at - 500)) for at, one in enumerate([*first, *changed])]

    found = []
    for order in (said, data.draw(st.permutations(said)), data.draw(st.permutations([*said, *said]))):
        projection = known()
        written: dict[str, OfRelationship] = {}
        for one in order:
            for each in _told(say(projection, one)):
                assert written.setdefault(each.id, each) == each
        (session,) = projection.bookings.sessions("acme", "rel-1")
        found.append((session.booking.cancelled, not session.booking.cancelled and session.booking[1:3]))

    assert found[0] == found[1] == found[2]


lists_of_guests = st.builds(
    lambda who, declined: booked(0, 60, *who, declined=tuple(declined)),
    st.lists(st.sampled_from([ADA, BEN, CAT, STRANGER, OTHER_STRANGER, Person()]), min_size=1, unique=True),
    st.sampled_from([[], [BEN], [ADA]]),
)


@given(st.data(), st.lists(lists_of_guests, min_size=1, max_size=4))
def test_of_a_meeting_whose_guests_change_the_same_is_known_in_any_order(
    data: st.DataObject, versions: list[Booked]
) -> None:
    first = booked(0, 60, *data.draw(st.sampled_from([(ADA, BEN), (ADA, BEN, CAT), (ADA, BEN, STRANGER)])))
    said = [replace(one, key=f"{at}", time=minute(at - 500)) for at, one in enumerate([first, *versions])]

    found = []
    for order in (said, data.draw(st.permutations(said)), data.draw(st.permutations([*said, *said]))):
        projection = known(pair(), pair("ada", "cat", subject="rel-2"), *map(participant, ("ada", "ben", "cat")))
        for one in order:
            assert not isinstance(told := say(projection, one), Rejected) or told.reason == "unresolved"
        booked_for = (projection.bookings.sessions("acme", relationship) for relationship in ("rel-1", "rel-2"))
        found.append([[session.booking.cancelled for session in sessions] for sessions in booked_for])

    is_on = [[not all(cancelled) for cancelled in one] for one in found]
    assert is_on[0] == is_on[1] == is_on[2]


def test_a_change_after_the_end_of_a_meeting_does_not_bring_it_back_unless_it_says_so() -> None:
    projection = known()
    say(projection, booked(0, 60))
    say(projection, cancelled(-90))
    later = MeetingMoved("moved", minute(-80), NATIVE, MEETING, minute(30))

    assert say(projection, later) == Ignored("unchanged")
    assert isinstance(say(projection, replace(later, key="back", time=minute(-70), is_back=True)), list)


@pytest.mark.parametrize(
    "change",
    [
        cancelled(-80),
        MeetingMoved("moved", minute(-80), NATIVE, MEETING, minute(30)),
        replace(booked(30, 90), key="again", time=minute(-80)),
        replace(booked(30, 90, ADA, STRANGER), key="declined", time=minute(-80), declined=(BEN,)),
    ],
)
@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_partly_written_booking_is_emitted_again_with_the_same_events(change: Activity, written: int) -> None:
    """The change arrives first; then the broker fails, or the process ends, between the events of the booking."""
    first = replace(booked(0, 60), time=minute(-100))
    whole = known()
    whole.track(change, ZOOM)
    expected = resolve(first, ZOOM, whole)
    assert isinstance(expected, Resolved)
    assert len(expected.events) == 2

    projection = known()
    projection.track(change, ZOOM)
    for raw in expected.events[:written]:
        projection.apply(admitted(raw, ZOOM.scope))
    projection.track(first, ZOOM)
    again = resolve(first, ZOOM, projection)

    missing = list(expected.events[written:])
    assert (list(again.events) if isinstance(again, Resolved) else []) == missing


def test_of_too_many_meetings_and_changes_the_oldest_are_forgotten() -> None:
    revisions = Revisions(most=1)
    moved = [MeetingMoved(f"{at}", minute(at), NATIVE, MEETING, minute(at)) for at in range(MAX_REVISIONS + 1)]
    for one in (*moved, moved[-1]):
        revisions.apply("tool", one)

    assert [one.activity for one in revisions.after("tool", MEETING, minute(-1))] == moved[1:]
    revisions.apply("tool", replace(moved[0], meeting=Meeting("other")))
    revisions.apply("tool", booked(60, 0, meeting=Meeting("third")))
    assert not revisions.after("tool", MEETING, minute(-1))
    assert revisions.after("tool", Meeting("other"), minute(-1))


def test_meetings_of_very_many_people_are_forgotten_sooner() -> None:
    revisions = Revisions(most_bytes=2 * (REVISION_BYTES + 100 * GUEST_BYTES))
    crowd = Guests(frozenset(f"p-{number}" for number in range(100)))
    for at in range(3):
        revisions.apply("tool", booked(0, 60, meeting=Meeting(f"all-{at}")), crowd)

    held = [bool(revisions.after("tool", Meeting(f"all-{at}"), minute(-1_000_000))) for at in range(3)]

    assert held == [False, True, True]


def test_what_strangers_take_of_memory_is_counted() -> None:
    revisions, count = Revisions(), 300
    projection = Projection()
    crowd = replace(booked(0, 60), people=tuple(Person(address=f"s{one}@example.org") for one in range(count)))
    revisions.apply("tool", crowd, projection.guests(crowd, ZOOM))
    (one,) = revisions.for_meetings("tool", crowd.meeting)

    measured = getsizeof(one.guests.strangers) + sum(map(getsizeof, one.guests.strangers))

    assert len(one.guests.strangers) == count
    assert one.size >= measured


def log() -> list[OfRelationship]:
    """Sessions of several relationships, interleaved as they would be recorded, with an hour between them."""
    found: list[OfRelationship] = []
    for number in range(6):
        for role, verb, at in (
            ("mentor", "joined", 0),
            ("mentee", "joined", 2),
            ("mentor", "left", 40),
            ("mentee", "left", 41),
        ):
            if number % 3 == 2 and role == "mentee":
                continue
            data = {"session_id": f"s-{number}", "role": role}
            found.append(event(f"session.{verb}", data, subject=f"rel-{number % 2}", time=minute(60 * number + at)))
        booking = {"session_id": f"s-{number}", "starts_at": minute(60 * number), "ends_at": minute(60 * number + 30)}
        found.append(event("session.scheduled", booking, subject=f"rel-{number % 2}", time=minute(-60 + number)))
    return sorted(found, key=lambda one: one.time)


LOG = log()


def run(fold: AttendanceFold, projection: Projection, told: Sequence[OfRelationship]) -> list[OfRelationship]:
    found = []
    for one in told:
        projection.apply(one)
        fold.apply(one)
        found += [admitted(raw, SCOPE) for raw in fold.advance(one.recordedtime)]
    return found


def test_the_whole_log_has_an_outcome_for_each_session() -> None:
    projection = known()
    fold = AttendanceFold(projection.bookings.expected_booking)

    found = run(fold, projection, LOG) + [admitted(raw, SCOPE) for raw in fold.advance(END)]

    assert sorted(one.type.split(".")[2] for one in found) == ["held"] * 4 + ["missed"] * 2


@given(st.lists(st.integers(0, len(LOG)), min_size=1, max_size=4).map(sorted))
def test_a_restart_at_any_point_gives_the_same_outcomes(stops: list[int]) -> None:
    projection = known()
    fold = AttendanceFold(projection.bookings.expected_booking)
    whole = run(fold, projection, LOG) + [admitted(raw, SCOPE) for raw in fold.advance(END)]

    found, begin = [], 0
    for stop in [*stops, len(LOG)]:
        projection = known()
        fold = AttendanceFold(projection.bookings.expected_booking)
        run(fold, projection, LOG[:begin])
        found += run(fold, projection, LOG[begin:stop])
        begin = stop
    found += [admitted(raw, SCOPE) for raw in fold.advance(END)]

    assert {one.id: one for one in found} == {one.id: one for one in whole}


people = st.builds(
    Person,
    id=st.sampled_from(["", "UADA", "UBEN"]),
    address=st.sampled_from(["", "ada@example.com", "BEN@example.com", "cat@example.com"]),
    participant=st.sampled_from(["", "p-ada", "p-ben", "p-eve"]),
)
instants = st.datetimes(timezones=st.just(UTC))
texts = st.text(max_size=20)
statements = st.one_of(
    st.builds(lambda who, at: Joined("k", at, NATIVE, Meeting("m"), who), people, instants),
    st.builds(lambda who, at: Left("k2", at, NATIVE, Meeting("m"), who), people, instants),
    st.builds(lambda at: Ended("k3", at, NATIVE, Meeting("m")), instants),
    st.builds(
        lambda key, who, at, end: Booked(key, at, NATIVE, Meeting("m"), at, end, tuple(who)),
        texts,
        st.lists(people, max_size=4),
        instants,
        instants,
    ),
)


@given(st.lists(statements, max_size=8), st.sampled_from(["acme", "beta"]))
def test_no_tenant_ever_sees_the_people_of_another(said: list[Activity], tenant: str) -> None:
    """Two tenants know the same people under the same ids and addresses, and each has a pair of its own."""
    projection = known(*(one for t in ("acme", "beta") for one in _everybody(t)))
    connection_scope = ConnectionScope(tenant, None, "slack", "connection")

    for one in said:
        resolved = resolve(one, connection_scope, projection)
        projection.track(one, connection_scope)
        for raw in resolved.events if isinstance(resolved, Resolved) else ():
            assert (raw["tenant"], raw["subject"], raw["source"]) == (tenant, f"rel-{tenant}", connection_scope.source)


def _everybody(tenant: str) -> list[OfRelationship | Participant]:
    return [
        pair(tenant=tenant, subject=f"rel-{tenant}"),
        *(participant(one, tenant=tenant) for one in ("ada", "ben", "cat")),
    ]


def test_the_projection_of_one_tenant_does_not_affect_another() -> None:
    projection = known()
    beta = ConnectionScope("beta", None, "zoom", "zoom_europe")

    assert say(projection, booked(0, 60), beta) == Ignored("strangers")
    assert say(projection, joined(ADA, 0), beta) == Ignored("strangers")
    assert projection.roster.relationship("beta", "rel-1") is None
    assert projection.roster.registered("beta", "p-ada") is None


@pytest.mark.parametrize("name", ["ada", "ben"])
def test_two_tenants_may_have_people_of_the_same_name(name: str) -> None:
    projection = known(*(one for t in ("acme", "beta") for one in _everybody(t)))

    projection.forget("beta", f"p-{name}")

    assert isinstance(say(projection, booked(0, 60)), list)
    assert projection.roster.participant("acme", "zoom", Person(address=f"{name}@example.com")) == f"p-{name}"
