"""The rules of a trial give the same alerts as notify does for its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from schemas.events import OfRelationship
from schemas.primitives import to_micros
from schemas.programs import WatchLevels
from schemas.rule_faults import unwatched
from schemas.rules import DISENGAGING, HEALTH_LOW, LEVELLED_RULES, Rule, Tier
from schemas.scores import SCORE_EVENT
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.partition_alerts import PartitionAlerts
from services.scoring.domain.bounds import DAY, HOUR
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.serialization import clock_event, score_event
from services.scoring.domain.what_if import TrialAlert, alerts, watching
from tests.scoring.building import KEY, ended, facts, held, message, micros, missed, paused, resumed, started
from tests.scoring.random_logs import random_log


@pytest.mark.parametrize("seed", range(100))
def test_a_history_alerts_when_notify_would(seed: int) -> None:
    rng = Random(seed)
    rows, until = history(rng)

    for rule in (*LEVELLED_RULES, *(random_rule(rng) for _ in range(5))):
        assert alerts(rule, rows, until) == as_notify(rule, rows, until)


def test_random_rules_on_random_histories_fire_and_resolve_often() -> None:
    found: list[TrialAlert] = []
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
        for at, row in ScoreHistory(facts(started(0.5, 7), held(1.5)), DEFAULT).rows(-1, micros(50)).items()
        if "crossing.risk.0.7" in row.causes
    )

    assert fired == TrialAlert(crossed + 24 * HOUR, micros(50.5) + 48 * HOUR)


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
    tiers = (Tier(40, timedelta(days=13), "P3"), Tier(25, timedelta(hours=6), "P2"))
    slow = replace(HEALTH_LOW, tiers=tiers, least_confidence=0.0)
    events = [started(0.5, 7), held(1.5), *(missed(2.5 + day) for day in range(8)), message(12.5, "mentor")]

    (fired,) = found(slow, 200, *events)
    (by_the_first,) = found(replace(slow, tiers=slow.tiers[:1]), 200, *events)

    assert fired.fired < by_the_first.fired


def test_low_confidence_fires_nothing() -> None:
    assert found(HEALTH_LOW, 300, started(0.5, 7)) == []
    assert len(found(replace(HEALTH_LOW, least_confidence=0.0), 300, started(0.5, 7))) == 1


def test_levels_that_a_profile_does_not_watch_are_named_and_watched_for_the_trial() -> None:
    watch = WatchLevels(health=(75, 40), risk=(0.6,))

    assert unwatched(HEALTH_LOW, watch) == [
        "25 is no watch level of health (75, 40)",
        "50 is no watch level of health (75, 40)",
    ]
    assert watching(LEVELLED_RULES, watch) == WatchLevels(health=(25, 40, 50, 75), risk=(0.55, 0.6, 0.7))
    assert [gap for rule in LEVELLED_RULES for gap in unwatched(rule, WatchLevels())] == []


def found(rule: Rule, days: float, *events: OfRelationship) -> list[TrialAlert]:
    return alerts(rule, ScoreHistory(facts(*events), DEFAULT).rows(-1, micros(days)), micros(days))


def history(rng: Random) -> tuple[Mapping[int, HistoryRow], int]:
    log = [event for key, event in random_log(rng) if key == "t/x"]
    until = max(micros(0), *(to_micros(event.time) for event in log)) + rng.randrange(60) * DAY
    return ScoreHistory(facts(*log), DEFAULT).rows(-1, until), until


def random_rule(rng: Random) -> Rule:
    """Levels that ordinary histories cross, and times that they last."""
    mild, severe = rng.uniform(60, 92), rng.uniform(20, 60)
    clear = mild + rng.uniform(0.1, 4)
    holds = [timedelta(hours=rng.choice([0, 1, 7, 24, 90])) for _ in range(3)]
    confidence = rng.choice([0.0, 0.1, 0.25])
    tiers = (Tier(mild, holds[0], "P3"), Tier(severe, holds[1], "P2"))[: rng.choice([1, 2])]
    if rng.random() < 0.5:
        return Rule("low", "1", "health", tiers, clear, holds[2], confidence)
    risky = tuple(replace(tier, level=1 - tier.level / 100) for tier in tiers)
    return Rule("high", "1", "risk", risky, 1 - clear / 100, holds[2], confidence)


def as_notify(rule: Rule, rows: Mapping[int, HistoryRow], until: int) -> list[TrialAlert]:
    """The alerts of notify for the same rows, one by one, and for the clock at the end."""
    partition_alerts = PartitionAlerts(Evaluator((rule,), "log"), {}, None)
    out: list[TrialAlert] = []
    for transitioned in _transitions(partition_alerts, rows, until):
        turn, at = transitioned.transition, to_micros(transitioned.transition.at)
        if turn.name in {"fired", "unstable"}:
            out.append(TrialAlert(at, None))
        elif turn.name == "resolved":
            out[-1] = out[-1]._replace(resolved=at)
    return out


def _transitions(
    partition_alerts: PartitionAlerts, rows: Mapping[int, HistoryRow], until: int
) -> Iterator[Transitioned]:
    for at, row in rows.items():
        told = score_event(Emission(KEY, "p", at, 0, row, changed=True, trigger=None))
        yield from partition_alerts.apply(SCORE_EVENT.validate_json(told))
    yield from partition_alerts.apply(SCORE_EVENT.validate_json(clock_event(0, until)))
