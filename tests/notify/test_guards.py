"""What changes the state but calls nobody."""

from services.notify.domain.guards import is_behind
from services.notify.domain.lifecycle import NEVER_TOLD
from tests.notify.building import Pair, clock, day, hour, late_trigger, new_desk, take, told

PAIR = Pair()
TWO_YEARS_LATE = late_trigger(day(-730), day(3))


def test_what_was_recorded_more_than_a_day_late_is_decided_and_not_sent() -> None:
    events = (PAIR.corrected(day(0), health=30.0), PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE))

    transitioned = take(new_desk("wall"), *events)

    assert told(transitioned) == [("health_low", "fired", day(3))]
    assert transitioned[0].transition.not_sent == "recorded 733 days after it happened"


def test_nobody_hears_of_the_end_of_what_nobody_heard_of() -> None:
    events = (
        PAIR.corrected(day(0), health=30.0),
        PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE),
        PAIR.changed(day(4), health=80.0),
    )

    transitioned = take(new_desk("wall"), *events, clock(day(9)))

    assert [h.transition.not_sent for h in transitioned][1:] == [NEVER_TOLD]


def test_a_silent_alert_that_gets_worse_is_sent_and_so_is_its_end() -> None:
    events = (
        PAIR.corrected(day(0), health=30.0),
        PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE),
        PAIR.changed(day(4), health=20.0),
        PAIR.changed(day(6), health=80.0),
    )

    transitioned = take(new_desk("wall"), *events, clock(day(9)))

    assert [(h.transition.name, h.transition.not_sent is None) for h in transitioned] == [
        ("fired", False),
        ("escalated", True),
        ("resolved", True),
    ]


def test_an_end_is_sent_whatever_brought_it_about() -> None:
    ended = PAIR.changed(day(3), 2, health=30.0, status="ended", mode="heal")

    transitioned = take(new_desk("wall"), PAIR.changed(day(0), health=30.0), clock(day(2)), ended)

    assert [(h.transition.name, h.transition.not_sent) for h in transitioned] == [("fired", None), ("resolved", None)]


def test_an_escalation_that_is_muted_does_not_unsay_the_firing() -> None:
    worse = (PAIR.corrected(day(2), 2, health=20.0), PAIR.changed(day(3), 2, health=20.0, mode="heal"))
    events = (PAIR.changed(day(0), health=30.0), clock(day(2)), *worse, PAIR.changed(day(4), 2, health=80.0))

    transitioned = take(new_desk("wall"), *events, clock(day(9)))

    assert [(h.transition.name, h.transition.not_sent) for h in transitioned] == [
        ("fired", None),
        ("escalated", "heal: history told again"),
        ("resolved", None),
    ]


def test_what_was_recorded_in_time_is_sent() -> None:
    in_time = late_trigger(hour(-24), hour(0))

    transitioned = take(new_desk("wall"), PAIR.changed(hour(0), health=30.0, trigger=in_time), clock(day(2)))

    assert [h.transition.not_sent for h in transitioned] == [None]


def test_a_deadline_after_a_late_record_is_sent_because_it_comes_in_its_own_time() -> None:
    transitioned = take(new_desk("wall"), PAIR.changed(day(0), health=30.0, trigger=TWO_YEARS_LATE), clock(day(2)))

    assert [h.transition.not_sent for h in transitioned] == [None]


def test_a_replay_lives_in_the_past_with_all_its_deadlines() -> None:
    events = (PAIR.changed(day(0), health=30.0, mode="replay"), PAIR.changed(day(5), health=30.0, mode="replay"))

    transitioned = take(new_desk("wall"), *events)

    assert [h.transition.not_sent for h in transitioned] == ["replay: history told again"]


def test_on_the_clock_of_the_log_everything_is_sent() -> None:
    events = (
        PAIR.corrected(day(0), health=30.0, mode="replay"),
        PAIR.changed(day(3), health=30.0, mode="replay", trigger=TWO_YEARS_LATE),
    )

    assert [h.transition.not_sent for h in take(new_desk("log"), *events)] == [None]


def test_scores_are_behind_when_their_clock_is_more_than_an_hour_back() -> None:
    assert is_behind(hour(0), hour(1.01))
    assert not is_behind(hour(0), hour(1))
    assert not is_behind(None, hour(1))
