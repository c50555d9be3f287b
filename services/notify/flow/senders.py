"""Couriers carry deliveries to their destinations, each in threads of its own: a stuck one holds up no other."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.channel import Channel
from services.notify.domain.attempts import Answer


@dataclass(frozen=True)
class Brought:
    """A delivery as it was handed over, and what came of it. `fault`: the channel itself failed; that is ours."""

    delivery: Delivery
    answer: Answer | None
    fault: Exception | None = None


class Courier:
    """Brings as many deliveries at a time as its channel has lanes. After `stop` those in hand are finished and the
    others are let lie."""

    def __init__(self, channel: Channel, brought: "SimpleQueue[Brought]", now: Callable[[], Instant]) -> None:
        self.destination = channel.destination
        self._channel, self._brought, self._now = channel, brought, now
        self._inbox: SimpleQueue[Delivery | None] = SimpleQueue()
        self._stopping = threading.Event()
        name = f"courier-{channel.destination.channel}"
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(channel.lanes)]
        for thread in self._threads:
            thread.start()

    def bring(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._inbox.put(delivery)

    def stop(self) -> None:
        self._stopping.set()
        for _ in self._threads:
            self._inbox.put(None)

    def join(self, until: float) -> None:
        """Waits until the monotonic clock says so, at the latest."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (delivery := self._inbox.get()) is not None and not self._stopping.is_set():
            self._brought.put(self._bring(delivery))

    def _bring(self, delivery: Delivery) -> Brought:
        began = time.monotonic()
        try:
            verdict = self._channel.send(delivery)
        except Exception as fault:  # noqa: BLE001 (handed to the main thread, which raises it)
            return Brought(delivery, None, fault)
        return Brought(delivery, Answer(verdict, self._now(), round(time.monotonic() - began, 6)))


def taken(queue: "SimpleQueue[Brought]") -> list[Brought]:
    """Everything that lies in the queue now. Raises what a channel has raised."""
    found: list[Brought] = []
    while True:
        try:
            found.append(queue.get_nowait())
        except Empty:
            return found
        if (fault := found[-1].fault) is not None:
            raise fault
