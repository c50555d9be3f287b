"""The property that everything rests on: whatever happens on the way, the rows told are score(facts, instant).

`RANDOM_LOGS=5000` tries so many logs instead of the usual number."""

import os
from collections import Counter
from collections.abc import Mapping
from random import Random

import pytest

from schemas.primitives import to_micros
from services.scoring.domain import bounds, layout, memory, trend
from services.scoring.domain.bounds import DAY
from services.scoring.domain.facts import Facts, facts_of, merged
from services.scoring.domain.history import History
from services.scoring.domain.kinds import Kind
from services.scoring.domain.memory import trimmed
from services.scoring.domain.partition import Partition
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.row import Row
from services.scoring.domain.state import State
from services.scoring.domain.verification import Statement, statement
from tests.scoring import readers
from tests.scoring.chances import live
from tests.scoring.random_logs import TICK, Log, random_log
from tests.scoring.simulation import Play

CASES = int(os.environ.get("RANDOM_LOGS", "400"))
SMALL_GROUPS = {"outcomes": 4, "held": 1, "started": 2, "status": 4, "bookings": 2}


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so small that a short log trims, fills groups and falls below the floor."""
    monkeypatch.setattr(bounds, "HORIZON", 12 * bounds.DAY)
    monkeypatch.setattr(bounds, "FLOOR", 6 * bounds.DAY)
    monkeypatch.setattr(bounds, "LOOKBACK", 5 * bounds.DAY)
    monkeypatch.setattr(bounds, "KEPT_WHOLE", 5)
    monkeypatch.setattr(bounds, "CONTACT_DAYS", 5)
    monkeypatch.setattr(bounds, "CONTACT_WINDOW_DAYS", 20)
    monkeypatch.setattr(trend, "POINTS", (5, 3, 1))
    monkeypatch.setattr("services.scoring.domain.steps.ROUND", 3)
    monkeypatch.setattr("services.scoring.domain.partition.DUE_AT_ONCE", 2)
    monkeypatch.setattr("services.scoring.domain.history.REMEMBERED", 1)
    monkeypatch.setattr("services.scoring.domain.history.REMEMBERED_HEALTHS", 2)
    monkeypatch.setattr("services.scoring.domain.history.WINDOW", 2 * bounds.DAY)
    monkeypatch.setattr("services.scoring.domain.snapshots.timeline.REMEMBERED", 1)
    for name in memory.LOOKED_AT:
        monkeypatch.setitem(memory.LOOKED_AT, name, SMALL_GROUPS.get(name, 2))


@pytest.mark.parametrize("seed", range(CASES))
def test_live_rows_equal_the_truth_whatever_crashed_and_all_rows_do_after_a_heal(seed: int) -> None:
    rng = Random(seed)
    events = random_log(rng)
    play = Play(events)

    partition = live(play, rng)

    assert said_twice(play) == []
    assert facts_told(partition, events) == facts_kept(events)
    stale = stale_of(partition)
    assert not stale or not on_time(events), "nothing is stale without a cause, whatever crashed"
    assert differences(play, partition) == []
    if stale:
        play.begin_heal()
        play.go_on_healing(10**9)
        if rng.random() < 0.5:
            play.restart()
        play.tick(DAY + 3 * TICK)
        play.restart()
        assert said_twice(play) == []
        assert differences(play, play.alive().partition) == []


@pytest.mark.parametrize("seed", range(CASES))
def test_facts_merge_in_any_order_grouping_and_repetition_to_equal_bytes(seed: int) -> None:
    rng = Random(seed)
    events = [event for key, event in random_log(rng) if key == "t/x"]
    singles = [State(facts_of(event, offset), offset) for offset, event in enumerate(events)]
    whole = State()
    for single in singles:
        whole = whole.merge(single)

    pile = singles + rng.choices(singles, k=rng.randint(0, 5)) if singles else [State()]
    rng.shuffle(pile)
    while len(pile) > 1:
        i = rng.randrange(len(pile) - 1)
        pile[i : i + 2] = [pile[i].merge(pile[i + 1])]

    assert layout.facts_bytes(pile[0].facts) == layout.facts_bytes(whole.facts)
    assert layout.load(layout.dump(whole)) == whole


def test_the_random_logs_are_hard_enough() -> None:
    """Guards the generator: enough cases trim, correct the past, delete rows, heal, and only some go stale."""
    trims = corrections = deletions = stale = heals = 0
    for seed in range(60):
        rng = Random(seed)
        events = random_log(rng)
        play = Play(events)
        partition = live(play, rng)
        trims += any(len(s.facts) < len(truth(events, k)) for k, s in partition.states.items())
        corrections += any(not told.emission.changed for told in play.broker.scores)
        deletions += any(told.emission.row is None for told in play.broker.scores)
        heals += any(told.heal for told in play.broker.scores)
        stale += bool(stale_of(partition))

    assert trims > 10
    assert corrections > 20
    assert deletions > 5
    assert heals > 5
    assert 5 < stale < 45


def said_twice(play: Play) -> list[object]:
    """Where one version of one instant says two things: they would have the same id."""
    said: dict[tuple[object, object], Row | None] = {}
    return [
        (told.place, told.version, fields)
        for told in play.broker.scores
        if (row := said.setdefault((told.place, told.version), told.emission.row)) != told.emission.row
        and (fields := _fields(row, told.emission.row))
    ]


def facts_told(partition: Partition, events: Log) -> dict[str, bytes]:
    keys = {key for key, _ in events}
    return {key: layout.facts_bytes(partition.states.get(key, State()).facts) for key in sorted(keys)}


def facts_kept(events: Log) -> dict[str, bytes]:
    return {key: layout.facts_bytes(trimmed(truth(events, key))) for key in sorted({key for key, _ in events})}


def stale_of(partition: Partition) -> set[str]:
    return {key for key, state in partition.states.items() if state.is_stale(partition.clock)}


def differences(play: Play, partition: Partition) -> list[tuple[object, ...]]:
    """What any reader shows otherwise than the truth, relationships that are stale aside; of these notify still has to
    show the newest row, unless it lies below the floor."""
    stale, clock, scores = stale_of(partition), partition.clock, play.broker.scores
    table, state, shown = readers.table(scores), readers.relationship_state(scores), readers.newest_told(scores)
    found: list[tuple[object, ...]] = [("row beyond the clock", place) for place in table if place[1] > clock]
    for key in sorted({key for key, _ in play.events}):
        true = History(truth(play.events, key), DEFAULT).rows(0, clock)
        newest = next(((at, true[at]) for at in reversed(true)), None)
        below = newest is None or (
            key in stale and newest[0] < History(partition.states[key].facts, DEFAULT).floor(clock)
        )
        if key not in stale:
            found += [("table", key, *one) for one in different(true, readers.rows_of(table, key))]
            found += [
                ("relationship_state", key, *one) for one in different(_as_rows(newest), _as_rows(state.get(key)))
            ]
        if key not in stale or not below:
            found += [("notify", key, *one) for one in different(_as_rows(newest), _as_rows(shown.get(key)))]
    return found


def different(true: Mapping[int, Row], stored: Mapping[int, Row]) -> list[tuple[int, object]]:
    """The instants whose rows say different things, and in which fields."""
    return [
        (at, fields)
        for at in sorted(true.keys() | stored.keys())
        if true.get(at) != stored.get(at) and (fields := _fields(true.get(at), stored.get(at)))
    ]


def truth(events: Log, key: str) -> Facts:
    facts: Facts = {}
    for offset, (name, event) in enumerate(events):
        if name == key:
            facts = merged(facts, facts_of(event, offset))
    return facts


def on_time(events: Log) -> bool:
    """Nothing far below the clock, no full group, no end, no erasure: no relationship may be stale."""
    clock, sizes = 0, Counter[tuple[str, str]]()
    for key, event in events:
        clock = max(clock, to_micros(event.recordedtime), to_micros(event.time))
        for fact in facts_of(event, 0):
            sizes.update((key, name) for name in memory.groups(fact))
            if fact.time < clock - bounds.FLOOR + 4 * TICK or fact.kind in {Kind.ENDED, Kind.ERASED}:
                return False
    return max(sizes.values(), default=0) < bounds.KEPT_WHOLE


def _as_rows(shown: tuple[int, Row | None] | None) -> dict[int, Row]:
    return {} if shown is None or shown[1] is None else {shown[0]: shown[1]}


def _fields(true: Row | None, stored: Row | None) -> object:
    if true is None or stored is None:
        return "missing" if stored is None else "too much"
    pairs = zip(Statement._fields, statement(true), statement(stored), strict=True)
    return [name for name, a, b in pairs if a != b]
