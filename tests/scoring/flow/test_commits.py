"""What Faust's own consumer commits, without a broker."""

import asyncio

import faust
from faust.types import TP

from services.scoring.flow.faust.consumer import commit_applied
from services.scoring.flow.faust.scheduler import Untyped

TP_0 = TP("events", 0)


async def after_a_seek(consumer: Untyped) -> list[int]:
    """Batches that end with 39 and 59 were handed over; then Faust noted 20 as read, and came to the second. The first
    is applied. Two rounds of commits."""
    consumer._committed_offset[TP_0] = 20
    await consumer._add_gap(TP_0, 21, 59)
    consumer._acked[TP_0].append(39)
    consumer._acked_index[TP_0].add(39)
    found = []
    for _ in range(2):
        commits = consumer._filter_committable_offsets([TP_0])
        consumer._committed_offset |= commits
        found += commits.values()
    return found


def committed_after_a_seek(*applied: int | None) -> list[int]:
    async def run() -> list[int]:
        consumer = faust.App("commits").consumer
        for offset in applied:
            commit_applied(consumer, {0: offset}.get)
        try:
            return await after_a_seek(consumer)
        finally:
            # Of the consumer's thread, which was never started.
            consumer._thread.thread_loop.close()

    return asyncio.run(run())


def test_faust_alone_commits_what_is_still_worked_on() -> None:
    assert committed_after_a_seek() == [40, 60]


def test_what_is_applied_is_committed_and_no_more() -> None:
    assert committed_after_a_seek(40) == [40]


def test_nothing_is_committed_of_what_is_not_ours_or_was_committed() -> None:
    assert committed_after_a_seek(None) == []
    assert committed_after_a_seek(20) == []
