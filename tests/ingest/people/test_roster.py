from datetime import timedelta
from typing import Any

import pytest

from services.ingest.domain.people.roster import Roster
from tests.ingest.people.building import NOON, START, event, pair

DAY = timedelta(days=1)


def roster(*told: Any) -> Roster:  # noqa: ANN401
    made = Roster()
    for one in told:
        made.apply(one)
    return made


def pairs(known: Roster, *people: str, at: Any = NOON, program: str | None = None) -> list[str]:  # noqa: ANN401
    return [one.id for one in known.pairs("acme", program, frozenset(f"p-{one}" for one in people), at)]


def test_a_pair_is_there_when_one_of_each_side_is() -> None:
    known = roster(pair())

    assert pairs(known, "ada", "ben", "cat") == ["rel-1"]
    assert pairs(known, "ada", "cat") == []
    assert pairs(known, "ada") == []


def test_a_group_that_meets_is_one_relationship() -> None:
    group = event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"})

    assert pairs(roster(group), "ada", "ben", "cat") == ["rel-1"]
    assert pairs(roster(group), "ben", "cat") == []


def test_a_person_on_both_sides_is_no_pair_alone() -> None:
    peers = event("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ada", "p-ben"], "kind": "peer"})

    assert pairs(roster(peers), "ada") == []
    assert pairs(roster(peers), "ada", "ben") == ["rel-1"]


def test_several_relationships_of_the_same_two_are_all_found() -> None:
    known = roster(pair(), pair("ben", "ada", subject="rel-2", program="reverse"))

    assert pairs(known, "ada", "ben") == ["rel-1", "rel-2"]
    assert pairs(known, "ada", "ben", program="reverse") == ["rel-2"]


def test_after_its_end_it_is_no_pair() -> None:
    end = event("relationship.ended", ENDED, time=NOON)
    known = roster(pair(), end)

    assert pairs(known, "ada", "ben", at=NOON) == ["rel-1"]
    assert pairs(known, "ada", "ben", at=NOON + DAY) == []
    assert known.ongoing("acme", None, "p-ada", NOON + DAY) == ()


ENDED = {"planned": True, "reason_code": "done", "initiated_by": "admin"}


def test_what_was_ended_may_start_again_with_other_people() -> None:
    known = roster(
        pair(), event("relationship.ended", ENDED, time=NOON), pair("ada", "cat", time=NOON + 2 * DAY, program="second")
    )

    assert pairs(known, "ada", "ben", at=START) == ["rel-1"]
    assert pairs(known, "ada", "cat", at=NOON + DAY) == []
    assert pairs(known, "ada", "cat", at=NOON + 3 * DAY, program="second") == ["rel-1"]
    assert pairs(known, "ada", "ben", at=NOON + 3 * DAY) == []


def test_a_pair_may_meet_before_its_first_day() -> None:
    assert pairs(roster(pair()), "ada", "ben", at=START - 3 * DAY) == ["rel-1"]


def test_before_its_first_day_the_earlier_relationship_of_the_two_is_meant() -> None:
    known = roster(pair(), pair(subject="rel-2", time=NOON + DAY))

    assert pairs(known, "ada", "ben", at=NOON) == ["rel-1"]
    assert pairs(known, "ada", "ben", at=NOON + 2 * DAY) == ["rel-1", "rel-2"]


@pytest.mark.parametrize("is_early", [True, False])
def test_a_retracted_end_has_not_been(is_early: bool) -> None:  # noqa: FBT001
    end = event("relationship.ended", ENDED, time=NOON)
    target = {"source": end.source, "id": end.id, "type": end.type, "time": end.time}
    retraction = event("event.retracted", target, time=NOON + DAY)
    known = roster(pair(), *((retraction, end) if is_early else (end, retraction)))

    assert pairs(known, "ada", "ben", at=NOON + 2 * DAY) == ["rel-1"]


def test_a_retracted_start_leaves_no_relationship() -> None:
    start = pair()
    target = {"source": start.source, "id": start.id, "type": start.type, "time": start.time}
    known = roster(start, event("event.retracted", target, time=NOON))

    assert pairs(known, "ada", "ben") == []
    assert known.relationship("acme", "rel-1") is None


def test_repeats_change_nothing_and_the_first_on_the_log_stands() -> None:
    start = pair(id="start-1")
    known = roster(start, start, pair("ada", "cat", id="start-1"))

    assert pairs(known, "ada", "ben") == ["rel-1"]


def test_what_is_erased_stays_erased() -> None:
    known = roster(pair(), event("relationship.erased", {}), pair(time=NOON))

    assert pairs(known, "ada", "ben", at=NOON + DAY) == []
    assert known.all_relationships("acme", "p-ada") == ()
    assert known.relationship("acme", "rel-1") is None
    assert known.is_erased("acme", "rel-1")


def test_an_erasure_takes_one_relationship_of_a_person_only() -> None:
    known = roster(pair(), pair("ada", "cat", subject="rel-2"), event("relationship.erased", {}))

    assert known.all_relationships("acme", "p-ada") == ("rel-2",)
    assert known.all_relationships("acme", "p-ben") == ()


def test_everybody_who_ever_was_of_it_is_found_for_an_erasure() -> None:
    known = roster(pair(), pair("ada", "cat", time=NOON))

    assert known.all_relationships("acme", "p-ben") == ("rel-1",)


def test_an_event_without_people_creates_no_relationship() -> None:
    known = roster(event("relationship.expectations_agreed", {}), event("goal.set", {"goal_id": "g"}))

    assert known.relationship("acme", "rel-1") is None
