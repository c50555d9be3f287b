"""When a rule fires, escalates and clears."""

from services.notify.domain.lifecycle import ENDED
from tests.notify.building import Pair, apply_event, clock, day, hour, new_alerts, summaries

PAIR = Pair()


def test_health_at_the_level_for_a_day_fires_at_the_instant_the_day_is_over() -> None:
    transitioned = apply_event(new_alerts(), PAIR.changed(hour(0), health=40.0), clock(hour(30)))

    assert summaries(transitioned) == [("health_low", "fired", hour(24))]
    assert transitioned[0].transition.episode.urgency == "P3"
    assert transitioned[0].transition.episode.since == hour(0)
    assert transitioned[0].transition.why == "health at or below 40 for 24 h"


def test_health_above_the_level_by_a_millionth_does_not_fire() -> None:
    assert apply_event(new_alerts(), PAIR.changed(hour(0), health=40.000001), clock(day(9))) == []


def test_a_deadline_takes_effect_before_the_row_that_comes_at_or_after_it() -> None:
    transitioned = apply_event(new_alerts(), PAIR.changed(hour(0), health=30.0), PAIR.changed(hour(24), health=80.0))

    assert summaries(transitioned) == [("health_low", "fired", hour(24))]


def test_a_dip_shorter_than_a_day_does_not_fire() -> None:
    dip = (PAIR.changed(hour(0), health=30.0), PAIR.changed(hour(23), health=45.0), clock(day(9)))

    assert apply_event(new_alerts(), *dip) == []


def test_several_rows_below_the_level_are_one_run() -> None:
    rows = [PAIR.changed(hour(h), health=39.0 - h / 10) for h in (0, 8, 16)]

    assert summaries(apply_event(new_alerts(), *rows, clock(hour(24)))) == [("health_low", "fired", hour(24))]


def test_critical_health_fires_as_more_urgent_after_six_hours() -> None:
    transitioned = apply_event(new_alerts(), PAIR.changed(hour(0), health=25.0), clock(day(3)))

    assert summaries(transitioned) == [("health_low", "fired", hour(6))]
    assert transitioned[0].transition.episode.urgency == "P2"


def test_an_open_alert_escalates_once_when_it_gets_worse() -> None:
    rows = (
        PAIR.changed(hour(0), health=38.0),
        PAIR.changed(hour(30), health=20.0),
        PAIR.changed(hour(50), health=15.0),
    )

    transitioned = apply_event(new_alerts(), *rows, clock(day(9)))

    assert summaries(transitioned) == [("health_low", "fired", hour(24)), ("health_low", "escalated", hour(36))]
    assert [h.transition.episode.episode for h in transitioned] == [1, 1]
    assert [h.transition.episode.urgency for h in transitioned] == ["P3", "P2"]


def test_critical_health_late_in_a_pending_day_fires_first_and_escalates_then() -> None:
    transitioned = apply_event(
        new_alerts(), PAIR.changed(hour(0), health=38.0), PAIR.changed(hour(20), health=24.0), clock(day(9))
    )

    assert summaries(transitioned) == [("health_low", "fired", hour(24)), ("health_low", "escalated", hour(26))]


def test_it_clears_after_two_days_above_the_clear_level() -> None:
    rows = (PAIR.changed(hour(0), health=30.0), PAIR.changed(hour(30), health=51.0))

    transitioned = apply_event(new_alerts(), *rows, clock(day(9)))

    assert summaries(transitioned) == [("health_low", "fired", hour(24)), ("health_low", "resolved", hour(78))]
    assert transitioned[1].transition.why == "health above 50 for 48 h"


def test_the_clear_level_itself_is_not_clear() -> None:
    rows = (PAIR.changed(hour(0), health=30.0), PAIR.changed(hour(30), health=50.0))

    assert summaries(apply_event(new_alerts(), *rows, clock(day(9)))) == [("health_low", "fired", hour(24))]


def test_a_relapse_while_recovering_is_the_same_episode_and_says_nothing() -> None:
    relapse = (
        PAIR.changed(hour(0), health=30.0),
        PAIR.changed(hour(30), health=60.0),
        PAIR.changed(hour(60), health=45.0),
        PAIR.changed(hour(70), health=60.0),
    )

    transitioned = apply_event(new_alerts(), *relapse, clock(day(9)))

    assert summaries(transitioned) == [("health_low", "fired", hour(24)), ("health_low", "resolved", hour(118))]
    assert [h.transition.episode.episode for h in transitioned] == [1, 1]


def test_the_next_time_is_the_next_episode() -> None:
    rows = (PAIR.changed(hour(0), health=30.0), PAIR.changed(day(2), health=60.0), PAIR.changed(day(8), health=30.0))

    transitioned = apply_event(new_alerts(), *rows, clock(day(20)))

    assert [(h.transition.name, h.transition.episode.episode) for h in transitioned] == [
        ("fired", 1),
        ("resolved", 1),
        ("fired", 2),
    ]


def test_disengaging_includes_its_level_and_clears_strictly_below() -> None:
    rows = (
        PAIR.changed(hour(0), risk=0.70),
        PAIR.changed(day(2), risk=0.55),
        PAIR.changed(day(6), risk=0.549999),
    )

    transitioned = apply_event(new_alerts(), *rows, clock(day(20)))

    assert summaries(transitioned) == [("disengaging", "fired", day(1)), ("disengaging", "resolved", day(8))]
    assert transitioned[0].transition.why == "risk at or above 0.7 for 24 h"


def test_two_rules_at_one_instant_both_happen() -> None:
    transitioned = apply_event(new_alerts(), PAIR.changed(hour(0), health=38.0, risk=0.9), clock(day(2)))

    assert summaries(transitioned) == [("health_low", "fired", hour(24)), ("disengaging", "fired", hour(24))]


def test_low_confidence_gates_health_and_not_risk() -> None:
    unsure = PAIR.but(confidence=0.249999)

    transitioned = apply_event(new_alerts(), unsure.changed(hour(0), health=10.0, risk=0.9), clock(day(5)))

    assert summaries(transitioned) == [("disengaging", "fired", hour(24))]


def test_low_confidence_does_not_resolve_either() -> None:
    rows = (PAIR.changed(hour(0), health=30.0), PAIR.changed(day(2), health=90.0, confidence=0.1))

    assert summaries(apply_event(new_alerts(), *rows, clock(day(20)))) == [("health_low", "fired", hour(24))]


def test_a_relationship_without_rows_neither_fires_nor_resolves() -> None:
    pending = (PAIR.changed(hour(0), health=30.0), PAIR.changed(hour(1), position=2, deleted=True), clock(day(5)))
    recovering = (
        PAIR.changed(hour(0), health=30.0),
        PAIR.changed(day(2), health=90.0),
        PAIR.changed(day(3), position=2, deleted=True),
        clock(day(20)),
    )

    assert apply_event(new_alerts(), *pending) == []
    assert summaries(apply_event(new_alerts(), *recovering)) == [("health_low", "fired", hour(24))]


def test_a_pause_holds_a_pending_alert_and_the_rest_of_the_day_runs_afterwards() -> None:
    rows = (
        PAIR.changed(hour(0), health=30.0),
        PAIR.changed(hour(10), health=30.0, status="paused"),
        PAIR.changed(day(40), health=30.0),
    )

    transitioned = apply_event(new_alerts(), *rows, clock(day(50)))

    assert summaries(transitioned) == [("health_low", "fired", day(40) + (hour(14) - hour(0)))]


def test_a_pause_holds_a_recovery_too() -> None:
    rows = (
        PAIR.changed(hour(0), health=30.0),
        PAIR.changed(day(2), health=60.0),
        PAIR.changed(day(3), health=60.0, status="paused"),
        PAIR.changed(day(30), health=60.0),
    )

    transitioned = apply_event(new_alerts(), *rows, clock(day(40)))

    assert summaries(transitioned) == [("health_low", "fired", day(1)), ("health_low", "resolved", day(31))]


def test_the_end_of_the_relationship_closes_its_alerts_with_a_reason() -> None:
    rows = (PAIR.changed(hour(0), health=30.0, risk=0.8), PAIR.changed(day(3), health=30.0, risk=0.8, status="ended"))

    transitioned = apply_event(new_alerts(), *rows, clock(day(20)))

    assert summaries(transitioned)[2:] == [
        ("health_low", "resolved", day(3)),
        ("disengaging", "resolved", day(3)),
    ]
    assert {h.transition.why for h in transitioned[2:]} == {ENDED}


def test_the_end_of_the_relationship_forgets_what_was_pending() -> None:
    rows = (PAIR.changed(hour(0), health=30.0), PAIR.changed(hour(20), health=30.0, status="ended"), clock(day(20)))

    assert apply_event(new_alerts(), *rows) == []
