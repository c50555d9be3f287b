"""Senders deliver messages to their destinations: one task and one queue each, so that a stuck destination holds up no
other."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import SimpleQueue

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.channel import Channel
from services.notify.domain.deliveries import AttemptResult, MessageRejected, OutcomeUnknown, Verdict
from services.runtime import log
from services.runtime.progress import LoopWatch
from services.runtime.unexpected import error_fields

MAX_CONCURRENT = 8
"""Concurrent requests to one destination, where its channel allows more than one."""
CLOSE_SECONDS = 2.0
TURN_SECONDS = 1.0


@dataclass(frozen=True)
class CompletedAttempt:
    """A delivery as it was submitted, and the result of its attempt."""

    delivery: Delivery
    result: AttemptResult


class DestinationSender:
    """The task of one destination. Lives on the event loop of `SenderPool`."""

    def __init__(
        self, channel: Channel, completed: "SimpleQueue[CompletedAttempt]", now: Callable[[], Instant]
    ) -> None:
        self._channel, self._completed, self._now = channel, completed, now
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._capacity = asyncio.Semaphore(MAX_CONCURRENT)
        self._in_flight: dict[asyncio.Task[None], Delivery] = {}
        self._task = asyncio.create_task(self._run_queue())

    def submit(self, delivery: Delivery) -> None:
        self._queue.put_nowait(delivery)

    async def close(self, seconds: float) -> list[Delivery]:
        """Finish deliveries in flight within so many seconds. Returns those without a result."""
        self._task.cancel()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=seconds)
        left = [*self._in_flight.values()]
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(self._task, *self._in_flight, return_exceptions=True)
        while not self._queue.empty():
            left.append(self._queue.get_nowait())
        await self._channel.close()
        return left

    async def _run_queue(self) -> None:
        while True:
            await self._capacity.acquire()
            delivery = await self._queue.get()
            task = asyncio.create_task(self._attempt(delivery))
            self._in_flight[task] = delivery
            task.add_done_callback(self._release)

    def _release(self, task: asyncio.Task[None]) -> None:
        self._in_flight.pop(task, None)
        self._capacity.release()

    async def _attempt(self, delivery: Delivery) -> None:
        began = time.monotonic()
        verdict = await self._verdict(delivery)
        result = AttemptResult(verdict, self._now(), round(time.monotonic() - began, 6))
        self._completed.put(CompletedAttempt(delivery, result))

    async def _verdict(self, delivery: Delivery) -> Verdict:
        try:
            return await self._channel.send(delivery)
        except Exception as failure:  # noqa: BLE001 (logged, listed with the dead letters, and no other waits for it)
            found = error_fields(failure)
            log.get(__name__).error("sending_failed", delivery_id=delivery.delivery_id, **found)
            return MessageRejected(f"an error of ours: {found['error']} at {found['raised_at']}")


class SenderPool:
    """All senders on one event loop in a thread of its own; the methods are for the thread that decides."""

    def __init__(self, now: Callable[[], Instant], loops: LoopWatch | None = None) -> None:
        self._now, self._loops = now, loops or LoopWatch()
        self._completed: SimpleQueue[CompletedAttempt] = SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._closing: set[Future[None]] = set()
        self._thread = threading.Thread(target=self._run_loop, name="senders", daemon=True)
        self._thread.start()

    def _run_loop(self) -> None:
        with self._loops.loop("senders") as note_turn:
            # A channel that blocks the event loop holds up every destination.
            def turn() -> None:
                note_turn()
                self._loop.call_later(TURN_SECONDS, turn)

            self._loop.call_soon(turn)
            self._loop.run_forever()

    def open(self, make: Callable[[], Channel]) -> DestinationSender:
        """Open a sender; `make` is called on the event loop."""

        async def begin() -> DestinationSender:
            return DestinationSender(make(), self._completed, self._now)

        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result()

    def submit(self, sender: DestinationSender, delivery: Delivery) -> None:
        self._loop.call_soon_threadsafe(sender.submit, delivery)

    def close(self, sender: DestinationSender, seconds: float) -> None:
        """Close a sender without waiting for it. The outcome of deliveries that it leaves in flight is unknown."""

        async def end() -> None:
            for delivery in await sender.close(seconds):
                result = AttemptResult(OutcomeUnknown("interrupted: its destination was changed"), self._now(), seconds)
                self._completed.put(CompletedAttempt(delivery, result))

        closing = asyncio.run_coroutine_threadsafe(end(), self._loop)
        self._closing.add(closing)
        closing.add_done_callback(self._closed)

    def _closed(self, closing: Future[None]) -> None:
        self._closing.discard(closing)
        failure = closing.exception()
        if failure is not None:
            log.get(__name__).error("destination_not_closed", **error_fields(failure))

    def completed(self) -> list[CompletedAttempt]:
        """Return all attempts completed since the last call."""
        return [self._completed.get_nowait() for _ in range(self._completed.qsize())]

    def stop(self, senders: list[DestinationSender], seconds: float) -> None:
        """Give senders so long to finish deliveries in flight. A second call changes nothing."""
        if self._loop.is_closed():
            return

        async def end() -> None:
            await asyncio.gather(*(sender.close(seconds) for sender in senders))

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(seconds + CLOSE_SECONDS)
        # Senders replaced shortly before the stop, too.
        wait(list(self._closing), timeout=seconds + CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        self._loop.close()
