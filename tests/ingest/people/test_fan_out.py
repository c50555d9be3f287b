from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.directory import Participant, ToolIdentity
from services.ingest.domain.activity import Employed
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Ignored, Rejected
from tests.ingest.people.building import (
    HR,
    NOON,
    START,
    employed,
    event,
    events,
    kinds,
    known,
    pair,
    participant,
    say,
    told,
)

DAY = timedelta(days=1)
FIRST_OF_MARCH = date(2026, 3, 1)
NEXT_WEEK = date(2026, 3, 9)


def fanned(projection: Any, said: Employed, connection_scope: ConnectionScope = HR) -> list[Any]:  # noqa: ANN401
    return events(projection, said, connection_scope)


def test_a_leave_pauses_all_relationships_of_the_person() -> None:
    projection = known(pair(), pair("cat", "ada", subject="rel-2"), pair("cat", "ben", subject="rel-3"))

    found = fanned(projection, employed("ada", "leave", left_on=NEXT_WEEK, back_on=date(2026, 4, 1)))

    assert [(one.type, one.subject) for one in found] == [
        ("mentoring.relationship.paused.v1", "rel-1"),
        ("mentoring.relationship.paused.v1", "rel-2"),
    ]
    assert found[0].data.from_ == datetime(2026, 3, 8, 23, tzinfo=UTC)
    assert found[0].data.until == datetime(2026, 3, 31, 22, tzinfo=UTC)
    assert (found[0].data.reason, found[0].data.by, found[0].data.evidence) == ("leave", "system", "admin")
    assert found[0].time == NOON


def test_a_leave_that_has_begun_pauses_from_its_first_day() -> None:
    projection = known(pair(time=START - 30 * DAY))

    (one,) = fanned(projection, employed("ada", "leave", left_on=FIRST_OF_MARCH))

    assert one.time == one.data.from_ == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert one.data.until is None


def test_a_relationship_is_not_paused_before_it_began() -> None:
    (one,) = fanned(known(pair()), employed("ada", "leave", left_on=FIRST_OF_MARCH))

    assert one.time == one.data.from_ == START


def test_the_same_leave_is_the_same_event_for_any_feed_and_time() -> None:
    other = employed("ada", "leave", left_on=FIRST_OF_MARCH, key="other", time=NOON + DAY)
    said = employed("ada", "leave", left_on=FIRST_OF_MARCH)

    ours, theirs = fanned(known(pair()), said), fanned(known(pair()), other)

    assert [(one.id, one.time, one.data) for one in ours] == [(one.id, one.time, one.data) for one in theirs]


def test_a_nightly_repeat_is_ignored() -> None:
    projection = known()
    said = employed("ada", "leave", left_on=NEXT_WEEK)
    fanned(projection, said)

    assert say(projection, said, HR) == Ignored("unchanged")
    again = employed("ada", "leave", left_on=NEXT_WEEK, key="next night", time=NOON + DAY)
    assert say(projection, again, HR) == Ignored("unchanged")


def test_a_leave_without_a_day_is_one_until_the_person_is_back() -> None:
    projection = known()
    (one,) = fanned(projection, employed("ada", "leave"))
    assert one.data.from_ == NOON

    assert say(projection, employed("ada", "leave", key="next", time=NOON + DAY), HR) == Ignored("unchanged")


def test_two_leaves_are_two_pauses() -> None:
    projection = known()
    (first,) = fanned(projection, employed("ada", "leave"))
    fanned(projection, employed("ada", "active", key="back", time=NOON + DAY))

    (second,) = fanned(projection, employed("ada", "leave", key="second", time=NOON + 2 * DAY))

    assert first.data.pause_id != second.data.pause_id
    assert first.id != second.id


def test_a_return_resumes_the_pauses_of_that_person_only() -> None:
    projection = known()
    (ours,) = fanned(projection, employed("ada", "leave"))
    fanned(projection, employed("ben", "leave"))
    projection.apply(event("relationship.paused", {"pause_id": "by-hand", "reason": "agreed"}))

    (one,) = fanned(projection, employed("ada", "active", key="back", time=NOON + 3 * DAY, back_on=date(2026, 3, 4)))

    assert one.type == "mentoring.relationship.resumed.v1"
    assert one.data.pause_id == ours.data.pause_id
    assert one.time == datetime(2026, 3, 3, 23, tzinfo=UTC)
    assert say(projection, employed("ada", "active", key="again", time=NOON + 4 * DAY), HR) == Ignored("unchanged")


def test_a_planned_return_needs_no_event() -> None:
    projection = known()
    fanned(projection, employed("ada", "leave", left_on=FIRST_OF_MARCH, back_on=date(2026, 3, 5)))

    assert kinds(fanned(projection, employed("ada", "active", key="back", time=NOON + 9 * DAY))) == []


def test_a_leave_that_was_called_off_is_resumed() -> None:
    projection = known()
    fanned(projection, employed("ada", "leave", left_on=NEXT_WEEK))

    (one,) = fanned(projection, employed("ada", "active", key="off", time=NOON + DAY))

    assert (one.type, one.time) == ("mentoring.relationship.resumed.v1", NOON + DAY)


def test_another_day_of_return_replaces_the_pause() -> None:
    projection = known()
    (first,) = fanned(projection, employed("ada", "leave", left_on=FIRST_OF_MARCH))

    second, retraction = fanned(
        projection, employed("ada", "leave", key="2", left_on=FIRST_OF_MARCH, back_on=NEXT_WEEK)
    )

    assert (second.data.pause_id, second.data.until) == (first.data.pause_id, datetime(2026, 3, 8, 23, tzinfo=UTC))
    assert (retraction.data.id, retraction.data.type, retraction.data.time) == (first.id, first.type, first.time)
    again = employed("ada", "leave", key="3", time=NOON + DAY, left_on=FIRST_OF_MARCH, back_on=NEXT_WEEK)
    assert say(projection, again, HR) == Ignored("unchanged")


def test_a_pause_of_another_feed_is_not_retracted() -> None:
    projection = known()
    fanned(
        projection, employed("ada", "leave", left_on=FIRST_OF_MARCH), ConnectionScope("acme", None, "hr", "other_feed")
    )

    found = fanned(projection, employed("ada", "leave", key="2", left_on=FIRST_OF_MARCH, back_on=NEXT_WEEK))

    assert kinds(found) == ["relationship.paused"]


def test_an_exit_ends_all_relationships() -> None:
    projection = known(pair(time=START - 30 * DAY), pair("cat", "ada", subject="rel-2", time=START - 30 * DAY))

    found = fanned(projection, employed("ada", "exited", left_on=FIRST_OF_MARCH))

    assert kinds(found) == ["relationship.ended"] * 2
    assert {one.time for one in found} == {datetime(2026, 2, 28, 23, tzinfo=UTC)}
    assert (found[0].data.planned, found[0].data.initiated_by) == (False, "system")
    assert say(projection, employed("ada", "exited", key="again", left_on=FIRST_OF_MARCH), HR) == Ignored("unchanged")


@pytest.mark.parametrize("left_on", [date(2019, 5, 31), FIRST_OF_MARCH, START.date()])
@pytest.mark.parametrize("said_at", [NOON, START - DAY])
def test_an_exit_that_is_dated_before_a_pair_began_ends_and_pauses_only_what_was_before(
    left_on: date, said_at: datetime
) -> None:
    """A person who is paired later has come back, or the statement is about an earlier post."""
    projection = known(pair(), pair("cat", "ada", subject="rel-2", time="2018-01-01T00:00:00Z"))

    found = fanned(projection, employed("ada", "exited", left_on=left_on, time=said_at))

    assert {one.subject for one in found} == {"rel-2"}


def test_an_exit_without_a_day_takes_effect_when_it_is_stated() -> None:
    (one,) = fanned(known(pair()), employed("ada", "exited"))

    assert (one.type, one.time) == ("mentoring.relationship.ended.v1", NOON)


def test_a_leave_that_was_over_before_a_pair_began_pauses_nothing() -> None:
    projection = known(pair())

    assert fanned(projection, employed("ada", "leave", left_on=date(2026, 1, 7), back_on=FIRST_OF_MARCH)) == []


def test_an_exit_that_lies_ahead_pauses_from_that_day_and_ends_once_it_has_come() -> None:
    projection = known()

    (one,) = fanned(projection, employed("ada", "exited", left_on=NEXT_WEEK))
    assert (one.type, one.data.reason, one.time) == ("mentoring.relationship.paused.v1", "exit", NOON)
    assert one.data.from_ == datetime(2026, 3, 8, 23, tzinfo=UTC)

    (two,) = fanned(projection, employed("ada", "exited", key="then", time=NOON + 9 * DAY, left_on=NEXT_WEEK))
    assert (two.type, two.time) == ("mentoring.relationship.ended.v1", datetime(2026, 3, 8, 23, tzinfo=UTC))


def test_who_was_away_already_leaves_what_is_ended_alone() -> None:
    ended = event(
        "relationship.ended", {"planned": True, "reason_code": "done", "initiated_by": "admin"}, time=START + DAY
    )
    projection = known(pair(), ended, participant("ada"))

    assert fanned(projection, employed("ada", "leave", time=START, key="1")) == []
    assert fanned(projection, employed("ada", "exited", time=START + 2 * DAY, key="2")) == []


def test_a_group_goes_on_while_somebody_of_that_side_is_there() -> None:
    group = event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"})
    projection = known(group, *map(participant, ("ada", "ben", "cat")))

    assert fanned(projection, employed("ben", "leave")) == []
    (one,) = fanned(projection, employed("cat", "leave"))
    assert one.type == "mentoring.relationship.paused.v1"
    (two,) = fanned(projection, employed("ben", "active", key="back", time=NOON + DAY))
    assert two.data.pause_id == one.data.pause_id
    assert kinds(fanned(projection, employed("ada", "exited"))) == ["relationship.ended"]


def test_a_new_name_or_address_writes_the_person_only() -> None:
    projection = known()

    found = resolve(employed("ada", "active", name="Ada B"), HR, projection)

    assert isinstance(found, Resolved)
    assert found.events == ()
    assert [(one.id, one.name, one.recordedtime) for one in found.participants] == [("p-ada", "Ada B", NOON)]


def test_fields_from_other_feeds_are_kept() -> None:
    projection = known()

    (kept,) = people(projection, employed("ada", "active", name="Ada B", addresses=()))
    (added,) = people(projection, employed("ada", "active", identities=(("zoom", "z-1"), ("zoom", "z-1"))))
    (moved,) = people(
        projection, employed("ada", "active", identities=(("slack", "UNEW"),), addresses=("new@example.com",))
    )

    assert kept.addresses == ("ada@example.com",)
    assert kept.identities == (ToolIdentity(tool="slack", id="UADA"),)
    assert added.identities == (ToolIdentity(tool="zoom", id="z-1"), ToolIdentity(tool="slack", id="UADA"))
    assert moved.identities == (ToolIdentity(tool="slack", id="UNEW"),)
    assert moved.addresses == ("new@example.com",)


def test_fields_that_a_feed_does_not_report_are_kept() -> None:
    projection = known()
    silent = {"time_zone": "UTC", "consent": False, "unsaid": frozenset({"time_zone", "consent"})}

    (renamed,) = people(projection, employed("ada", "active", name="Ada B", **silent))
    (new,) = people(projection, employed("dan", "active", **silent))
    found = fanned(projection, employed("ada", "leave", left_on=NEXT_WEEK, **silent))

    assert (renamed.time_zone, renamed.consent) == ("Europe/Berlin", True)
    assert (new.time_zone, new.consent) == ("UTC", False)
    assert found[0].data.from_ == datetime(2026, 3, 8, 23, tzinfo=UTC)


ACCOUNTS = ConnectionScope("acme", None, "hr", "accounts")


@pytest.mark.parametrize("back_on", [None, date(2026, 3, 20)])
def test_a_leave_lasts_though_an_account_is_active_for_a_feed_that_knows_no_leaves(back_on: date | None) -> None:
    projection = known()
    leave = employed("ada", "leave", left_on=FIRST_OF_MARCH, back_on=back_on)
    account = employed("ada", "active", key="account", time=NOON + DAY, unsaid=frozenset({"leave"}))
    fanned(projection, leave)

    assert say(projection, account, ACCOUNTS) == Ignored("unchanged")
    assert say(projection, employed("ada", "leave", left_on=FIRST_OF_MARCH, back_on=back_on), HR) == Ignored(
        "unchanged"
    )
    person = projection.roster.registered("acme", "p-ada")
    assert person is not None
    assert person.status == "leave"
    renamed = employed("ada", "active", name="Ada B", time=NOON + DAY, unsaid=frozenset({"leave"}))
    assert [one.status for one in people(projection, renamed, ACCOUNTS)] == ["leave"]
    (resumed,) = fanned(projection, employed("ada", "active", key="back", time=NOON + DAY))
    assert resumed.type == "mentoring.relationship.resumed.v1"


def test_an_account_that_is_active_after_the_day_of_return_is_of_somebody_who_is_back() -> None:
    projection = known()
    fanned(projection, employed("ada", "leave", left_on=FIRST_OF_MARCH, back_on=NEXT_WEEK))
    account = employed("ada", "active", key="account", time=NOON + 9 * DAY, unsaid=frozenset({"leave"}))

    assert [one.status for one in people(projection, account)] == ["active"]


def test_of_somebody_who_is_new_or_gone_an_active_account_counts() -> None:
    projection = known()
    account = {"key": "account", "time": NOON + DAY, "unsaid": frozenset({"leave"})}
    fanned(projection, employed("ben", "exited", left_on=NEXT_WEEK))

    (new,), (ben,) = (people(projection, employed(name, "active", **account)) for name in ("dan", "ben"))

    assert (new.status, ben.status) == ("active", "active")


def test_the_feed_that_reported_a_leave_ends_it_even_without_reporting_leaves() -> None:
    """`onLeave` is null of who is on none, in some systems."""
    projection = known()
    fanned(projection, employed("ada", "leave", left_on=FIRST_OF_MARCH))

    (resumed,) = fanned(projection, employed("ada", "active", time=NOON + DAY, unsaid=frozenset({"leave"})))

    assert resumed.type == "mentoring.relationship.resumed.v1"
    person = projection.roster.registered("acme", "p-ada")
    assert person is not None
    assert person.status == "active"


def people(projection: Any, said: Employed, scope: ConnectionScope = HR) -> tuple[Participant, ...]:  # noqa: ANN401
    found = resolve(said, scope, projection)
    assert isinstance(found, Resolved)
    return found.participants


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"addresses": ("no address",)}, "addresses.0"),
        ({"identities": (("No Code", "x"),)}, "identities.0.tool"),
        ({"name": ""}, "name"),
        ({"participant": "p ada"}, "id"),
        ({"left_on": date.min}, "left_on"),
    ],
)
def test_what_is_no_person_is_refused_with_the_place(changes: dict[str, Any], path: str) -> None:
    found = say(known(), employed("ada", "leave", **changes), HR)

    assert isinstance(found, Rejected)
    assert (found.reason, found.errors[0].path) == ("invalid", path)


def test_a_person_who_is_new_is_written() -> None:
    assert [one.id for one in people(known(), employed("dan", "active"))] == ["p-dan"]


def test_a_feed_of_one_programme_reaches_its_relationships_only() -> None:
    projection = known(pair(), pair("ada", "cat", subject="rel-2", program="second"))

    found = fanned(projection, employed("ada", "leave"), ConnectionScope("acme", "second", "hr", "hr_feed"))

    assert [one.subject for one in found] == ["rel-2"]


def test_a_tool_may_not_erase() -> None:
    said = told("relationship.erased", {}, relationship="rel-1", actor="admin")

    found = resolve(said, HR, known())

    assert isinstance(found, Resolved)  # and the gate refuses it: no connection has admin scope
