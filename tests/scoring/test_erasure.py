"""An erasure is absorbing: it removes the whole history, whenever it comes, and nothing restores it."""

from services.scoring.domain.facts import facts_of, merged
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.late_facts import change_of
from services.scoring.domain.layout import PartitionWatermark, RelationshipState
from services.scoring.domain.memory import trimmed
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import DEFAULT, Programmes
from tests.scoring.building import KEY, apply, erased, facts, held, message, micros, retraction, started

EVENTS = (started(0), held(1), message(2, "mentor"))


def test_an_erased_relationship_has_no_rows_at_any_time() -> None:
    history = ScoreHistory(facts(*EVENTS, erased(3)), DEFAULT)

    assert history.rows(-1, micros(9)) == {}
    assert history.newest(micros(9)) is None
    assert history.due(micros(1)) is None


def test_what_comes_after_an_erasure_brings_nothing_back() -> None:
    history = ScoreHistory(facts(*EVENTS, erased(3)), DEFAULT)

    newer = change_of(history, RelationshipState(history.facts), facts_of(held(9), 9), micros(20))
    older = change_of(newer.history, newer.state, facts_of(held(8), 10), micros(20))

    assert [change.rows for change in (newer, older)] == [{}, {}]
    assert [change.history.rows(-1, micros(20)) for change in (newer, older)] == [{}, {}]


def test_the_memory_keeps_the_erasure_alone() -> None:
    kept = trimmed(facts(*EVENTS, erased(3), held(5), erased(6)))

    assert [key.kind for key in kept] == [FactKind.ERASED]
    assert next(iter(kept)).time == micros(3)


def test_states_merge_to_the_same_erasure_in_any_order() -> None:
    states = [
        RelationshipState(facts(*EVENTS)),
        RelationshipState(facts(erased(3))),
        RelationshipState(facts(held(9), erased(6))),
    ]
    forth = states[0].merge(states[1]).merge(states[2])
    back = states[2].merge(states[1].merge(states[0]))

    assert forth.facts == back.facts == trimmed(facts(erased(3)))


def test_an_erasure_cannot_be_retracted() -> None:
    end = erased(3)

    assert facts_of(retraction(4, end), 9) == {}
    assert ScoreHistory(merged(facts(*EVENTS, end), facts_of(retraction(4, end), 9)), DEFAULT).rows(-1, micros(9)) == {}


def test_all_rows_above_the_floor_are_deleted_at_once_and_nothing_follows() -> None:
    partition = ScoredPartition(Programmes(), {}, PartitionWatermark())
    emissions = [one for offset, event in enumerate(EVENTS) for one in apply(partition, event, KEY, offset)]

    gone = apply(partition, erased(4.5), KEY, 9)

    there = {one.as_of for one in emissions} | {micros(3), micros(4)}
    assert {one.as_of for one in gone if one.row is None} == there
    assert [one.changed for one in gone if one.row is None] == [False] * (len(there) - 1) + [True]
    assert apply(partition, held(5), KEY, 10) == []
    assert [one for step in partition.advance(micros(30)) for one in step] == []
