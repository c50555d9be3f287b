"""Which rules may be used, and how they are told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.programs import WatchLevels
from schemas.rule_faults import problems
from schemas.rule_words import describe
from schemas.rules import DISENGAGING, HEALTH_LOW, RULES, Rule, Tier

WATCH = WatchLevels()
DAY = timedelta(days=1)


def test_our_rules_are_valid() -> None:
    assert problems(RULES, WATCH) == []


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        (replace(HEALTH_LOW, tiers=(Tier(41, DAY, "P3"),)), "41 is no watch level of health (75, 50, 40, 25)"),
        (replace(HEALTH_LOW, clear_level=55), "55 is no watch level"),
        (replace(DISENGAGING, tiers=(Tier(0.6, DAY, "P2"),)), "0.6 is no watch level of risk (0.55, 0.7)"),
        (replace(HEALTH_LOW, clear_level=40), "the clear level must be stricter"),
        (replace(DISENGAGING, clear_level=0.7), "the clear level must be stricter"),
        (replace(HEALTH_LOW, tiers=()), "needs 1 to 2 tiers"),
        (replace(HEALTH_LOW, tiers=tuple(reversed(HEALTH_LOW.tiers))), "each tier must be worse and more urgent"),
        (
            replace(HEALTH_LOW, tiers=(Tier(40, DAY, "P2"), Tier(25, DAY, "P2"))),
            "each tier must be worse and more urgent",
        ),
        (replace(HEALTH_LOW, clear_hold=timedelta(days=14)), "336 h does not lie between 0 h and the window"),
        (replace(HEALTH_LOW, clear_hold=timedelta(seconds=-1)), "does not lie between 0 h and the window"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_reason(rule: Rule, part: str) -> None:
    found = problems([rule], WATCH)

    assert len(found) == 1
    assert found[0].startswith(f"{rule.name}: ")
    assert part in found[0]


def test_a_name_is_used_once() -> None:
    assert problems([HEALTH_LOW, HEALTH_LOW], WATCH) == ["health_low: there are two rules of this name"]


def test_a_rule_is_described_in_one_line() -> None:
    assert describe(HEALTH_LOW) == (
        "health_low v1: health <= 40 for 24 h is P3, <= 25 for 6 h is P2; clears when > 50 for 48 h; "
        "needs confidence 0.25"
    )
    assert describe(DISENGAGING) == "disengaging v1: risk >= 0.7 for 24 h is P2; clears when < 0.55 for 48 h"
