"""When a partition waits for its turn, when its position is lost, and when the process is."""

import pytest

from services.scoring.flow.liveness import (
    IDLE_SECONDS,
    MAX_SEEKS,
    OVERTAKEN_RUNS,
    STALLED_SECONDS,
    NotAliveError,
    PartitionProgress,
)


@pytest.fixture
def progress() -> PartitionProgress:
    """Partitions 0 and 1 have 100 records ahead each since second 0."""
    found = PartitionProgress()
    assert not found.needs_seek(0, -1, 100, now=0)
    assert not found.needs_seek(1, -1, 100, now=0)
    return found


def test_while_others_are_worked_on_a_partition_waits_for_its_turn(progress: PartitionProgress) -> None:
    for second in range(1, 200):
        progress.worked(second)
        assert not progress.needs_seek(0, -1, 100, second)


def test_what_has_records_ahead_while_nothing_is_worked_on_is_sought_again(progress: PartitionProgress) -> None:
    progress.worked(5)

    assert not progress.needs_seek(0, -1, 100, now=5 + IDLE_SECONDS)
    assert progress.needs_seek(0, -1, 100, now=6 + IDLE_SECONDS)
    assert not progress.needs_seek(0, -1, 100, now=7 + IDLE_SECONDS)


def test_what_others_overtake_again_and_again_is_sought_again(progress: PartitionProgress) -> None:
    for _ in range(2 * OVERTAKEN_RUNS):
        progress.ran()
        progress.worked(1)
    assert not progress.needs_seek(0, -1, 100, now=1)

    progress.ran()

    assert progress.needs_seek(0, -1, 100, now=1)


def test_where_nothing_at_all_is_applied_for_a_minute_the_process_ends(progress: PartitionProgress) -> None:
    with pytest.raises(NotAliveError, match="partition 0 stands at -1 for 61 s, its end is 100"):
        progress.needs_seek(0, -1, 100, now=STALLED_SECONDS + 1)


def test_where_seeking_does_not_help_the_process_ends(progress: PartitionProgress) -> None:
    now = 0.0
    for _ in range(MAX_SEEKS + 1):
        now += IDLE_SECONDS + 1
        progress.worked(now - IDLE_SECONDS - 0.5)
        assert progress.needs_seek(0, -1, 100, now)

    with pytest.raises(NotAliveError):
        progress.needs_seek(0, -1, 100, now + 1)


def test_what_is_read_to_its_end_never_stands(progress: PartitionProgress) -> None:
    assert not progress.needs_seek(0, 99, 100, now=1)
    assert not progress.needs_seek(0, 99, 100, now=1000)


def test_what_moves_has_its_time_from_then_on(progress: PartitionProgress) -> None:
    assert not progress.needs_seek(0, 5, 100, now=STALLED_SECONDS)
    assert not progress.needs_seek(0, 5, 100, now=STALLED_SECONDS + IDLE_SECONDS)


def test_after_a_rebalance_everything_begins_anew(progress: PartitionProgress) -> None:
    progress.forget_all()

    assert not progress.needs_seek(0, -1, 100, now=1000)
