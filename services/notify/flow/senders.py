"""Senders bring deliveries to their destinations: one task and one queue each, so that a stuck one holds up no
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
from services.notify.domain.deliveries import AttemptResult, Never, Unknown, Verdict
from services.runtime import log
from services.runtime.unexpected import error_fields

AT_A_TIME = 8
"""Requests to one destination that are open at once, where its channel takes more than one."""
CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Answered:
    """A delivery as it was submitted, and what came of it."""

    delivery: Delivery
    answer: AttemptResult


class DestinationSender:
    """The task of one destination. Lives on the loop of `SenderPool`."""

    def __init__(self, channel: Channel, answered: "SimpleQueue[Answered]", now: Callable[[], Instant]) -> None:
        self._channel, self._answered, self._now = channel, answered, now
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._room = asyncio.Semaphore(AT_A_TIME)
        self._open: dict[asyncio.Task[None], Delivery] = {}
        self._task = asyncio.create_task(self._run())

    def submit(self, delivery: Delivery) -> None:
        self._queue.put_nowait(delivery)

    async def close(self, seconds: float) -> list[Delivery]:
        """Finishes what is under way within so many seconds. Returns what is not answered then."""
        self._task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=seconds)
        left = [*self._open.values()]
        for task in self._open:
            task.cancel()
        await asyncio.gather(self._task, *self._open, return_exceptions=True)
        while not self._queue.empty():
            left.append(self._queue.get_nowait())
        await self._channel.close()
        return left

    async def _run(self) -> None:
        while True:
            await self._room.acquire()
            delivery = await self._queue.get()
            task = asyncio.create_task(self._bring(delivery))
            self._open[task] = delivery
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task, None)
        self._room.release()

    async def _bring(self, delivery: Delivery) -> None:
        began = time.monotonic()
        verdict = await self._verdict(delivery)
        answer = AttemptResult(verdict, self._now(), round(time.monotonic() - began, 6))
        self._answered.put(Answered(delivery, answer))

    async def _verdict(self, delivery: Delivery) -> Verdict:
        try:
            return await self._channel.send(delivery)
        except Exception as failure:  # noqa: BLE001 (told, listed with the dead letters, and no other waits for it)
            found = error_fields(failure)
            log.get(__name__).error("sending_failed", delivery_id=delivery.delivery_id, **found)
            return Never(f"an error of ours: {found['error']} at {found['raised_at']}")


class SenderPool:
    """All of them on one loop, which has a thread of its own; the methods are for the thread that decides."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self._now = now
        self._answered: SimpleQueue[Answered] = SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._closing: set[Future[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="senders", daemon=True)
        self._thread.start()

    def open(self, make: Callable[[], Channel]) -> DestinationSender:
        """`make` is called on the loop."""

        async def begin() -> DestinationSender:
            return DestinationSender(make(), self._answered, self._now)

        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result()

    def submit(self, sender: DestinationSender, delivery: Delivery) -> None:
        self._loop.call_soon_threadsafe(sender.submit, delivery)

    def close(self, sender: DestinationSender, seconds: float) -> None:
        """Does not wait for it. Of what it leaves undone nobody knows whether it arrived."""

        async def end() -> None:
            for delivery in await sender.close(seconds):
                answer = AttemptResult(Unknown("interrupted: its destination was changed"), self._now(), seconds)
                self._answered.put(Answered(delivery, answer))

        closing = asyncio.run_coroutine_threadsafe(end(), self._loop)
        self._closing.add(closing)
        closing.add_done_callback(self._closed)

    def _closed(self, closing: Future[None]) -> None:
        self._closing.discard(closing)
        failure = closing.exception()
        if failure is not None:
            log.get(__name__).error("destination_not_closed", **error_fields(failure))

    def answered(self) -> list[Answered]:
        """Everything that has come back since."""
        return [self._answered.get_nowait() for _ in range(self._answered.qsize())]

    def stop(self, senders: list[DestinationSender], seconds: float) -> None:
        """Gives them so long to finish what is under way. A second time changes nothing."""
        if self._loop.is_closed():
            return

        async def end() -> None:
            await asyncio.gather(*(sender.close(seconds) for sender in senders))

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(seconds + CLOSE_SECONDS)
        # Those that were changed shortly before, too.
        wait(list(self._closing), timeout=seconds + CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        self._loop.close()
