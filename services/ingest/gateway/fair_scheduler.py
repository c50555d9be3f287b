"""Round-robin fairness between senders on one event loop. Long work runs in time slices, or in a thread, so that no
sender's work delays another's by more than a slice, however much it is."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

# Long enough that switching costs little, short beside the broker's acknowledgement.
SLICE_SECONDS = 0.001
# While another sender has a request in work, a sender pauses for so many times the length of its last slice: a short
# request takes some ten rounds of the loop, and would otherwise wait for a slice in each of them.
PAUSE_FACTOR = 4
LONGEST_PAUSE_SECONDS = 0.01

QueueEnd = Literal["front", "back"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Turn:
    """`cooldown`: seconds for which the sender gets no further turn. Whoever holds the turn may set it."""

    cooldown: float = 0.0


class FairScheduler:
    """For one event loop. At most `slots` senders run at once, each with one piece of work. The senders that wait get
    their turns round-robin."""

    def __init__(self, slots: int = 1) -> None:
        self._free_slots = slots
        self._running: set[str] = set()
        self._active_requests: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, sender: str) -> AsyncIterator[Turn]:
        await self.acquire(sender)
        began, turn = time.perf_counter(), Turn()
        try:
            yield turn
        finally:
            self.release(sender, began, turn.cooldown)

    async def acquire(self, sender: str, queue_at: QueueEnd = "back") -> None:
        """Returns when the sender gets its turn, which lasts until `release` or `finish`. `queue_at`: the end of the
        sender's own queue at which this work waits."""
        if self._free_slots and sender not in self._running and not self._queues.keys() - self._running:
            self._start(sender)
            return
        granted = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(sender, deque())
        if queue_at == "front":
            queue.appendleft(granted)
        else:
            queue.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._free_slots += 1
                self._running.discard(sender)
            asyncio.get_running_loop().call_soon(self._dispatch)
            raise

    def release(self, sender: str, began: float, cooldown: float = 0.0) -> None:
        """Gives the turn back after a slice. The sender counts as running until its pause is over: meanwhile work that
        has just ended a slice can queue again, at the front of the sender's queue if it asks for that."""
        self._free_slots += 1
        # Short work that arrived meanwhile runs first.
        asyncio.get_running_loop().call_soon(self._dispatch)
        took = time.perf_counter() - began
        pause = 0 if self.is_only_sender(sender) else min(PAUSE_FACTOR * took, LONGEST_PAUSE_SECONDS)
        asyncio.get_running_loop().call_later(max(pause, cooldown), self._end_pause, sender)

    def finish(self, sender: str, began: float) -> None:
        """Gives the turn back when the work is complete. Where nobody waits, as after nearly every single event, no
        callback is scheduled: two more calls of the loop would cost as much as admitting the event."""
        if self._queues or not self.is_only_sender(sender):
            self.release(sender, began)
        else:
            self._free_slots += 1
            self._running.discard(sender)

    def is_only_sender(self, sender: str) -> bool:
        """No other sender has a request in work."""
        return len(self._active_requests) <= (sender in self._active_requests)

    @contextmanager
    def active(self, sender: str) -> Iterator[None]:
        """Counts a request of the sender as in work."""
        self._active_requests[sender] += 1
        try:
            yield
        finally:
            self._active_requests[sender] -= 1
            if not self._active_requests[sender]:
                del self._active_requests[sender]

    async def run_in_slices(
        self, sender: str, items: Sequence[Item], one: Callable[[Item], Result], done: Callable[[list[Result]], None]
    ) -> None:
        """For work of a single stage, see `TimeSlices.run`."""
        with TimeSlices(self, sender) as slices:
            await slices.run(items, one, done)

    def _end_pause(self, sender: str) -> None:
        self._running.discard(sender)
        self._dispatch()

    def _dispatch(self) -> None:
        """Start the first waiting work of each sender that may run. The sender moves to the end of the round."""
        for sender in [one for one in self._queues if one not in self._running]:
            if not self._free_slots:
                return
            queue = self._queues.pop(sender)
            while queue:
                granted = queue.popleft()
                if not granted.done():
                    self._start(sender)
                    granted.set_result(None)
                    break
            if queue:
                self._queues[sender] = queue

    def _start(self, sender: str) -> None:
        self._free_slots -= 1
        self._running.add(sender)


class TimeSlices:
    """One piece of work, which may have several stages, a slice of it in each turn. Short work has one turn for all of
    its stages: a turn takes several rounds of the loop, which cost a single event more than its admission."""

    def __init__(self, scheduler: FairScheduler, sender: str) -> None:
        self._scheduler, self._sender = scheduler, sender
        self._began: float | None = None

    async def run(
        self,
        items: Sequence[Item],
        one: Callable[[Item], Result],
        done: Callable[[list[Result]], None],
        queue_at: QueueEnd = "back",
    ) -> None:
        """Calls `one` for each item, and `done` with the results of each slice."""
        position = 0
        while position < len(items):
            slice_end, results = await self._slice_end(queue_at), list[Result]()
            while position < len(items) and (not results or time.perf_counter() < slice_end):
                results.append(one(items[position]))
                position += 1
            done(results)

    async def _slice_end(self, queue_at: QueueEnd) -> float:
        """When the current turn ends. Waits for a new turn if there is none, or its slice is used up."""
        if self._began is not None and time.perf_counter() >= self._began + SLICE_SECONDS:
            self._scheduler.release(self._sender, self._began)
            self._began = None
            await asyncio.sleep(0)
        if self._began is None:
            await self._scheduler.acquire(self._sender, queue_at)
            self._began = time.perf_counter()
        return self._began + SLICE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._began is not None:
            self._scheduler.finish(self._sender, self._began)
            self._began = None


# Of Python's threads one runs at a time: more of them would only take time from the event loop.
POOL_THREADS = 1
# The longest pause of the thread after a large body.
LONGEST_THREAD_PAUSE_SECONDS = 1.0


class FairThreadPool:
    """Parses large bodies beside the event loop, one of each sender at a time. Python's threads share the interpreter
    with the loop: while another sender has a request in work, the thread pauses after each body."""

    def __init__(self, loop_scheduler: FairScheduler) -> None:
        self._loop_scheduler, self._scheduler = loop_scheduler, FairScheduler(POOL_THREADS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="reading")

    async def run(self, sender: str, work: Callable[[], Result]) -> Result:
        """Raises what `work` raises."""
        found: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run_in_turn(sender, work, found))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await found

    async def _run_in_turn(self, sender: str, work: Callable[[], Result], found: asyncio.Future[Result]) -> None:
        """Completes `found` before the pause, which delays only the next body."""
        async with self._scheduler.turn(sender):
            began = time.perf_counter()
            try:
                result = await asyncio.get_running_loop().run_in_executor(self._threads, work)
            except BaseException as failure:  # noqa: BLE001 (raised where `found` is awaited)
                if not found.done():
                    found.set_exception(failure)
            else:
                if not found.done():
                    found.set_result(result)
            if not self._loop_scheduler.is_only_sender(sender):
                await asyncio.sleep(min(PAUSE_FACTOR * (time.perf_counter() - began), LONGEST_THREAD_PAUSE_SECONDS))
