"""health_drop: health that falls within a week, comes back, or stays at its new level."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.programs import WatchLevels
from schemas.rule_faults import problems
from schemas.rule_words import describe
from schemas.rules import DISENGAGING, HEALTH_DROP, HEALTH_LOW, NO_CONTACT, SUPPORT_REQUESTED, Drawdown, Rule
from schemas.scores import ScoreEvent
from tests.notify.building import Pair, apply_event, clock, day, decide, hour, new_alerts, summaries

PAIR = Pair()
FALL = (HEALTH_DROP,)
WEEK = timedelta(days=7)


def heard(*rows: tuple[float, float], rules: tuple[Rule, ...] = FALL, until: float = 60) -> list[tuple[str, datetime]]:
    """Of (day, health): what is told, and when."""
    events = [PAIR.changed(day(at), health=health) for at, health in rows]
    return [(name, at) for _, name, at in summaries(apply_event(new_alerts(rules=rules), *events, clock(day(until))))]


def test_a_fall_by_twenty_within_a_week_fires_at_the_row_that_shows_it() -> None:
    assert heard((0, 80), (3, 61), (6, 60), until=7) == [("fired", day(6))]


def test_a_slower_fall_does_not() -> None:
    assert heard(*((at, 80 - 2.8 * at) for at in range(20)), until=21) == []


def test_what_held_when_the_week_began_is_its_peak_too() -> None:
    assert heard((0, 80), (10, 60), until=11) == [("fired", day(10))]
    assert heard((0, 80), (2, 65), (9, 50), until=10) == []


def test_it_is_over_when_half_of_it_is_regained() -> None:
    assert heard((0, 80), (1, 55), (2, 67), (3, 67.5), until=4) == [("fired", day(1)), ("resolved", day(3))]


def test_it_is_over_when_the_new_level_has_held_for_two_weeks() -> None:
    daily = [(float(at), 55.0) for at in range(1, 20)]

    assert heard((0, 80), *daily) == [("fired", day(1)), ("resolved", day(15))]


def test_half_the_way_back_from_a_deep_fall_is_no_fall_of_its_own() -> None:
    deep = ((0, 100), (1, 20), (2, 60))
    over = [("fired", day(1)), ("resolved", day(2))]

    assert heard(*deep, (3, 60), (4, 57), until=5) == over
    assert heard(*deep, (3, 41), (4, 40), until=5) == [*over, ("fired", day(4))]


def test_whoever_loses_again_all_that_was_regained_has_fallen_again() -> None:
    over = [("fired", day(1)), ("resolved", day(2))]

    assert heard((0, 80), (1, 58), (2, 70), (3, 58), until=4) == [*over, ("fired", day(3))]
    assert heard((0, 80), (1, 58), (2, 70), (3, 59), (4, 57), until=5) == [*over, ("fired", day(4))]
    assert heard((0, 80), (1, 58), (2, 70), (3, 59), until=4) == over
    lasting = replace(HEALTH_DROP, tiers=(replace(HEALTH_DROP.tiers[0], hold=timedelta(days=1)),))
    deep = ((0, 100), (1, 20), (2, 20), (3, 60), (4, 20), (4.5, 20))
    assert heard(*deep, until=5, rules=(lasting,)) == [("fired", day(2)), ("resolved", day(3)), ("fired", day(5))]


def test_where_the_row_before_the_end_was_higher_it_counts() -> None:
    kept = replace(HEALTH_DROP, keep=timedelta(days=2))

    assert heard((0, 100), (1, 20), (2, 90), (3, 65), until=4, rules=(kept,)) == [
        ("fired", day(1)),
        ("resolved", day(3)),
        ("fired", day(3)),
    ]


def test_health_that_falls_again_while_an_old_fall_settles_fires_with_its_end() -> None:
    assert heard((0, 90), (1, 50), (10, 69), (13, 46), until=17) == [
        ("fired", day(1)),
        ("resolved", day(15)),
        ("fired", day(15)),
    ]


def test_health_that_falls_again_in_the_row_that_ends_an_older_fall_fires_with_that_row() -> None:
    """While nobody is sure, no level settles: the first row that is ends the older fall, and shows the new one."""
    sure = [PAIR.changed(day(at), health=health) for at, health in ((0, 90), (1, 50), (12, 69), (13, 69))]
    unsure = [PAIR.changed(day(at), health=69, confidence=0.2) for at in (14, 15, 16)]
    alerts = new_alerts(rules=FALL)
    apply_event(alerts, *sure, *unsure, clock(day(16.5)))

    found = apply_event(alerts, PAIR.changed(day(17), health=46))

    assert summaries(found) == [("health_drop", "resolved", day(17)), ("health_drop", "fired", day(17))]
    assert [one.transition.why for one in found] == ["the new level has held", "health fell from 69 to 46 within 7 d"]
    assert apply_event(alerts, PAIR.changed(day(18), health=46), clock(day(19))) == []


def test_a_deep_fall_that_came_to_light_late_is_none_either_once_it_is_half_regained() -> None:
    alerts = new_alerts("log", rules=FALL)
    apply_event(alerts, PAIR.changed(day(0), health=60), PAIR.changed(day(3), health=60))
    rows = [PAIR.corrected(day(at), 2, health=health) for at, health in ((0, 100), (1, 20), (2, 60))]

    assert apply_event(alerts, *rows, PAIR.changed(day(3), 2, health=60), PAIR.changed(day(4), 2, health=58)) == []


@pytest.mark.parametrize("wrong", [[PAIR.corrected(day(2), 4, health=50)], [PAIR.corrected(day(2), 4, deleted=True)]])
def test_a_fall_whose_end_is_corrected_away_is_sent_again(wrong: list[ScoreEvent]) -> None:
    alerts = new_alerts(rules=FALL)
    regained = apply_event(
        alerts, *(PAIR.changed(day(at), at, health=health) for at, health in ((0, 80), (1, 50), (2, 66)))
    )

    found = apply_event(alerts, *wrong, PAIR.changed(day(3), 5, health=50), PAIR.changed(day(4), 6, health=50))

    assert [name for _, name, _ in summaries(regained)] == ["fired", "resolved"]
    assert summaries(found) == [("health_drop", "fired", day(3))]


def test_a_fall_whose_end_stands_is_not_sent_again_whatever_else_is_corrected() -> None:
    alerts = new_alerts(rules=FALL)
    apply_event(alerts, *(PAIR.changed(day(at), at, health=health) for at, health in ((0, 80), (1, 50), (2, 66))))

    assert apply_event(alerts, PAIR.corrected(day(1), 4, health=49), PAIR.changed(day(3), 5, health=60)) == []


def test_a_further_fall_begins_the_new_level_again() -> None:
    daily = [(float(at), 55.0 if at < 9 else 48.0) for at in range(1, 30)]

    assert heard((0, 80), *daily)[1:] == [("resolved", day(9 + 14))]


def test_a_pause_stops_the_time_of_the_new_level_and_of_the_week() -> None:
    events: list[ScoreEvent] = [
        PAIR.changed(day(0), health=80),
        PAIR.changed(day(1), health=80, status="paused"),
        PAIR.changed(day(30), health=55),
        PAIR.changed(day(31), health=55, status="paused"),
        PAIR.changed(day(41), health=55),
        PAIR.changed(day(42), health=55),
        clock(day(80)),
    ]

    assert summaries(apply_event(new_alerts(rules=FALL), *events)) == [
        ("health_drop", "fired", day(30)),
        ("health_drop", "resolved", day(30 + 14 + 10)),
    ]


def test_rows_that_nobody_is_sure_of_neither_fire_nor_resolve() -> None:
    unsure = [PAIR.changed(day(0), health=80), PAIR.changed(day(1), health=30, confidence=0.2)]
    alerts = new_alerts(rules=FALL)

    assert apply_event(alerts, *unsure, clock(day(2))) == []
    assert summaries(apply_event(alerts, PAIR.changed(day(3), health=30))) == [("health_drop", "fired", day(3))]
    assert apply_event(alerts, PAIR.changed(day(4), health=90, confidence=0.2), clock(day(40))) == []


def test_a_single_row_is_no_fall() -> None:
    lonely = replace(HEALTH_DROP, min_points=3)

    assert heard((0, 80), (1, 50), until=2, rules=(lonely,)) == []
    assert heard((0, 80), (1, 50), (2, 50), until=3, rules=(lonely,)) == [("fired", day(2))]


def test_a_fall_may_have_to_last() -> None:
    lasting = replace(HEALTH_DROP, tiers=(replace(HEALTH_DROP.tiers[0], hold=timedelta(days=2)),))

    assert heard((0, 80), (1, 55), (2, 55), until=9, rules=(lasting,)) == [("fired", day(3))]
    assert heard((0, 80), (1, 55), (2, 70), (2.5, 55), until=4, rules=(lasting,)) == []


def test_what_has_fired_stays_open_as_long_as_the_rule_says() -> None:
    kept = replace(HEALTH_DROP, keep=timedelta(days=5))
    low = replace(HEALTH_LOW, keep=timedelta(days=9))

    assert heard((0, 80), (1, 55), (2, 80), rules=(kept,)) == [("fired", day(1)), ("resolved", day(6))]
    assert heard((0, 30), (2, 80), rules=(low,)) == [("fired", day(1)), ("resolved", day(10))]


def test_a_rule_of_levels_may_need_several_rows() -> None:
    several = replace(HEALTH_LOW, min_points=3)

    assert heard((0, 30), (1, 30), until=9, rules=(several,)) == []
    assert heard((0, 30), (1, 30), (2, 30), until=9, rules=(several,)) == [("fired", day(2))]


def test_a_fall_whose_rows_are_corrected_away_was_never_so() -> None:
    alerts = new_alerts(rules=FALL)
    apply_event(alerts, PAIR.changed(day(0), health=80), PAIR.changed(day(5), health=55))

    found = apply_event(alerts, PAIR.corrected(day(5), 2, health=78), PAIR.changed(day(6), 2, health=79))

    assert [(one.transition.name, one.transition.why) for one in found] == [("resolved", "corrected: it was never so")]


def test_a_fall_stands_whose_peak_has_left_the_window() -> None:
    alerts = new_alerts(rules=FALL)
    apply_event(alerts, PAIR.changed(day(0), health=80), *(PAIR.changed(day(at), health=55) for at in range(1, 5)))
    apply_event(alerts, *(PAIR.changed(hour(24 * 4 + at), health=48 if at > 96 else 55) for at in range(1, 15 * 24, 6)))

    found = apply_event(alerts, PAIR.corrected(day(18), 2, health=49), PAIR.changed(day(20), 2, health=48))

    assert found == []


def test_a_person_reads_from_where_to_where() -> None:
    fired, over = decide(
        new_alerts(rules=FALL),
        PAIR.changed(day(0), health=62),
        PAIR.changed(day(5), health=38),
        *(PAIR.changed(day(at), health=38) for at in range(6, 20)),
        clock(day(20)),
    )

    assert fired.event.data.summary.startswith("spruce: pair 4F2 fell from 62 to 38 (P2), since 6 May 2024 00:00 UTC.")
    assert fired.event.data.why == "health fell from 62 to 38 within 7 d"
    assert over.event.data.why == "the new level has held"
    assert over.event.data.summary.startswith("spruce: pair 4F2 is steadier: health 38, after 14 days")


def test_it_is_described_in_one_line() -> None:
    assert describe(replace(HEALTH_DROP, keep=timedelta(hours=6))) == (
        "health_drop v1: health fell by 20 or more within 7 d is P2; clears when 50% of it is regained, "
        "or held for 14 d; stays open for 6 h at least; needs 2 rows; needs confidence 0.25"
    )


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        (replace(HEALTH_LOW, clear_level=44, tiers=HEALTH_LOW.tiers[:1]), "better by a gap of at least 5"),
        (replace(DISENGAGING, clear_level=0.66), "better by a gap of at least 0.05"),
        (replace(DISENGAGING, least_confidence=0.25), "only rules of health wait for confidence"),
        (replace(HEALTH_LOW, keep=timedelta(days=15)), "keep: 360 h does not lie between"),
        (replace(SUPPORT_REQUESTED, keep=timedelta(days=1)), "keep: a request for support"),
        (replace(NO_CONTACT, min_points=2), "min_points: one row says all"),
        (replace(HEALTH_LOW, min_points=0), "min_points: 0 does not lie between 1 and 100"),
        (replace(HEALTH_DROP, drop=None), "needs a window and one tier"),
        (replace(HEALTH_DROP, tiers=(replace(HEALTH_DROP.tiers[0], level=100),)), "100 is no fall of health"),
        (replace(HEALTH_DROP, drop=Drawdown(timedelta(0), 0.5, WEEK)), "a window is longer than 0 h"),
        (replace(HEALTH_DROP, drop=Drawdown(2.5 * WEEK, 0.5, 3 * WEEK)), "are 420 h, over 336 h"),
        (replace(HEALTH_DROP, drop=Drawdown(WEEK, 0.05, 2 * WEEK)), "a share of 0.1 to 1 is to be regained"),
        (replace(HEALTH_DROP, drop=Drawdown(WEEK, 0.5, WEEK)), "a new level settles after the window"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_reason(rule: Rule, part: str) -> None:
    levels = WatchLevels(health=(75, 50, 44, 40, 25), risk=(0.55, 0.66, 0.70))

    found = problems([rule], levels)

    assert len(found) == 1
    assert found[0].startswith(f"{rule.name}: ")
    assert part in found[0]


ROWS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([20, 35, 39, 40, 41, 50, 55, 60, 61, 80, 100])), max_size=40
)


def naive(rows: list[tuple[int, float]], until: int) -> list[tuple[str, int]]:
    """health_drop by its definition, hour by hour, over all that there ever was."""
    found: list[tuple[str, int]] = []
    at_hour = dict(rows)
    known: dict[int, float] = {}
    health, peak, level, held, begin = None, 0.0, 0.0, 0, 0
    for hour_ in range(until + 1):
        is_open = bool(found) and found[-1][0] == "fired"
        settles = is_open and hour_ >= held + 14 * 24
        if hour_ in at_hour:
            health = at_hour[hour_]
        if health is None:
            continue
        known[hour_] = health
        is_new = hour_ in at_hour
        if settles:
            found.append(("resolved", hour_))
            is_open, is_new = False, True
        elif is_open:
            level, held = (health, hour_) if health < level - 5 else (level, held)
            if health >= level + (peak - level) / 2:
                found.append(("resolved", hour_))
                # What held just before is the first that it may fall from.
                is_open, is_new, begin = False, True, hour_ - 1
        if not is_open and is_new:
            week = {at: value for at, value in known.items() if at >= hour_ - 7 * 24}
            # Who is lower than ever in the week has lost again what was regained.
            is_lowest = health <= min(week.values())
            highest = max(value for at, value in week.items() if at >= begin or is_lowest)
            if highest - health >= 20:
                peak, level, held = highest, health, hour_
                found.append(("fired", hour_))
    return found


@given(drawn=ROWS)
def test_any_rows_are_reported_as_the_naive_model_says(drawn: list[tuple[int, float]]) -> None:
    rows, now = list[tuple[int, float]](), 0
    for ahead, health in drawn:
        now += ahead
        rows.append((now, health))
    events = [PAIR.changed(hour(at), health=health) for at, health in rows]

    found = summaries(apply_event(new_alerts(rules=FALL), *events, clock(hour(now))))

    assert [(name.replace("unstable", "fired"), (at - day(0)) // timedelta(hours=1)) for _, name, at in found] == naive(
        rows, now
    )


@given(drawn=st.lists(st.floats(40.1, 59.9), max_size=60))
def test_within_the_gap_one_fall_is_one_episode(drawn: list[float]) -> None:
    """Between the level of the fall and half of it regained nothing begins and nothing ends, for as long as the level
    that has been reached would not settle."""
    events = [PAIR.changed(hour(6 * at), health=health) for at, health in enumerate([80.0, 40.0, *drawn[:50]])]

    found = summaries(apply_event(new_alerts(rules=FALL), *events, clock(hour(6 * 51))))

    assert [name for _, name, _ in found] == ["fired"]
