"""The fair scheduler: the work of one sender delays no other by more than one slice."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.types import Message

from services.ingest.flow.shared import IngestMetrics
from services.ingest.gateway.fair_scheduler import SLICE_SECONDS, FairScheduler, FairThreadPool, QueueEnd, TimeSlices
from services.ingest.gateway.limits import (
    BURST_SECONDS,
    MAX_BUCKETS,
    InFlightBytes,
    RateLimiter,
    SenderLimits,
    items_of,
)
from services.ingest.gateway.requests import (
    HUGE_BYTES_PER_SECOND,
    SMALL_BODY_BYTES,
    AdmissionControl,
    RequestErrors,
    read_body,
)
from services.runtime.http.problems import ProblemError

WORK_SECONDS = 0.0002
LARGE = SMALL_BODY_BYTES + 1


def spin(item: object) -> object:
    until = time.perf_counter() + WORK_SECONDS
    while time.perf_counter() < until:
        pass
    return item


async def long_work(scheduler: FairScheduler, sender: str, count: int, done: list[str]) -> None:
    def finished(results: Sequence[object]) -> None:
        done.extend([sender] * len(results))

    with scheduler.active(sender):
        await scheduler.run_in_slices(sender, range(count), spin, finished)


def test_everything_is_done_in_its_order() -> None:
    found: list[object] = []

    asyncio.run(FairScheduler().run_in_slices("a", list(range(100)), spin, found.extend))

    assert found == list(range(100))


def test_one_item_is_work_of_another_before_a_thousand_of_the_first_are_done() -> None:
    done: list[str] = []

    async def both() -> None:
        scheduler = FairScheduler()
        first = [asyncio.create_task(long_work(scheduler, "many", 1_000, done)) for _ in range(8)]
        await asyncio.sleep(0.01)
        done.clear()
        await long_work(scheduler, "one", 1, done)
        for task in first:
            task.cancel()
        await asyncio.gather(*first, return_exceptions=True)

    asyncio.run(both())

    # It waits for the slice that is being worked on, and may meet another on its way.
    assert done.index("one") < 10 * SLICE_SECONDS / WORK_SECONDS


def test_turns_go_round_between_senders() -> None:
    done: list[str] = []

    async def several() -> None:
        scheduler = FairScheduler()
        await asyncio.gather(*(long_work(scheduler, name, 100, done) for name in ("a", "a", "a", "b", "c")))

    asyncio.run(several())

    halfway = done[: len(done) // 2]
    assert min(halfway.count("b"), halfway.count("c")) > halfway.count("a") / 3


def test_what_a_sender_has_begun_to_send_goes_on_before_what_else_they_handed_in() -> None:
    done: list[str] = []

    async def several() -> None:
        scheduler = FairScheduler()

        async def work(name: str, queue_at: QueueEnd) -> None:
            with TimeSlices(scheduler, "a") as slices:
                await slices.run(range(50), spin, lambda found: done.extend([name] * len(found)), queue_at)

        async with asyncio.TaskGroup() as group:
            group.create_task(work("judged", "back"))
            group.create_task(work("judged", "back"))
            await asyncio.sleep(5 * SLICE_SECONDS)
            group.create_task(work("sent", "front"))

    asyncio.run(several())

    begun = done.index("sent")
    assert 0 < begun < done.count("judged")
    assert done[begun : begun + 50] == ["sent"] * 50


def test_parts_of_what_is_short_share_one_turn() -> None:
    done: list[str] = []

    async def work(scheduler: FairScheduler, name: str) -> None:
        with scheduler.active(name), TimeSlices(scheduler, name) as slices:
            for part in ("judged", "sent"):
                await slices.run([f"{part} {name}"], str, done.extend)

    async def several() -> None:
        scheduler = FairScheduler()
        async with asyncio.TaskGroup() as group:
            for name in ("a", "b"):
                group.create_task(work(scheduler, name))

    asyncio.run(several())

    assert done == ["judged a", "sent a", "judged b", "sent b"]


def test_a_part_that_begins_when_the_slice_is_over_waits_for_the_next_turn() -> None:
    done: list[object] = []

    async def short(scheduler: FairScheduler) -> None:
        with scheduler.active("short"):
            await scheduler.run_in_slices("short", ["short"], str, done.extend)

    async def several() -> None:
        scheduler = FairScheduler()
        with scheduler.active("long"), TimeSlices(scheduler, "long") as slices:
            await slices.run(range(10), spin, lambda _: None)
            between = asyncio.create_task(short(scheduler))
            await asyncio.sleep(2 * SLICE_SECONDS)
            await slices.run(["sent"], str, done.extend)
            await between

    asyncio.run(several())

    assert done == ["short", "sent"]


def test_who_gives_up_waiting_leaves_their_turn_to_the_next() -> None:
    async def given_up() -> int:
        scheduler = FairScheduler()
        async with scheduler.turn("a"):
            waiting = [asyncio.create_task(long_work(scheduler, name, 1, [])) for name in ("a", "b", "b")]
            await asyncio.sleep(0)
            waiting[0].cancel()
            waiting[1].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        async with scheduler.turn("c"):
            return sum(one is None for one in done)

    assert asyncio.run(asyncio.wait_for(given_up(), 5)) == 1


def test_two_large_bodies_of_one_sender_are_not_read_at_once() -> None:
    at_once, most = 0, 0

    def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1

    async def several() -> None:
        threads = FairThreadPool(FairScheduler())
        await asyncio.gather(*(threads.run("a", work) for _ in range(5)))

    asyncio.run(several())

    assert most == 1


def senders(rate_limiter: RateLimiter, most_requests: int = 2) -> SenderLimits:
    return SenderLimits(rate_limiter, most_requests, InFlightBytes(100, 50), FairScheduler())


def admission() -> AdmissionControl:
    scheduler = FairScheduler()
    senders = SenderLimits(RateLimiter(1_000), 10, InFlightBytes(2**30, 2**30), scheduler)
    return AdmissionControl(senders, FairThreadPool(scheduler), RequestErrors(IngestMetrics(CollectorRegistry())))


async def refused(of: AdmissionControl, items: int) -> None:
    async with of.body_in_work("a", LARGE) as work:
        work.items = items
        raise ProblemError(400, "nothing_taken", "broken")


def test_the_next_large_body_of_a_sender_is_looked_at_when_the_last_was_answered_and_small_ones_at_once() -> None:
    seen: list[str] = []

    async def in_work(of: AdmissionControl, sender: str, size: int, name: str) -> None:
        async with of.body_in_work(sender, size):
            seen.append(f"{name} begins")
            await asyncio.sleep(0.02)
            seen.append(f"{name} ends")

    async def all_of_them() -> None:
        of = admission()
        await asyncio.gather(
            in_work(of, "a", LARGE, "first"),
            in_work(of, "a", LARGE, "second"),
            in_work(of, "a", 1_000, "small"),
            in_work(of, "b", LARGE, "another's"),
        )

    asyncio.run(all_of_them())

    assert seen.index("first ends") < seen.index("second begins")
    assert max(seen.index("small begins"), seen.index("another's begins")) < seen.index("first ends")


def test_who_sent_a_huge_thing_that_was_refused_waits_with_the_next_and_nobody_else_does() -> None:
    async def waited(of: AdmissionControl, sender: str) -> float:
        began = time.monotonic()
        async with of.body_in_work(sender, LARGE):
            return time.monotonic() - began

    async def both() -> tuple[float, float]:
        of = admission()
        with pytest.raises(ProblemError, match="broken"):
            await refused(of, items=1)
        same, other = await asyncio.gather(waited(of, "a"), waited(of, "b"))
        return same, other

    same, other = asyncio.run(both())

    assert same >= LARGE / HUGE_BYTES_PER_SECOND - 0.05
    assert other < same / 2


def test_after_many_small_things_that_were_refused_the_next_body_is_read_at_once() -> None:
    async def waited() -> float:
        of = admission()
        with pytest.raises(ProblemError, match="broken"):
            await refused(of, items=1_000)
        began = time.monotonic()
        async with of.body_in_work("a", LARGE):
            return time.monotonic() - began

    assert asyncio.run(waited()) < LARGE / HUGE_BYTES_PER_SECOND


def test_too_many_requests_of_one_sender_are_refused_and_those_of_another_are_not() -> None:
    limited = senders(RateLimiter(1_000))

    with limited.request("a"), limited.request("a"), limited.request("b"):
        refused = refusal(limited)
    with limited.request("a"):
        pass

    assert refused.status == 429


def refusal(limited: SenderLimits) -> ProblemError:
    with pytest.raises(ProblemError) as refused, limited.request("a"):
        pass
    return refused.value


def test_bytes_and_nonsense_are_paid_for_like_good_events() -> None:
    rate_limiter = RateLimiter(1)
    limited = senders(rate_limiter)

    with limited.request("a") as entered:
        entered.charge_bytes(BURST_SECONDS * 1_024 + 1)
        entered.charge_items(3)
    with pytest.raises(ProblemError) as refused, limited.request("a"):
        pass

    assert refused.value.status == 429
    assert [items_of(size) for size in (0, 1, 1_024, 1_025)] == [1, 1, 1, 2]


def test_what_is_not_answered_yet_is_bounded_in_all_and_for_one() -> None:
    bodies = InFlightBytes(100, 60)

    with bodies.request("a") as held, bodies.request("b") as other:
        held.add(60)
        for taker, size, status in ((held, 1, 429), (other, 41, 503)):
            with pytest.raises(ProblemError) as refused:
                taker.add(size)
            assert refused.value.status == status
        other.add(40)

    assert bodies.total == 0


def test_a_body_that_has_no_room_is_refused_by_its_declared_length() -> None:
    async def never() -> Message:
        raise AssertionError("nothing of it is taken")

    request = Request({"type": "http", "headers": [(b"content-length", b"11")]}, never)
    with InFlightBytes(limit=20, limit_per_owner=10).request("a") as held, pytest.raises(ProblemError) as refused:
        asyncio.run(read_body(request, held))

    assert refused.value.status == 429


def test_nobody_has_to_make_room_for_bytes_that_may_never_come() -> None:
    asked: list[str] = []

    def evict(owner: str) -> bool:
        asked.append(owner)
        return True

    with InFlightBytes(limit=10, limit_per_owner=10, evict=evict).request("a") as held:
        held.check(11)
        held.add(10)
        assert asked == []
        held.add(1)

    assert asked == ["a"]


def test_no_more_buckets_are_kept_than_senders_that_were_busy() -> None:
    rate_limiter = RateLimiter(1)
    rate_limiter.consume("busy", 100, 0.0)

    for number in range(MAX_BUCKETS + 10):
        rate_limiter.consume(f"token {number}", 1, 0.0)
        if number % 1_000 == 0:
            assert rate_limiter.consume("busy", 1, 0.0)

    assert len(rate_limiter._buckets) == MAX_BUCKETS
