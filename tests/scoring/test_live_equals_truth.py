"""The property that everything rests on: whatever happens on the way, the rows told are score(facts, instant)."""

from collections import Counter
from random import Random

import pytest

from schemas.primitives import to_micros
from services.scoring.domain import bounds, history, layout, memory
from services.scoring.domain.facts import Facts, Kind, facts_of, merged
from services.scoring.domain.history import History
from services.scoring.domain.memory import trimmed
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.state import State
from tests.scoring import simulation as sim
from tests.scoring.random_logs import TICK, Log, random_log

CASES = 240
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
    monkeypatch.setattr(history, "POINTS", (5, 3, 1))
    monkeypatch.setattr("services.scoring.domain.steps.ROUND", 3)
    monkeypatch.setattr("services.scoring.domain.partition.DUE_AT_ONCE", 2)
    for name in memory.LOOKED_AT:
        monkeypatch.setitem(memory.LOOKED_AT, name, SMALL_GROUPS.get(name, 2))


@pytest.mark.parametrize("seed", range(CASES))
def test_live_rows_equal_the_truth_whatever_crashed(seed: int) -> None:
    rng = Random(seed)
    events = random_log(rng)
    play = sim.Play(events)

    partition = sim.live(play, rng)

    truths = {key: _truth(events, key) for key in sorted({key for key, _ in events})}
    stale = {key for key, state in partition.states.items() if state.is_stale(partition.clock)}
    assert not stale or not _on_time(events), "nothing is stale without a cause, whatever crashed"
    told, newest = sim.table(play.broker.scores), sim.newest_told(play.broker.scores)
    for key, facts in truths.items():
        state = partition.states.get(key, State())
        assert layout.facts_bytes(state.facts) == layout.facts_bytes(trimmed(facts))
        if key in stale:
            continue
        rows = History(facts, DEFAULT).rows(0, partition.clock)
        assert {at: row for (name, at), row in told.items() if name == key} == rows
        last = max(rows, default=None)
        assert newest.get(key, (last, None))[1] == (None if last is None else rows[last])
    assert not [at for _, at in told if at > partition.clock], "no row beyond the clock"


@pytest.mark.parametrize("seed", range(CASES))
def test_one_position_of_one_instant_always_says_the_same(seed: int) -> None:
    rng = Random(seed)
    play = sim.Play(random_log(rng))

    sim.live(play, rng)

    said: dict[tuple[str, int, int], object] = {}
    for emission in play.broker.scores:
        key = (emission.relationship, emission.as_of, emission.position)
        assert said.setdefault(key, emission.row) == emission.row


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
    """Guards the generator: enough cases trim, correct the past, delete rows, and only some go stale."""
    trims = corrections = deletions = stale = 0
    for seed in range(60):
        rng = Random(seed)
        events = random_log(rng)
        play = sim.Play(events)
        partition = sim.live(play, rng)
        trims += any(len(s.facts) < len(_truth(events, k)) for k, s in partition.states.items())
        corrections += any(not emission.changed for emission in play.broker.scores)
        deletions += any(emission.row is None for emission in play.broker.scores)
        stale += any(state.is_stale(partition.clock) for state in partition.states.values())

    assert trims > 10
    assert corrections > 20
    assert deletions > 5
    assert 5 < stale < 45


def _truth(events: Log, key: str) -> Facts:
    facts: Facts = {}
    for offset, (name, event) in enumerate(events):
        if name == key:
            facts = merged(facts, facts_of(event, offset))
    return facts


def _on_time(events: Log) -> bool:
    """Nothing far below the clock, no full group, no end: no relationship may be stale."""
    clock, sizes = 0, Counter[tuple[str, str]]()
    for key, event in events:
        clock = max(clock, to_micros(event.recordedtime), to_micros(event.time))
        for fact in facts_of(event, 0):
            sizes.update((key, name) for name in memory.groups(fact))
            if fact.time < clock - bounds.FLOOR + 4 * TICK or fact.kind == Kind.ENDED:
                return False
    return max(sizes.values(), default=0) < bounds.KEPT_WHOLE
