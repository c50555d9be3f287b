"""The derived tables against a recount that shares nothing with their SQL."""

import random
import statistics
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from schemas.events import SessionHeld
from schemas.scores import Score, ScoreRow
from services.runtime.clickhouse import ClickHouse
from services.warehouse.flow.derived import DerivedTables
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import alert, band, changed, corrected, held, retracted, row, score

BEGIN = datetime(2024, 2, 20, tzinfo=UTC)
DAYS, PAIRS = 25, 8
COLUMNS = (
    "relationships, active, ended, sessions, health_p05, health_p25, health_p50, health_p75, health_p95, "
    "thriving, steady, strained, critical, at_risk, alerts"
)


@dataclass
class History:
    """What was said, and what of it is valid: per pair and instant the row of the greatest position."""

    valid: dict[tuple[str, datetime], ScoreRow] = field(default_factory=dict)
    position: int = 0

    def say(self, pair: str, as_of: datetime, said: ScoreRow) -> ScoreRow:
        self.position += 1
        placed = said.model_copy(update={"as_of": as_of, "position": self.position})
        self.valid[pair, as_of] = placed
        return placed

    def standing(self) -> Iterable[tuple[str, ScoreRow]]:
        return [(pair, said) for (pair, _), said in sorted(self.valid.items()) if not said.deleted]

    def last_of_days(self) -> dict[date, dict[str, ScoreRow]]:
        days: dict[date, dict[str, ScoreRow]] = defaultdict(dict)
        for pair, said in self.standing():
            days[said.as_of.date()][pair] = said
        return days

    def newest(self) -> dict[str, ScoreRow]:
        return dict(self.standing())


def test_a_programmes_days_are_those_of_a_recount(warehouse: Warehouse) -> None:
    chance, history = random.Random(5), History()
    sessions = [BEGIN + timedelta(days=chance.randrange(DAYS), hours=chance.randrange(24)) for _ in range(40)]
    fired = [BEGIN + timedelta(days=chance.randrange(DAYS), hours=chance.randrange(24)) for _ in range(9)]

    with warehouse.running() as running:
        tell_history(warehouse, history, chance)
        tell_corrections(warehouse, history, chance)
        warehouse.write("events", *(held(at, f"pair-{n}", warehouse.tenant) for n, at in enumerate(sessions)))
        warehouse.write("alerts", *(alert(at, f"pair-{n}", warehouse.tenant) for n, at in enumerate(fired)))
        warehouse.write("alerts", alert(fired[0], "pair-0", warehouse.tenant, transition="resolved"))
        expected = recount(history, sessions, fired)
        running.until(lambda: days_of(warehouse) == expected, "every day")

    assert running.failure is None
    assert len(expected) == DAYS


def test_a_sink_that_restarts_at_offset_0_leaves_every_aggregate_unchanged(warehouse: Warehouse) -> None:
    chance, history = random.Random(8), History()
    told = [
        held(BEGIN + timedelta(hours=chance.randrange(24 * DAYS)), f"pair-{n % 4}", warehouse.tenant, id=f"h-{n}")
        for n in range(30)
    ]
    tell_history(warehouse, history, chance)
    tell_corrections(warehouse, history, chance)
    warehouse.write("events", *told, retracted(told[0], told[0].subject, warehouse.tenant))
    warehouse.write("alerts", alert(BEGIN, "pair-0", warehouse.tenant))
    warehouse.store_all()
    warehouse.recompute()
    before = aggregates(warehouse)
    warehouse.forget_commits()

    ranges = warehouse.store_all()
    warehouse.recompute()

    assert aggregates(warehouse) == before
    assert before[1:3] == [expected_pair_days(history, told[1:]), expected_sessions(told[1:])]
    assert_counted(days_of(warehouse), recount(history, [one.time for one in told[1:]], [BEGIN]))
    assert min(ranges)[0] == 0


def test_the_state_of_a_relationship_is_its_newest_valid_row(warehouse: Warehouse) -> None:
    chance, history = random.Random(6), History()

    with warehouse.running() as running:
        tell_history(warehouse, history, chance)
        tell_corrections(warehouse, history, chance)
        gone = [history.say("pair-3", at, row(deleted=True)) for pair, at in list(history.valid) if pair == "pair-3"]
        warehouse.write("scores", *(corrected(said, "pair-3", warehouse.tenant) for said in gone))
        expected = {pair: (said.as_of, said.score.health) for pair, said in history.newest().items() if said.score}
        running.until(lambda: states_of(warehouse) == expected, "every state")

    assert running.failure is None
    assert "pair-3" not in expected
    assert len(expected) == PAIRS - 1


def test_keys_that_a_crash_left_stale_are_recomputed_at_the_next_start(warehouse: Warehouse) -> None:
    warehouse.write("scores", changed(row(), tenant=warehouse.tenant))
    with closing(ClickHouse(warehouse.settings)) as clickhouse:
        stopped = threading.Event()
        stopped.set()
        dies = DerivedTables(clickhouse, 0.1, stopped)
        with warehouse.running(derived=dies) as running:
            running.until(warehouse.is_committed, "the commit")
        assert states_of(warehouse) == {}

        DerivedTables(clickhouse, 0.1, threading.Event()).recompute_if_due()

    assert len(states_of(warehouse)) == 1
    assert len(days_of(warehouse)) == 1


def test_recomputed_keys_are_left_alone_until_rows_are_stored_and_a_late_insert_is_not_missed(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.warehouse.flow.derived.WIDE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("services.warehouse.flow.derived.SETTLED_MICROS", 0)
    derived = DerivedTables(warehouse.clickhouse, 0, threading.Event())
    warehouse.write("scores", changed(row(), tenant=warehouse.tenant))
    warehouse.store_all()
    derived.recompute_if_due()
    first = versions_of(warehouse)

    derived.recompute_if_due()
    again = versions_of(warehouse)
    # Stored a minute ago, visible only now: its client did not hear of it.
    warehouse.clickhouse.command(
        "INSERT INTO mentoring.score_history "
        "SELECT * REPLACE ('late' AS relationship_id, inserted_at - 60 AS inserted_at) "
        f"FROM mentoring.score_history WHERE tenant_id = '{warehouse.tenant}'"
    )
    derived.recompute_if_due()

    assert list(first) == ["r-1"]
    assert again == first
    assert list(versions_of(warehouse)) == ["late", "r-1"]


def versions_of(warehouse: Warehouse) -> dict[str, int]:
    """When each relationship was last recomputed."""
    return dict(
        warehouse.ask(
            "SELECT relationship_id, max(version) FROM mentoring.relationship_state WHERE tenant_id = {tenant} "
            "GROUP BY relationship_id ORDER BY relationship_id"
        )
    )


def test_the_very_first_record_of_the_log_has_a_state(warehouse: Warehouse) -> None:
    """Position 0 is a position, not the absence of one."""
    warehouse.write("scores", changed(row(BEGIN, position=0), "pair-0", warehouse.tenant))

    with warehouse.running() as running:
        running.until(lambda: states_of(warehouse), "the state")

    assert list(states_of(warehouse)) == ["pair-0"]


def tell_history(warehouse: Warehouse, history: History, chance: random.Random) -> None:
    """Midnight rows of every pair, some facts in between; one pair is paused at the end, one ends."""
    said = []
    for number in range(PAIRS):
        for day in range(DAYS):
            midnight = BEGIN + timedelta(days=day)
            said.append((f"pair-{number}", history.say(f"pair-{number}", midnight, some_row(chance))))
            if chance.random() < 0.3:
                at = midnight + timedelta(seconds=chance.randrange(1, 86_400))
                said.append((f"pair-{number}", history.say(f"pair-{number}", at, some_row(chance))))
    end = BEGIN + timedelta(days=DAYS - 1, hours=23, minutes=59, seconds=59)
    said.append(("pair-0", history.say("pair-0", end, some_row(chance, "ended"))))
    said.append(("pair-1", history.say("pair-1", end, some_row(chance, "paused"))))
    warehouse.write("scores", *(changed(row_, pair, warehouse.tenant) for pair, row_ in said))


def tell_corrections(warehouse: Warehouse, history: History, chance: random.Random) -> None:
    """Some rows become others, some are deleted; a day may lose all rows of a pair."""
    keys = chance.sample(sorted(history.valid), 60)
    said = [(pair, history.say(pair, at, some_row(chance))) for pair, at in keys[:30]]
    said += [(pair, history.say(pair, at, row(deleted=True))) for pair, at in keys[30:]]
    warehouse.write("scores", *(corrected(row_, pair, warehouse.tenant) for pair, row_ in said))


def some_row(chance: random.Random, status: str = "active") -> ScoreRow:
    health, risk = chance.randrange(0, 95_000_000) / 1e6, chance.choice([0.1, 0.699999, 0.7, 0.9])
    return row(score=score(health, risk, status=status, band=band(health)))


def assert_counted(found: dict[date, tuple[int, ...]], expected: dict[date, tuple[int, ...]]) -> None:
    """A quantile between two healths may lie half a millionth between two of its numbers: then either is right."""
    assert found.keys() == expected.keys()
    for day, counts in expected.items():
        assert found[day] == pytest.approx(counts, rel=0, abs=1), day
        assert (found[day][:4], found[day][9:]) == (counts[:4], counts[9:]), day


def recount(history: History, sessions: list[datetime], fired: list[datetime]) -> dict[date, tuple[int, ...]]:
    days = history.last_of_days()
    return {day: _counted(day, days.get(day, {}), sessions, fired) for day in _all_days(days, sessions, fired)}


def _all_days(days: Iterable[date], sessions: list[datetime], fired: list[datetime]) -> list[date]:
    return sorted({*days, *(at.date() for at in sessions), *(at.date() for at in fired)})


def _counted(day: date, last: dict[str, ScoreRow], sessions: list[datetime], fired: list[datetime]) -> tuple[int, ...]:
    scores = [said.score for said in last.values() if said.score]
    here = [found for found in scores if found.status != "ended"]
    healths = sorted(round(found.health * 1_000_000) for found in here)
    bands = [sum(found.band == name for found in here) for name in ("thriving", "steady", "strained", "critical")]
    return (
        len(here),
        sum(found.status == "active" for found in here),
        len(scores) - len(here),
        sum(at.date() == day for at in sessions),
        *_quantiles(healths),
        *bands,
        sum(found.risk >= 0.7 for found in here),
        sum(at.date() == day for at in fired),
    )


def _quantiles(healths: list[int]) -> list[int]:
    if len(healths) < 2:
        return healths * 5 or [0] * 5
    twentieths = statistics.quantiles(healths, n=20, method="inclusive")
    return [round(twentieths[n - 1]) for n in (1, 5, 10, 15, 19)]


def days_of(warehouse: Warehouse) -> dict[date, tuple[int, ...]]:
    rows = warehouse.ask(
        f"SELECT day, {COLUMNS} FROM mentoring.program_daily FINAL WHERE tenant_id = {{tenant}} ORDER BY day"
    )
    return {day: tuple(counts) for day, *counts in rows}


def states_of(warehouse: Warehouse) -> dict[str, tuple[datetime, float]]:
    rows = warehouse.ask(
        "SELECT relationship_id, as_of, health FROM mentoring_mart.relationship_current WHERE tenant_id = {tenant}"
    )
    return {pair: (as_of.replace(tzinfo=UTC), health) for pair, as_of, health in rows}


def test_days_of_relationships_and_types_are_those_of_a_recount(warehouse: Warehouse) -> None:
    chance, history = random.Random(7), History()
    told = [
        held(BEGIN + timedelta(hours=chance.randrange(24 * DAYS)), f"pair-{n % 4}", warehouse.tenant, id=f"h-{n}")
        for n in range(60)
    ]
    taken_back = chance.sample(told, 15)

    with warehouse.running() as running:
        tell_history(warehouse, history, chance)
        warehouse.write("events", *told)
        tell_corrections(warehouse, history, chance)
        warehouse.write("events", *(retracted(one, one.subject, warehouse.tenant) for one in taken_back))
        # A producer that was not sure sends some of it again.
        warehouse.write("events", *told[:20])
        standing = [one for one in told if one not in taken_back]
        running.until(lambda: pair_days(warehouse) == expected_pair_days(history, standing), "every pair's days")
        running.until(lambda: sessions_by_day(warehouse) == expected_sessions(standing), "every day's sessions")

    assert running.failure is None
    assert len(pair_days(warehouse)) > DAYS


def expected_pair_days(history: History, standing: list[SessionHeld]) -> dict[tuple[str, date], tuple[object, ...]]:
    """(scores, health, least, greatest, greatest risk, band, sessions) of every pair and day with any of it."""
    scores: dict[tuple[str, date], list[Score]] = defaultdict(list)
    for pair, said in history.standing():
        assert said.score is not None
        scores[pair, said.as_of.date()].append(said.score)
    held_on = Counter((one.subject, one.time.date()) for one in standing)
    return {key: _pair_day(scores.get(key, []), held_on[key]) for key in scores.keys() | held_on.keys()}


def _pair_day(scores: list[Score], sessions: int) -> tuple[object, ...]:
    if not scores:
        return (0, 0, 0, 0, 0, "", sessions)
    healths = [round(one.health * 1_000_000) for one in scores]
    risk = max(round(one.risk * 1_000_000) for one in scores)
    return (len(scores), healths[-1], min(healths), max(healths), risk, scores[-1].band, sessions)


def pair_days(warehouse: Warehouse) -> dict[tuple[str, date], tuple[object, ...]]:
    rows = warehouse.ask(
        "SELECT relationship_id, day, scores, health, health_min, health_max, risk_max, toString(band), sessions "
        "FROM mentoring.relationship_daily FINAL WHERE tenant_id = {tenant}"
    )
    return {(pair, day): tuple(values) for pair, day, *values in rows}


def expected_sessions(standing: list[SessionHeld]) -> dict[date, tuple[int, int]]:
    days = Counter(one.time.date() for one in standing)
    pairs = {day: len({one.subject for one in standing if one.time.date() == day}) for day in days}
    return {day: (count, pairs[day]) for day, count in days.items()}


def aggregates(warehouse: Warehouse) -> list[object]:
    """Of every derived table: those of which there is a recount first, the others but for when they were computed."""
    others = [
        warehouse.ask(
            f"SELECT * EXCEPT (version, is_deleted) FROM mentoring.{table} FINAL WHERE tenant_id = {{tenant}} "
            "ORDER BY ALL"
        )
        for table in ("relationships", "program_weekly", "activity_daily", "relationship_monthly")
    ]
    return [days_of(warehouse), pair_days(warehouse), sessions_by_day(warehouse), states_of(warehouse), *others]


def sessions_by_day(warehouse: Warehouse) -> dict[date, tuple[int, int]]:
    rows = warehouse.ask(
        "SELECT day, events, relationships FROM mentoring_mart.activity_day "
        "WHERE tenant_id = {tenant} AND type = 'mentoring.session.held.v1'"
    )
    return {day: (events, relationships) for day, events, relationships in rows}
