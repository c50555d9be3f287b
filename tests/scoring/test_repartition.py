"""What becomes of partitions and states when the log grows."""

from dataclasses import replace

import pytest

from schemas.events import OfRelationship
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.layout import Enrolment, PartitionWatermark, RelationshipState
from services.scoring.domain.maintenance import (
    PartitionSplit,
    StateMismatch,
    carry_watermark,
    is_finished,
    repartitioned,
)
from tests.scoring import building as b

NEW_EPOCH = 1 << 48
LOG = (b.started(0), b.held(1), b.message(2, "mentor"), b.retraction(3, b.message(2, "mentor"), "mentor"))
OLD = RelationshipState(b.facts(*LOG), position=3, clock=b.micros(4), stale_position=2, enrolment=Enrolment(0, "p"))


def history(*events: OfRelationship) -> FullHistory:
    """The history on the new log, where every event has another position."""
    found = FullHistory()
    for offset, event in enumerate(events):
        found.add(event, NEW_EPOCH + 10 + offset)
    return found


@pytest.mark.parametrize(("old", "new"), [(4, 8), (4, 12), (1, 7), (12, 24)])
def test_every_new_partition_comes_of_exactly_one_old_one(old: int, new: int) -> None:
    split = PartitionSplit(old, new)

    children = [child for number in range(old) for child in split.children(number)]

    assert split.problem is None
    assert sorted(children) == list(range(new))


@pytest.mark.parametrize(("old", "new"), [(4, 4), (4, 6), (4, 2), (12, 16)])
def test_a_log_grows_to_a_multiple_only(old: int, new: int) -> None:
    assert PartitionSplit(old, new).problem == (
        f"the log has {old} partitions and grows to a multiple of that: {2 * old}, {3 * old}, {4 * old}, ..., "
        f"not to {new}"
    )


def test_a_state_gets_the_positions_of_the_new_log_and_keeps_its_marks() -> None:
    found = repartitioned(OLD, history(*LOG))

    assert found == replace(OLD, facts=history(*LOG).facts, position=NEW_EPOCH + 13)


def test_facts_that_the_log_has_lost_are_not_left_behind() -> None:
    assert repartitioned(OLD, history(*LOG[2:])) == StateMismatch(log_only=0, state_only=2)


def test_a_fact_on_the_log_that_the_state_does_not_know_is_not_carried_over() -> None:
    assert repartitioned(OLD, history(*LOG, b.held(3.5))) == StateMismatch(log_only=1, state_only=0)


def test_the_clock_goes_on_where_it_was() -> None:
    assert carry_watermark(PartitionWatermark(offset=900, clock=7, clock_next=7), 41) == PartitionWatermark(41, 7, 7)


def test_a_span_that_was_announced_and_not_told_is_not_finished() -> None:
    assert is_finished(PartitionWatermark(5, 7, 7))
    assert is_finished(PartitionWatermark())
    assert not is_finished(PartitionWatermark(5, 7, 8))
