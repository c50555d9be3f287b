"""Scores that are computed otherwise from an instant on: what fires because of that is one digest, and no shift."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.rules import RULES, Tier
from services.notify.domain.deliveries import listed_alerts
from tests.notify.building import Pair, day
from tests.notify.harness import NotifyHarness, lines, machine, mailing, one

MORNING = day(5) + timedelta(hours=9)
"""A Monday: people work, and nothing waits for the end of a night."""
HOUR = timedelta(hours=1)
PAIRS = [Pair(f"pair-{number}") for number in range(20)]


def office(**fields: Any) -> NotifyHarness:  # noqa: ANN401
    return one(mailing(), machine(), now=day(0), **({"rules": RULES} | fields))


def rows(found: NotifyHarness, pairs: list[Pair], health: float, **told: Any) -> None:  # noqa: ANN401
    found.apply(*(pair.changed(found.now, health=health, last_contact=found.now, **told) for pair in pairs))


def until(found: NotifyHarness, hours: int, health: float, **told: Any) -> None:  # noqa: ANN401
    """A row each six hours."""
    for _ in range(hours // 6):
        found.until(found.now + 6 * HOUR, HOUR)
        rows(found, PAIRS, health, **told)


def steady(found: NotifyHarness, health: float = 60.0) -> None:
    found.at(day(0))
    rows(found, PAIRS, health)
    found.until(MORNING, 6 * HOUR)


def sent(found: NotifyHarness, recipient: str = "team") -> list[tuple[str, str | None, int]]:
    """The rule that a message is filed under, its group, and how many alerts it tells of."""
    return [(m.alert.rule, m.group, lines(m)) for _, m in found.sent if m.recipient == recipient]


def test_what_fires_because_of_another_profile_is_one_message_for_people_and_no_shift_of_the_programme() -> None:
    found = office()
    steady(found)

    rows(found, PAIRS, 38.0, profile="stern-2")
    found.restart()
    until(found, 30, 38.0, profile="stern-2")
    found.until(day(9), HOUR)

    assert sent(found) == [("health_drop", "rescored", 40)]
    assert sent(found, "hook") == [("health_drop", "late", 20), ("health_low", "late", 20)]
    why = {d.why for alert in found.alerts for d in alert.decisions if d.stage == "group"}
    assert why == {"in the digest 'at risk now': scored by stern-2 since 6 May 2024 09:00 UTC"}


@pytest.mark.parametrize("other", [{"model": "2"}, {"calibration": "spruce-2026"}])
def test_another_model_or_calibration_is_no_news_either(other: dict[str, str]) -> None:
    found = office()
    steady(found)

    rows(found, PAIRS[:1], 38.0, risk=0.9, **other)
    found.until(MORNING + 30 * HOUR, HOUR)

    assert sent(found) == []
    found.until(MORNING + 49 * HOUR, HOUR)
    assert [(group, count) for _, group, count in sent(found)] == [("rescored", 3)]
    assert {alert.rule for alert in found.alerts} == {"health_drop", "health_low", "disengaging"}


def test_what_gets_worse_by_another_profile_is_no_news_and_what_gets_worse_after_it_is() -> None:
    found = office()
    steady(found, 38.0)
    before = len(found.alerts)

    rows(found, PAIRS[:2], 24.0, profile="stern-2")
    found.until(MORNING + 7 * HOUR, HOUR)
    rows(found, PAIRS[2:3], 38.0, profile="stern-2")
    found.until(MORNING + 24 * HOUR, HOUR)
    rows(found, PAIRS[2:3], 24.0, profile="stern-2")
    found.until(MORNING + 31 * HOUR, HOUR)

    worse = [alert for alert in found.alerts[before:] if alert.rule == "health_low"]
    assert [alert.transition for alert in worse] == ["escalated"] * 3
    assert ["at risk now" in alert.decisions[-2].why for alert in worse] == [True, True, False]


def test_what_was_pending_before_and_what_comes_after_is_news() -> None:
    found = office()
    steady(found)
    rows(found, PAIRS[:1], 45.0)
    found.until(MORNING + HOUR, HOUR)

    rows(found, PAIRS[:1], 39.0)
    found.until(MORNING + 2 * HOUR, HOUR)
    rows(found, PAIRS[:2], 38.0, profile="stern-2")
    rows(found, PAIRS[2:3], 45.0, profile="stern-2")
    found.until(MORNING + 4 * HOUR, HOUR)
    rows(found, PAIRS[2:3], 38.0, profile="stern-2")
    found.until(MORNING + 40 * HOUR, HOUR)

    low = [alert for alert in found.alerts if alert.rule == "health_low"]
    assert ["at risk now" in alert.decisions[-2].why for alert in low] == [False, True, False]


def test_what_no_score_decides_is_news_whoever_scores() -> None:
    found = office()
    steady(found)

    found.apply(PAIRS[0].changed(found.now, health=60.0, profile="stern-2", last_contact=day(-38)))

    assert [alert.rule for alert in found.alerts] == ["no_contact"]
    assert sent(found, "hook") == [("no_contact", None, 1)]


def test_a_programme_that_shifts_under_the_new_profile_is_reported() -> None:
    found = office()
    steady(found)
    rows(found, PAIRS, 60.0, profile="stern-2")
    found.until(MORNING + 30 * HOUR, HOUR)

    rows(found, PAIRS, 45.0, profile="stern-2")
    found.until(MORNING + 33 * HOUR, HOUR)

    assert sent(found) == [("programme_shift", None, 1)]


def test_where_few_are_scored_otherwise_a_median_that_falls_is_a_shift() -> None:
    found = office()
    steady(found)

    rows(found, PAIRS[:2], 60.0, profile="stern-2")
    rows(found, PAIRS[2:], 45.0)
    found.until(MORNING + 2 * HOUR, HOUR)

    assert sent(found) == [("programme_shift", None, 1)]


def test_on_the_clock_of_the_log_nothing_is_late() -> None:
    found = office(mode="log")
    steady(found)

    rows(found, PAIRS[:1], 38.0, profile="stern-2")

    assert [(alert.rule, alert.decisions[-2].why) for alert in found.alerts] == [("health_drop", "alone")]


def test_pairs_that_are_scored_again_in_the_course_of_a_day_are_in_the_same_message() -> None:
    found = office()
    steady(found)

    for number in range(20):
        rows(found, PAIRS[number : number + 1], 38.0, profile="stern-2")
        found.until(found.now + HOUR, HOUR)
    found.until(day(10), HOUR)

    assert sent(found) == [("health_drop", "rescored", 40)]


def test_what_is_over_before_it_was_sent_is_one_line_with_its_end() -> None:
    found = office()
    steady(found)

    rows(found, PAIRS[:1], 38.0, profile="stern-2")
    found.until(MORNING + 2 * HOUR, HOUR)
    rows(found, PAIRS[:1], 60.0, profile="stern-2")
    found.until(day(10), HOUR)

    assert [(m.transition, m.group, lines(m)) for _, m in found.sent if m.recipient == "team"] == [
        ("resolved", "digest", 1)
    ]


def test_what_gets_worse_meanwhile_takes_along_what_waits() -> None:
    found = office()
    steady(found)

    rows(found, PAIRS[:1], 38.0, profile="stern-2")
    found.until(MORNING + 25 * HOUR, HOUR)
    rows(found, PAIRS[:1], 24.0, profile="stern-2")
    found.until(day(10), HOUR)

    ((at, worse),) = [(at, m) for at, m in found.sent if m.recipient == "team"]
    assert at == MORNING + 32 * HOUR
    assert {(one.rule, one.transition) for one in listed_alerts(worse)} == {
        ("health_low", "escalated"),
        ("health_drop", "fired"),
    }


@pytest.mark.parametrize("causes", [("session.missed",), ("midnight", "session.missed"), ("risk.crossed",)])
def test_what_an_event_or_a_crossed_level_shows_first_may_be_a_decay_and_waits_for_nobody_else(
    causes: tuple[str, ...],
) -> None:
    found = office()
    steady(found)

    rows(found, PAIRS[:1], 38.0, profile="stern-2", causes=causes)
    found.restart()
    found.until(MORNING + 25 * HOUR, HOUR)

    assert [(at, m.alert.rule, m.group) for at, m in found.sent if m.recipient == "team"] == [
        (MORNING, "health_drop", "late"),
        (MORNING + 24 * HOUR, "health_low", "late"),
    ]


def test_what_is_most_urgent_waits_for_nobody_else_whatever_brought_it_about() -> None:
    (low,) = (rule for rule in RULES if rule.name == "health_low")
    found = office(rules=(replace(low, tiers=(low.tiers[0], Tier(level=25, hold=timedelta(hours=6), urgency="P1"))),))
    steady(found)

    rows(found, PAIRS[:1], 20.0, profile="stern-2")
    found.until(MORNING + 7 * HOUR, HOUR)

    assert [(at, m.group) for at, m in found.sent if m.recipient == "team"] == [(MORNING + 6 * HOUR, "late")]
