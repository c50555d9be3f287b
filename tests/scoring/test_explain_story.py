"""The story: every change of the score, with points that add up, as known at some time."""

from datetime import timedelta
from random import Random

import pytest

from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain.explaining.explanation import Explanation, NothingToExplain, explain
from services.scoring.domain.explaining.known_history import known_history
from services.scoring.domain.explaining.story import shown_health, shown_points
from services.scoring.domain.profiles import DEFAULT
from tests.scoring.building import (
    KEY,
    SIDES,
    ended,
    erased,
    feedback,
    goal_set,
    held,
    message,
    micros,
    missed,
    paused,
    retraction,
    started,
)
from tests.scoring.random_logs import random_log


def test_midnights_in_a_row_are_one_line() -> None:
    found = explained(9, started(0.5), held(1.25))

    assert [(change.begin, change.end, change.rows) for change in found.story] == [
        (micros(0.5), micros(0.5), 1),
        (micros(1), micros(1), 1),
        (micros(1.25), micros(1.25), 1),
        (micros(2), micros(9), 8),
    ]
    assert found.story[-1].words == ("no contact for 7 days",)


def test_each_change_says_what_moved_and_what_drives_the_risk() -> None:
    found = explained(90, started(0.5, 7), held(1.25), held(80.5))
    last_session = next(change for change in found.story if change.begin == micros(80.5))

    assert last_session.before is not None
    assert last_session.health - last_session.before == sum(points for _, points in last_session.moved)
    assert {name for name, _ in last_session.moved} == {"rhythm", "reliability", "silence"}
    assert found.story[-1].term == "elapsed"


def test_the_first_change_counts_every_part_from_nothing() -> None:
    first = explained(0.5, started(0.5)).story[0]

    assert first.before is None
    assert sum(points for _, points in first.moved) == first.health


@pytest.mark.parametrize("seed", range(40))
def test_the_shown_parts_sum_to_the_shown_health_all_along(seed: int) -> None:
    events = [event for key, event in random_log(Random(seed)) if key == "t/x"]
    end = max(micros(0), *(to_micros(event.time) for event in events)) + 20 * 86_400_000_000

    found = explain(known_history("t/x", list(enumerate(events)), None), DEFAULT, end)

    if isinstance(found, NothingToExplain):
        return
    assert sum(shown_points(found.row.evaluation)) == shown_health(found.row.evaluation) == found.story[-1].health
    for change in found.story:
        assert sum(points for _, points in change.moved) == change.health - (change.before or 0)
    for earlier, later in zip(found.story, found.story[1:], strict=False):
        assert later.begin > earlier.end


def test_the_story_ends_where_it_is_asked_to() -> None:
    events = [started(0.5), held(1.5), missed(20.5)]

    assert explained(10, *events).at == micros(10)
    assert all(change.end <= micros(10) for change in explained(10, *events).story)


def test_what_was_recorded_later_was_not_known_then() -> None:
    late = recorded(held(1.5), 8)
    log = [started(0.5), late]

    then = explained(6, *log, known_at=6)
    now = explained(6, *log)

    assert then.history.later == 1
    assert then.row.last_contact is None
    assert now.row.last_contact == micros(1.5)
    assert explained(6, *log, known_at=8).story == now.story


def test_a_retraction_is_unknown_before_it_was_recorded() -> None:
    session = held(1.5)
    log = [started(0.5), session, retraction(5.5, session)]

    assert explained(4, *log, known_at=5).row.last_contact == micros(1.5)
    assert explained(4, *log).row.last_contact is None


def test_a_copy_of_an_event_is_told_once_and_the_first_on_the_log_counts() -> None:
    found = explained(2, started(0.5), message(1.5, "mentor"), message(1.5, "mentor"))

    assert [change.words for change in found.story if change.begin == micros(1.5)] == [("message from the mentor",)]


def test_what_health_lacks_is_told_in_words_the_heaviest_first() -> None:
    found = explained(60, started(0.5, 7), held(1.5), missed(20.5), missed(30.5))

    assert [lack.part for lack in found.missing] == ["rhythm", "reliability", "silence"]
    assert found.missing[0].words == "no session for 58 days, due every 7"
    assert found.missing[2].words == "no contact for 58 days"
    assert [lack.points for lack in found.missing] == sorted(lack.points for lack in found.missing)


def test_before_the_first_fact_and_after_an_erasure_there_is_nothing_to_tell() -> None:
    nothing = explain(known_history(KEY, [(0, started(5))], None), DEFAULT, micros(4))
    gone = known_history(KEY, [(0, started(0.5)), (1, erased(9))], known_at=micros(5))

    assert nothing == NothingToExplain("nothing that counts had happened yet")
    assert explain(gone, DEFAULT, micros(4)) == NothingToExplain("it was erased: nothing is told of it any more")


def test_of_an_ended_or_paused_relationship_nothing_is_asked() -> None:
    assert explained(9, started(0.5), ended(2.5)).remedies.reason == "the relationship has ended"
    assert explained(9, started(0.5), paused(2.5)).remedies.reason == "the relationship is paused"


def explained(days: float, *events: OfRelationship, known_at: float | None = None) -> Explanation:
    known = known_history(KEY, list(enumerate(events)), None if known_at is None else micros(known_at))
    found = explain(known, DEFAULT, micros(days))
    assert isinstance(found, Explanation)
    return found


def recorded(event: OfRelationship, days: float) -> OfRelationship:
    return event.model_copy(update={"recordedtime": started(0).time + timedelta(days=days)})


def test_where_a_goal_is_set_what_the_new_weights_do_is_one_line() -> None:
    talk = [message(1.3 + 0.1 * n, SIDES[n % 2]) for n in range(4)]
    stated = [started(0.5, 14), held(1.25), *talk, goal_set(30.25, "g", 0)]
    found = explained(31, *stated)
    (change,) = (one for one in found.story if one.begin == micros(30.25))
    moved = dict(change.moved)

    assert change.before is not None
    assert change.health - change.before == sum(moved.values())
    assert "goals now count" in moved
    assert "goals" not in moved
    assert sum(points < 0 for points in moved.values()) <= 1


def test_what_passing_time_takes_in_the_same_instant_stays_with_its_part() -> None:
    stated = [started(0.5, 7), held(1.25), feedback(20.25, "mentor", 5)]
    (change,) = (one for one in explained(21, *stated).story if one.begin == micros(20.25))
    moved = dict(change.moved)

    assert change.before is not None
    assert change.health - change.before == sum(moved.values())
    assert moved["feedback now counts"] > 0
    assert moved["rhythm"] < 0
