"""The rules of a trial are those of notify, and what they make of a history is what notify makes of its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from schemas.alerts import Urgency
from schemas.events import OfRelationship
from schemas.primitives import to_micros
from schemas.programs import WatchLevels
from schemas.scores import SCORE_EVENT
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.rules import RULES as NOTIFY_RULES
from services.notify.domain.rules import Rule as NotifyRule
from services.notify.domain.rules import Tier
from services.notify.domain.window import WINDOW
from services.scoring.domain.bounds import DAY, HOUR
from services.scoring.domain.history import History
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.row import Row
from services.scoring.domain.telling import clock_event, score_event
from services.scoring.domain.what_if.alerts import Alert, alerts
from services.scoring.domain.what_if.rules import (
    DISENGAGING,
    HEALTH_LOW,
    LONGEST_HOLD,
    RULES,
    AlertRule,
    Threshold,
    unwatched,
    watching,
)
from tests.scoring.building import KEY, ended, facts, held, message, micros, missed, paused, resumed, started
from tests.scoring.random_logs import random_log

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize("ours", RULES, ids=lambda rule: rule.name)
def test_names_levels_and_durations_are_those_of_notify(ours: AlertRule) -> None:
    (theirs,) = (rule for rule in NOTIFY_RULES if rule.name == ours.name)

    assert ours.measure == theirs.measure
    assert ours.fires == tuple(Threshold(tier.level, tier.hold // MICROSECOND) for tier in theirs.tiers)
    assert ours.clears == Threshold(theirs.clear_level, theirs.clear_hold // MICROSECOND)
    assert ours.least_confidence == theirs.least_confidence
    assert WINDOW // MICROSECOND == LONGEST_HOLD
    assert list(ours.problems()) == []


@pytest.mark.parametrize("seed", range(100))
def test_a_history_alerts_when_notify_would(seed: int) -> None:
    rng = Random(seed)
    rows, until = history(rng)

    for rule in (*RULES, *(random_rule(rng) for _ in range(5))):
        assert alerts(rule, rows, until) == as_notify(rule, rows, until)


def test_random_rules_on_random_histories_fire_and_resolve_often() -> None:
    found: list[Alert] = []
    for seed in range(100):
        rng = Random(seed)
        rows, until = history(rng)
        found += [alert for _ in range(5) for alert in alerts(random_rule(rng), rows, until)]

    assert len(found) > 100
    assert sum(alert.resolved is not None for alert in found) > 10


def test_a_silent_relationship_alerts_after_its_time_and_resolves_after_contact() -> None:
    (fired,) = found(DISENGAGING, 60, started(0.5, 7), held(1.5), held(50.5))
    crossed = next(
        at
        for at, row in History(facts(started(0.5, 7), held(1.5)), DEFAULT).rows(-1, micros(50)).items()
        if "crossing.risk.0.7" in row.causes
    )

    assert fired == Alert(crossed + 24 * HOUR, micros(50.5) + 48 * HOUR)


def test_an_alert_stays_open_until_the_end() -> None:
    (fired,) = found(DISENGAGING, 60, started(0.5, 7), held(1.5))

    assert fired.resolved is None


def test_while_paused_nothing_becomes_due() -> None:
    quiet = [started(0.5, 7), held(1.5)]
    (fired,) = found(DISENGAGING, 60, *quiet)
    begin = (fired.fired - 12 * HOUR - micros(0)) / DAY

    (later,) = found(DISENGAGING, 60, *quiet, paused(begin), resumed(begin + 5))

    assert later.fired == fired.fired + 5 * DAY


def test_the_end_of_a_relationship_closes_its_alert() -> None:
    (fired,) = found(DISENGAGING, 60, started(0.5, 7), held(1.5), ended(50.25))

    assert fired.resolved == micros(50.25)


def test_the_worse_of_two_levels_may_come_first() -> None:
    slow = replace(HEALTH_LOW, fires=(Threshold(40, 13 * DAY), Threshold(25, 6 * HOUR)), least_confidence=0.0)
    events = [started(0.5, 7), held(1.5), *(missed(2.5 + day) for day in range(8)), message(12.5, "mentor")]

    (fired,) = found(slow, 200, *events)
    (by_the_first,) = found(replace(slow, fires=slow.fires[:1]), 200, *events)

    assert fired.fired < by_the_first.fired


def test_low_confidence_fires_nothing() -> None:
    assert found(HEALTH_LOW, 300, started(0.5, 7)) == []
    assert len(found(replace(HEALTH_LOW, least_confidence=0.0), 300, started(0.5, 7))) == 1


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (replace(HEALTH_LOW, fires=(Threshold(101, HOUR),)), "101 is no health: it lies between 0 and 100"),
        (replace(DISENGAGING, clears=Threshold(0, HOUR)), "0 is no risk: it lies between 0 and 1"),
        (replace(HEALTH_LOW, clears=Threshold(50, 14 * DAY)), "336 h does not lie between 0 h and 336 h"),
        (replace(HEALTH_LOW, clears=Threshold(40, HOUR)), "the level at which it clears must be better than"),
        (replace(DISENGAGING, clears=Threshold(0.8, HOUR)), "the level at which it clears must be better than"),
    ],
)
def test_a_rule_that_cannot_work_says_why(rule: AlertRule, problem: str) -> None:
    assert any(said.startswith(problem) for said in rule.problems())


def test_levels_that_a_profile_does_not_watch_are_named_and_watched_for_the_trial() -> None:
    watch = WatchLevels(health=(75, 40), risk=(0.6,))

    assert unwatched((HEALTH_LOW,), watch) == [
        "25 is no watch level of health, but health_low needs it",
        "50 is no watch level of health, but health_low needs it",
    ]
    assert watching(RULES, watch) == WatchLevels(health=(25, 40, 50, 75), risk=(0.55, 0.6, 0.7))
    assert unwatched(RULES, WatchLevels()) == []


def found(rule: AlertRule, days: float, *events: OfRelationship) -> list[Alert]:
    return alerts(rule, History(facts(*events), DEFAULT).rows(-1, micros(days)), micros(days))


def history(rng: Random) -> tuple[Mapping[int, Row], int]:
    log = [event for key, event in random_log(rng) if key == "t/x"]
    until = max(micros(0), *(to_micros(event.time) for event in log)) + rng.randrange(60) * DAY
    return History(facts(*log), DEFAULT).rows(-1, until), until


def random_rule(rng: Random) -> AlertRule:
    """Levels that ordinary histories cross, and times that they last."""
    mild, severe = rng.uniform(60, 92), rng.uniform(20, 60)
    clear = mild + rng.uniform(0.1, 4)
    holds = [rng.choice([0, 1, 7, 24, 90]) * HOUR for _ in range(3)]
    confidence = rng.choice([0.0, 0.1, 0.25])
    fires = (Threshold(mild, holds[0]), Threshold(severe, holds[1]))[: rng.choice([1, 2])]
    if rng.random() < 0.5:
        return AlertRule("low", "health", fires, Threshold(clear, holds[2]), confidence)
    risky = tuple(Threshold(1 - threshold.level / 100, threshold.hold) for threshold in fires)
    return AlertRule("high", "risk", risky, Threshold(1 - clear / 100, holds[2]), confidence)


def as_notify(rule: AlertRule, rows: Mapping[int, Row], until: int) -> list[Alert]:
    """What notify's desk makes of the same rows, told one by one, and of the clock at the end."""
    desk = PartitionAlerts(Evaluator((of_notify(rule),), "log"), {}, None)
    out: list[Alert] = []
    for happened in _happenings(desk, rows, until):
        turn, at = happened.transition, to_micros(happened.transition.at)
        if turn.name == "fired":
            out.append(Alert(at, None))
        elif turn.name == "resolved":
            out[-1] = out[-1]._replace(resolved=at)
    return out


def of_notify(rule: AlertRule) -> NotifyRule:
    urgencies: tuple[Urgency, ...] = ("P3", "P2")
    return NotifyRule(
        name=rule.name,
        version="1",
        measure=rule.measure,
        tiers=tuple(
            Tier(threshold.level, threshold.hold * MICROSECOND, urgency)
            for threshold, urgency in zip(rule.fires, urgencies, strict=False)
        ),
        clear_level=rule.clears.level,
        clear_hold=rule.clears.hold * MICROSECOND,
        least_confidence=rule.least_confidence,
    )


def _happenings(desk: PartitionAlerts, rows: Mapping[int, Row], until: int) -> Iterator[Transitioned]:
    for at, row in rows.items():
        told = score_event(Emission(KEY, "p", at, 0, row, changed=True, trigger=None))
        yield from desk.take(SCORE_EVENT.validate_json(told))
    yield from desk.take(SCORE_EVENT.validate_json(clock_event(0, until)))
