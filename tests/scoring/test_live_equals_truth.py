"""The central property: whatever happens on the way, the emitted rows are score(facts, instant).

As many logs are tried as other properties have examples; `RANDOM_LOGS=5000` sets the number."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from schemas.events import MentoringEvent, OfPartition
from schemas.primitives import to_micros
from services.scoring.domain import bounds, layout, memory
from services.scoring.domain.bounds import DAY
from services.scoring.domain.facts import Facts, facts_of, merged
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.layout import RelationshipState, facts_bytes
from services.scoring.domain.memory import trimmed
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.verification import ComparableRow, comparable
from tests.scoring import building as b
from tests.scoring import readers
from tests.scoring.chances import live
from tests.scoring.effort import PROPERTY
from tests.scoring.random_logs import TICK, Log, random_log
from tests.scoring.simulated_maintenance import lies_on, split
from tests.scoring.simulation import Play, interleaved

CASES = int(os.environ.get("RANDOM_LOGS", str(PROPERTY.max_examples)))
SMALL_GROUPS = {"outcomes": 4, "held": 1, "started": 2, "status": 4, "bookings": 2}


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so small that a short log trims, fills groups and falls below the floor."""
    monkeypatch.setattr(bounds, "HORIZON", 12 * bounds.DAY)
    monkeypatch.setattr(bounds, "FLOOR", 6 * bounds.DAY)
    monkeypatch.setattr(bounds, "LOOKBACK", 5 * bounds.DAY)
    monkeypatch.setattr(bounds, "GROUP_CAPACITY", 5)
    monkeypatch.setattr(bounds, "CONTACT_DAYS", 5)
    monkeypatch.setattr(bounds, "CONTACT_WINDOW_DAYS", 20)
    monkeypatch.setattr("services.scoring.domain.evaluation.POINTS", (5, 3, 1))
    monkeypatch.setattr("services.scoring.domain.write_phases.ROUND", 3)
    monkeypatch.setattr("services.scoring.domain.partition.DUE_BATCH", 2)
    monkeypatch.setattr("services.scoring.domain.history.CACHED_EVALUATIONS", 1)
    monkeypatch.setattr("services.scoring.domain.crossings.CACHED_CROSSINGS", 1)
    monkeypatch.setattr("services.scoring.domain.history.CACHED_HEALTHS", 2)
    monkeypatch.setattr("services.scoring.domain.history.WINDOW", 2 * bounds.DAY)
    monkeypatch.setattr("services.scoring.domain.timeline.CACHED_SNAPSHOTS", 1)
    for name in memory.SELECTED_PER_GROUP:
        monkeypatch.setitem(memory.SELECTED_PER_GROUP, name, SMALL_GROUPS.get(name, 2))


@pytest.mark.parametrize("seed", range(CASES))
def test_live_rows_equal_the_truth_whatever_crashed_and_all_rows_do_after_a_heal(seed: int) -> None:
    rng = Random(seed)

    events, play, partition = played(seed, rng)

    assert emitted_twice(play) == []
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
        assert emitted_twice(play) == []
        assert differences(play, play.alive().partition) == []


@pytest.mark.parametrize("seed", range(CASES))
def test_facts_merge_in_any_order_grouping_and_repetition_to_equal_bytes(seed: int) -> None:
    rng = Random(seed)
    events = [event for key, event in random_log(rng) if key == "t/x"]
    singles = [RelationshipState(facts_of(event, offset), offset) for offset, event in enumerate(events)]
    full = RelationshipState()
    for single in singles:
        full = full.merge(single)

    pile = singles + rng.choices(singles, k=rng.randint(0, 5)) if singles else [RelationshipState()]
    rng.shuffle(pile)
    while len(pile) > 1:
        i = rng.randrange(len(pile) - 1)
        pile[i : i + 2] = [pile[i].merge(pile[i + 1])]

    assert facts_bytes(pile[0].facts) == facts_bytes(full.facts)
    assert layout.load(layout.dump(full)) == full


@pytest.mark.parametrize("seed", range(CASES // 4))
def test_partitions_that_a_process_works_on_in_turns_disturb_each_other_in_nothing(seed: int) -> None:
    """One of them may move its clock by weeks meanwhile, and the process may die while each is in another phase."""
    rng = Random(seed)
    logs = [random_log(rng) for _ in range(rng.choice([2, 3]))]
    plays = [Play(log) for log in logs]
    for steps in (rng.randint(0, 40), rng.randint(0, 200), None):
        for play in plays:
            play.feed(len(play.events) if steps is None else rng.randint(0, 12))
        interleaved(plays, rng, steps)
        for play in plays:
            play.land()

    for play, log in zip(plays, logs, strict=True):
        partition = play.finish()
        assert emitted_twice(play) == []
        assert facts_told(partition, log) == facts_kept(log)
        assert differences(play, partition) == []


def test_an_event_of_one_partition_does_not_wait_for_the_span_of_another() -> None:
    """They take turns row by row: no step emits more than one batch of due rows."""
    quiet = [("t/x", b.message(day, "mentor")) for day in (0, 300)]
    fresh = [("t/y", b.message(day, "mentor")) for day in (300, 300.01)]
    plays = [Play(quiet), Play(fresh)]
    for play in plays:
        play.feed(2)

    order = interleaved(plays, Random(1), None)

    assert len(order) > 100
    assert max(at for at, number in enumerate(order) if number == 1) < len(order) // 2


@pytest.mark.parametrize("seed", range(CASES // 4))
def test_a_log_that_is_copied_to_more_partitions_goes_on_exactly(seed: int) -> None:
    """What was late, retracted or erased before the copy, and comes after it; a heal works on the copy too."""
    rng = Random(seed)
    log = random_log(rng)
    begin, rest = log[: len(log) // 2], log[len(log) // 2 :]
    old = Play(begin)
    live(old, rng)

    children = split(old.broker, 2)

    for number, child in enumerate(children):
        copied = [(key, event) for _, key, event in child.log if event is not None]
        play = Play([*copied, *(entry for entry in rest if lies_on(entry[0], 2) == number)], child)
        partition = live(play, rng)
        assert emitted_twice(play) == []
        assert differences(play, partition) == []
        play.begin_heal()
        play.go_on_healing(10**9)
        play.tick(DAY + 3 * TICK)
        play.restart()
        assert differences(play, play.alive().partition) == []


def test_the_random_logs_are_hard_enough() -> None:
    """Guards the generator: enough cases trim, correct the past, delete rows, heal, and only some go stale."""
    met = Counter[str]()
    for seed in range(60):
        if seed not in MET:
            played(seed, Random(seed))
        met.update(MET[seed])

    assert met["trims"] > 10
    assert met["corrections"] > 20
    assert met["deletions"] > 5
    assert met["heals"] > 5
    assert met["refused"] > 1
    assert met["replays"] > 5
    assert 5 < met["stale"] < 45


MET: dict[int, Counter[str]] = {}
"""By the seed, what came about in the logs that were played: to play them again for the guard takes as long."""


def played(seed: int, rng: Random) -> tuple[Log, Play, ScoredPartition]:
    events = random_log(rng)
    play = Play(events)
    partition = live(play, rng)
    MET[seed] = Counter(
        trims=any(len(s.facts) < len(truth(events, k)) for k, s in partition.states.items()),
        corrections=any(not record.emission.changed for record in play.broker.scores),
        deletions=any(record.emission.row is None for record in play.broker.scores),
        heals=any(record.heal for record in play.broker.scores),
        refused=play.refused,
        replays=play.broker.bound is not None,
        stale=bool(stale_of(partition)),
    )
    return events, play, partition


def emitted_twice(play: Play) -> list[object]:
    """Versions of an instant that were emitted with two contents: they would have the same id."""
    texts: dict[tuple[object, object], HistoryRow | None] = {}
    return [
        (record.key, record.version, fields)
        for record in play.broker.scores
        if (row := texts.setdefault((record.key, record.version), record.emission.row)) != record.emission.row
        and (fields := _fields(row, record.emission.row))
    ]


def facts_told(partition: ScoredPartition, events: Log) -> dict[str, bytes]:
    keys = {key for key, _ in events}
    return {key: facts_bytes(partition.states.get(key, RelationshipState()).facts) for key in sorted(keys)}


def facts_kept(events: Log) -> dict[str, bytes]:
    return {key: facts_bytes(trimmed(truth(events, key))) for key in sorted({key for key, _ in events})}


def stale_of(partition: ScoredPartition) -> set[str]:
    return {key for key, state in partition.states.items() if state.is_stale(partition.clock)}


def differences(play: Play, partition: ScoredPartition) -> list[tuple[object, ...]]:
    """What any reader shows otherwise than the truth, relationships that are stale aside; of these notify still has to
    show the newest row, unless it lies below the floor."""
    stale, clock, scores = stale_of(partition), partition.clock, play.broker.scores
    rows = play.broker.rows
    table, state, shown = readers.table(rows), readers.relationship_state(rows), readers.newest_shown(scores)
    found: list[tuple[object, ...]] = [("row beyond the clock", key) for key in table if key[1] > clock]
    for key in sorted({key for key, _ in play.events}):
        true = ScoreHistory(truth(play.events, key), DEFAULT).rows(0, clock)
        newest = next(((at, true[at]) for at in reversed(true)), None)
        below = newest is None or (
            key in stale and newest[0] < ScoreHistory(partition.states[key].facts, DEFAULT).index.floor(clock)
        )
        if key not in stale:
            found += [("table", key, *one) for one in different(true, readers.rows_of(table, key))]
            found += [
                ("relationship_state", key, *one) for one in different(_as_rows(newest), _as_rows(state.get(key)))
            ]
        if key not in stale or not below:
            found += [("notify", key, *one) for one in different(_as_rows(newest), _as_rows(shown.get(key)))]
    return found


def different(true: Mapping[int, HistoryRow], stored: Mapping[int, HistoryRow]) -> list[tuple[int, object]]:
    """The instants whose rows differ, and in which fields."""
    return [
        (at, fields)
        for at in sorted(true.keys() | stored.keys())
        if true.get(at) != stored.get(at) and (fields := _fields(true.get(at), stored.get(at)))
    ]


def truth(events: Sequence[tuple[str, MentoringEvent]], key: str) -> Facts:
    facts: Facts = {}
    for offset, (name, event) in enumerate(events):
        if name == key and not isinstance(event, OfPartition):
            facts = merged(facts, facts_of(event, offset))
    return facts


def on_time(events: Log) -> bool:
    """Nothing far below the clock, no full group, no end, no erasure: no relationship may be stale."""
    clock, sizes = 0, Counter[tuple[str, str]]()
    for key, event in events:
        clock = max(clock, to_micros(event.recordedtime), to_micros(event.time))
        for fact in facts_of(event, 0):
            sizes.update((key, name) for name in memory.groups(fact))
            if fact.time < clock - bounds.FLOOR + 4 * TICK or fact.kind in {FactKind.ENDED, FactKind.ERASED}:
                return False
    return max(sizes.values(), default=0) < bounds.GROUP_CAPACITY


def _as_rows(shown: tuple[int, HistoryRow | None] | None) -> dict[int, HistoryRow]:
    return {} if shown is None or shown[1] is None else {shown[0]: shown[1]}


def _fields(true: HistoryRow | None, stored: HistoryRow | None) -> object:
    if true is None or stored is None:
        return "missing" if stored is None else "too much"
    pairs = zip(ComparableRow._fields, comparable(true), comparable(stored), strict=True)
    return [name for name, a, b in pairs if a != b]
