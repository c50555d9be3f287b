"""Weeks of programmes against a recount that shares nothing with their SQL."""

import random
import statistics
from collections import defaultdict
from contextlib import closing
from datetime import date, timedelta

from schemas.scores import ScoreRow
from services.runtime.clickhouse import ClickHouse
from services.warehouse.flow.recompute_all import recompute_all
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import held
from tests.warehouse.test_derived import BEGIN, DAYS, PAIRS, History, tell_corrections, tell_history

COLUMNS = (
    "relationships, ended, at_risk, on_track, needs_attention, too_early, active_relationships, sessions, messages, "
    "round(health_mean, 4), round(health_median, 4)"
)


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def weeks_of(warehouse: Warehouse) -> dict[date, tuple[object, ...]]:
    rows = warehouse.ask(f"SELECT week, {COLUMNS} FROM mentoring_mart.program_week WHERE tenant_id = {{tenant}}")
    return {week: tuple(counts) for week, *counts in rows}


def recount(history: History, sessions: dict[str, date]) -> dict[date, tuple[object, ...]]:
    last: dict[date, dict[str, ScoreRow]] = defaultdict(dict)
    for day, said in sorted(history.last_of_days().items()):
        last[monday(day)] |= said
    weeks = {*last, *map(monday, sessions.values())}
    return {week: counted(week, last[week], sessions) for week in weeks}


def counted(week: date, last: dict[str, ScoreRow], sessions: dict[str, date]) -> tuple[object, ...]:
    scores = [said.score for said in last.values() if said.score]
    here = [found for found in scores if found.status != "ended"]
    early = [found for found in here if found.confidence < 0.25]
    well = [found for found in here if found.band in {"thriving", "steady"} and found.risk < 0.7 and found not in early]
    met = [pair for pair, day in sessions.items() if monday(day) == week]
    healths = [round(found.health, 6) for found in here]
    return (
        len(here),
        len(scores) - len(here),
        sum(found.risk >= 0.7 for found in here),
        len(well),
        len(here) - len(well) - len(early),
        len(early),
        len(met),
        len(met),
        0,
        round(statistics.fmean(healths), 4) if healths else None,
        round(statistics.median(healths), 4) if healths else None,
    )


def test_weeks_are_those_of_a_recount_after_corrections_and_deletions_and_when_recomputed(warehouse: Warehouse) -> None:
    chance, history = random.Random(9), History()
    sessions = {f"pair-{n}": (BEGIN + timedelta(days=chance.randrange(DAYS))).date() for n in range(PAIRS)}
    told = [
        held(BEGIN + timedelta(days=(day - BEGIN.date()).days), pair, warehouse.tenant)
        for pair, day in sessions.items()
    ]

    with warehouse.running() as running:
        tell_history(warehouse, history, chance)
        warehouse.write("events", *told)
        tell_corrections(warehouse, history, chance)
        expected = recount(history, sessions)
        running.until(lambda: weeks_of(warehouse) == expected, "every week")
    with closing(ClickHouse(warehouse.settings)) as clickhouse:
        recompute_all(clickhouse, lambda _: None)

    assert weeks_of(warehouse) == expected
    assert len(expected) == 4


def test_a_week_without_remaining_rows_is_deleted(warehouse: Warehouse) -> None:
    history = History()
    chance = random.Random(3)
    tell_history(warehouse, history, chance)
    warehouse.store_all()
    warehouse.recompute()
    assert weeks_of(warehouse)
    for table in ("score_history", "score_revisions"):
        warehouse.clickhouse.command(
            f"ALTER TABLE mentoring.{table} DELETE WHERE tenant_id = '{warehouse.tenant}' SETTINGS mutations_sync = 2"
        )

    recompute_all(warehouse.clickhouse, lambda _: None)

    assert weeks_of(warehouse) == {}
