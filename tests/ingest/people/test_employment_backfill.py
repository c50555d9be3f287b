"""Changes of employment apply to a pair whether they precede its start on the log or follow it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.directory import Participant
from schemas.events import OfRelationship
from services.ingest.domain.activity import Employed
from services.ingest.domain.admission import Clock
from services.ingest.domain.people.fan_out import backfill_employment
from services.ingest.domain.scope import ConnectionScope, Scope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Rejected
from tests.ingest.people.building import (
    HR,
    NOON,
    START,
    admitted,
    employed,
    event,
    kinds,
    known,
    pair,
    participant,
    say,
)

CLOCK = Clock(datetime(2026, 12, 1, tzinfo=UTC), "log")
DAY = timedelta(days=1)
PEOPLE = tuple(participant(name) for name in ("ada", "ben", "cat"))
EARLY = START - 30 * DAY
"""When pairs began that are told of late."""

Told = Employed | OfRelationship


def tell(projection: Projection, one: Told) -> list[OfRelationship]:
    """Do what the workers do: a feed fans out to the existing pairs; a start looks up earlier statements."""
    if isinstance(one, Employed):
        found = say(projection, one, HR)
        assert not isinstance(found, Rejected), found
        return found if isinstance(found, list) else []
    projection.apply(one)
    raws = backfill_employment(one.tenant, one.subject, projection.roster, CLOCK)
    late = [admitted(raw, Scope("acme", frozenset({str(raw["source"])}), internal=True)) for raw in raws]
    for event_ in late:
        projection.apply(event_)
    return late


def history(told: Sequence[Told]) -> tuple[Projection, list[OfRelationship]]:
    projection = known(*PEOPLE)
    return projection, [event_ for one in told for event_ in tell(projection, one)]


def is_alive(projection: Projection, moment: datetime = NOON + 300 * DAY) -> tuple[bool, list[tuple[object, ...]]]:
    """And by what it is paused; what has ended is not paused any more."""
    found = projection.roster.relationship("acme", "rel-1", moment)
    assert found is not None
    if found.is_over(moment):
        return False, []
    open_ = [(one.begin, one.until) for one in projection.roster.pauses("acme", "rel-1")]
    return True, sorted(open_, key=str)


EXIT = employed("ada", "exited", left_on=date(2026, 3, 1))


@pytest.mark.parametrize(
    ("feed", "becomes"),
    [
        ([EXIT], ["relationship.ended"]),
        ([employed("ben", "exited")], ["relationship.ended"]),
        ([employed("ada", "leave", left_on=date(2026, 3, 1), back_on=date(2026, 4, 1))], ["relationship.paused"]),
        ([employed("ada", "leave")], ["relationship.paused"]),
        ([EXIT, employed("ada", "active", key="rejoined", time=NOON + 60 * DAY)], ["relationship.ended"]),
        (
            [employed("ada", "leave"), employed("ada", "active", key="back", time=NOON + 9 * DAY)],
            ["relationship.paused", "relationship.resumed"],
        ),
        ([employed("ada", "exited", left_on=date(2026, 5, 1))], ["relationship.paused"]),
        ([employed("cat", "exited")], []),
        ([employed("ada", "active")], []),
        ([employed("ada", "exited", left_on=date(2025, 5, 1))], []),
    ],
)
def test_an_earlier_statement_of_a_feed_applies_to_a_later_pair(feed: list[Employed], becomes: list[str]) -> None:
    start = pair(time=EARLY)

    projection, late = history([*feed, start])
    in_order, fanned = history([start, *feed])

    assert kinds(late) == becomes
    assert [(one.source, one.id, one.time, one.data) for one in late] == [
        (one.source, one.id, one.time, one.data) for one in fanned
    ]
    assert is_alive(projection) == is_alive(in_order)


def test_an_exit_without_a_day_pauses_a_later_pair_until_it_is_repeated() -> None:
    (one,) = history([employed("ada", "exited"), pair(time=NOON + DAY)])[1]

    assert (one.type, one.time, one.data) == (
        "mentoring.relationship.paused.v1",
        NOON,
        one.data.model_copy(update={"reason": "exit", "from_": NOON + DAY}),
    )


def test_nothing_is_emitted_twice() -> None:
    projection, (ended,) = history([EXIT, start := pair(time=EARLY)])

    assert tell(projection, start) == []
    assert tell(projection, replace(EXIT, key="next night", time=NOON + DAY)) == []
    (person,) = [projection.roster.registered("acme", "p-ada")]
    assert person
    assert [change.statement for change in person.employment] == [EXIT.key]
    retraction = {"source": ended.source, "id": ended.id, "type": ended.type, "time": ended.time, "slot": ""}
    projection.apply(event("event.retracted", {"by": "admin", "evidence": "admin", **retraction}))
    assert tell(projection, pair(time=EARLY)) == []


def _taken_back(one: OfRelationship) -> OfRelationship:
    target = {"source": one.source, "id": one.id, "type": one.type, "time": one.time, "slot": ""}
    return event("event.retracted", {"by": "admin", "evidence": "admin", **target})


@pytest.mark.parametrize(
    "wrong", [EXIT, employed("ada", "leave", left_on=date(2026, 3, 1)), employed("ada", "leave", back_on=None)]
)
@pytest.mark.parametrize("returned", [[], [employed("ada", "active", key="slip", time=NOON + DAY)]])
@pytest.mark.parametrize("until", [None, date(2026, 6, 1)])
def test_a_retracted_event_is_no_reason_to_retract_later_events(
    wrong: Employed, returned: list[Employed], until: date | None
) -> None:
    start = pair(time=EARLY)
    projection, (slip,) = history([start, wrong])
    projection.apply(_taken_back(slip))
    leave = employed("ada", "leave", key="leave", time=NOON + 9 * DAY, back_on=until)
    for one in [*returned, leave]:
        tell(projection, one)
    before = is_alive(projection)

    assert tell(projection, start) == []
    assert is_alive(projection) == before
    assert before[0]
    assert len(before[1]) == 1


@pytest.mark.parametrize("left_on", [None, date(2026, 3, 1)])
def test_a_retracted_day_of_return_stays_retracted(left_on: date | None) -> None:
    start, nights = pair(time=EARLY), [None, date(2026, 6, 1), None]
    feed = [
        employed("ada", "leave", key=f"night {number}", time=NOON + number * DAY, left_on=left_on, back_on=day)
        for number, day in enumerate(nights)
    ]
    projection, _ = history([start, *feed])
    before = is_alive(projection)

    assert tell(projection, start) == []
    assert is_alive(projection) == before == is_alive(history([*feed, start])[0])
    assert before[1][0][1] is None


def test_a_late_exit_of_a_replaced_person_ends_nothing() -> None:
    start, change = pair(time=EARLY), pair("cat", time=EARLY + DAY)
    projection, found = history([start, EXIT, change])

    assert kinds(found) == ["relationship.ended", "event.retracted"]
    assert is_alive(projection) == is_alive(history([start, change, EXIT])[0]) == (True, [])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_a_replacement_of_a_person_on_leave_is_not_paused(
    order: tuple[int, ...],
) -> None:
    told = [pair(time=EARLY), employed("ada", "leave"), pair("cat", time=NOON + DAY)]

    projection, found = history([told[place] for place in order])

    assert is_alive(projection) == (True, [])
    assert {kind for kind in kinds(found) if kind != "event.retracted"} in (
        {"relationship.paused", "relationship.resumed"},
        set(),
    )


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_pair_that_begins_anew_is_not_paused_by_a_leave_before_its_end(place: int) -> None:
    told: list[Told] = [
        employed("ada", "leave"),
        employed("ada", "exited", time=NOON + DAY),
        employed("ada", "active", time=NOON + 2 * DAY),
        pair(time=EARLY),
    ]
    told.insert(place, pair(time=NOON + 4 * DAY))

    assert is_alive(history(told)[0]) == (True, [])


def test_a_side_has_left_with_its_last_member_in_any_order() -> None:
    group = event(
        "relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"}, time=EARLY
    )
    feed = [employed("ben", "exited", left_on=date(2026, 2, 20)), employed("cat", "exited", left_on=date(2026, 3, 1))]

    ends = [
        {(one.id, one.time) for one in history(order)[1]}
        for order in ([group, *feed], [group, *reversed(feed)], [*feed, group], [*reversed(feed), group])
    ]

    assert ends[0] == ends[1] == ends[2] == ends[3]
    assert {time for _, time in ends[0]} == {datetime(2026, 2, 28, 23, tzinfo=UTC)}


def test_a_feed_of_one_programme_does_not_affect_pairs_of_another() -> None:
    projection = known(*PEOPLE)
    say(projection, EXIT, ConnectionScope("acme", "second", "hr", "hr_feed"))

    assert tell(projection, pair(time=EARLY)) == []
    assert kinds(tell(projection, pair(time=EARLY, subject="rel-2", program="second"))) == ["relationship.ended"]


_keys = count()
feeds = st.lists(
    st.builds(
        lambda who, status, day: (who, status, day),
        st.sampled_from(["ada", "ben", "cat"]),
        st.sampled_from(["active", "leave", "exited"]),
        st.sampled_from([None, -20, -1, 5, date(2026, 3, 1), date(2026, 3, 5)]),
    ),
    max_size=5,
)


def _said(feed: list[tuple[str, str, int | date | None]]) -> list[Employed]:
    """Days as dates are the same in all statements; others count from their statement."""
    said = []
    for number, (who, status, day) in enumerate(feed):
        time = NOON + number * DAY
        left_on = (time + day * DAY).date() if isinstance(day, int) else day
        left_on = None if status == "active" else left_on
        said.append(employed(who, status, key=f"{number}-{who}-{status}", time=time, left_on=left_on))
    return said


restarts = st.lists(st.tuples(st.just("ada"), st.integers(-30, 8)), max_size=2, unique=True)
replacement = st.tuples(st.tuples(st.just("cat"), st.integers(-30, 8)))


@given(st.data(), feeds, restarts | replacement)
def test_starts_and_employment_give_the_same_in_any_order(
    data: st.DataObject, feed: list[tuple[str, str, int | date | None]], changes: Sequence[tuple[str, int]]
) -> None:
    """Statements of one feed keep their order, because the latest counts. Starts at the same instant as another start
    or as a statement, and several changes of mentor, would depend on their order too; they do not occur here."""
    starts: list[Told] = [pair(time=data.draw(st.sampled_from([EARLY - DAY, NOON - 29.5 * DAY])))]
    starts += [pair(mentor, time=NOON + at * DAY + timedelta(hours=1)) for mentor, at in changes]
    said: list[Told] = [*_said(feed)]
    places = sorted(data.draw(st.lists(st.integers(0, len(said)), min_size=len(starts), max_size=len(starts))))
    mixed, order = [*said], data.draw(st.permutations(starts))
    for place, start in reversed([*zip(places, order, strict=True)]):
        mixed.insert(place, start)

    expected, found = history([*starts, *said])[0], history(mixed)[0]

    assert is_alive(found) == is_alive(expected)


def test_a_future_leave_of_a_mentor_who_is_replaced_before_it_pauses_nobody() -> None:
    starts = [pair(time=EARLY), pair("cat", time=NOON + DAY)]
    leave = employed("ada", "leave", time=NOON, left_on=(NOON + 5 * DAY).date())

    after, between = history([*starts, leave])[0], history([starts[0], leave, starts[1]])[0]

    assert is_alive(after) == is_alive(between) == (True, [])


away = st.tuples(st.sampled_from(["leave", "exited"]), st.sampled_from([None, -20, -1, 5]))


@given(st.data(), st.tuples(away, away))
def test_leaves_in_a_group_give_the_same_result_in_any_order(
    data: st.DataObject, absences: tuple[tuple[str, int | None], ...]
) -> None:
    people = {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"}
    told: list[Told] = [event("relationship.started", people, time=EARLY)]
    for name, (status, day) in zip(("ben", "cat"), absences, strict=True):
        told.append(employed(name, status, left_on=None if day is None else (NOON + day * DAY).date()))

    expected, found = history(told)[0], history(data.draw(st.permutations(told)))[0]

    assert is_alive(found) == is_alive(expected)


def test_a_change_repeated_after_a_crash_is_stored_once() -> None:
    told = [employed("ada", "leave"), employed("ada", "active", time=NOON + DAY)]
    projection, _ = history([*told, *told])

    person = projection.roster.registered("acme", "p-ada")
    assert person
    assert [change.status for change in person.employment] == ["leave", "active"]


def test_people_who_are_described_anew_were_away_all_the_same() -> None:
    projection, _ = history([EXIT])
    person = projection.roster.registered("acme", "p-ada")
    assert isinstance(person, Participant)

    assert [change.left_on for change in person.employment] == [EXIT.left_on]
    tell(projection, employed("ada", "active", key="new name", name="Ada B", time=NOON + DAY))
    after = projection.roster.registered("acme", "p-ada")
    assert after
    assert [change.status for change in after.employment] == ["exited", "active"]


def test_nightly_repeats_of_two_feeds_store_each_absence_once() -> None:
    projection, payroll = known(*PEOPLE), ConnectionScope("acme", None, "hr", "payroll")
    for night in range(5):
        time = NOON + night * DAY
        for number, day in enumerate([date(2026, 3, 1), date(2026, 7, 1)]):
            say(projection, employed("ada", "leave", key=f"hr-{night}-{number}", time=time, left_on=day), HR)
        say(projection, employed("ada", "leave", key=f"payroll-{night}", time=time), payroll)

    person = projection.roster.registered("acme", "p-ada")
    assert person
    assert [change.statement for change in person.employment] == ["hr-0-0", "hr-0-1", "payroll-0"]


days = st.sampled_from([None, date(2026, 2, 20), date(2026, 3, 1), date(2026, 3, 4)])
returns = st.sampled_from([None, date(2026, 6, 1), date(2026, 6, 5)])
statuses = st.sampled_from(["active", "leave", "exited"])


@given(st.data(), st.lists(st.tuples(st.sampled_from(["ada", "ben"]), statuses, days, returns), max_size=5))
def test_a_second_check_of_a_pair_changes_nothing(
    data: st.DataObject, feed: list[tuple[str, str, date | None, date | None]]
) -> None:
    """Also if an administrator has retracted the events just emitted."""
    projection, _ = history([start := pair(time=EARLY)])
    for number, (who, status, left_on, back_on) in enumerate(feed):
        absence = {
            "left_on": left_on if status != "active" else None,
            "back_on": back_on if status == "leave" else None,
        }
        said = employed(who, status, key=f"night {number}", time=NOON + number * DAY, **absence)
        told = [one for one in tell(projection, said) if one.type != "mentoring.event.retracted.v1"]
        if data.draw(st.booleans()) and told:
            projection.apply(_taken_back(told[-1]))
    before = is_alive(projection)

    tell(projection, start)

    assert is_alive(projection) == before
    assert tell(projection, start) == []
