"""Many records that are waited for as one."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from kafka import KafkaProducer

from services.runtime.kafka.outgoing import Awaited, OutgoingRecord, UnwritableRecordError


class HandedOver(NamedTuple):
    """A record that kafka-python has, its future there, and the client that has it."""

    outgoing: OutgoingRecord
    sent: Any
    client: KafkaProducer


class SentTogether:
    """One future for many records: `written` completes, on the client's thread, when all are on the log, and fails with
    an UnwritableRecordError if one of them can never be, else with the first failure: what is under way elsewhere fails
    before the refused record is found, and who sent all of it again would meet the same for ever. Of each batch only
    the last of them is waited for: a future or a callback for every record would take as long as sending it. One
    thread sends."""

    def __init__(
        self, hand_over: Callable[[OutgoingRecord], HandedOver], failed: Callable[[HandedOver, Awaited], None]
    ) -> None:
        self.written: Future[None] = Future()
        self.written.set_running_or_notify_cancel()  # a waiter that gives up cannot cancel it under our hands
        self._hand_over, self._failed = hand_over, failed
        self._handed: list[HandedOver] = []
        self._left, self._lock = 1, threading.Lock()
        self._failure: BaseException | None = None

    def send(self, outgoing: OutgoingRecord) -> None:
        """Raises as `Producer.send`; what was sent before is waited for nevertheless."""
        self._handed.append(self._hand_over(outgoing))

    def look_after(self) -> None:
        """What was sent until now is waited for from here on. Whoever makes a break calls it: of a batch that is
        refused while nobody looks, nobody would be told which record is at fault, and who sends all of it again would
        meet the same for ever."""
        handed, self._handed = self._handed, []
        with self._lock:
            self._left += len(handed)
        batches: dict[Any, list[HandedOver]] = {}
        for one in handed:
            batches.setdefault(batch_of(one.sent), []).append(one)
        for ours in batches.values():
            self._await(ours)

    def close(self) -> None:
        """Nothing more is sent. Until then `written` is open, even without any record."""
        self.look_after()
        self._count(1)

    def succeed(self, _: object) -> None:
        self._count(1)

    def fail(self, failure: BaseException) -> None:
        if self._failure is None or isinstance(failure, UnwritableRecordError):
            self._failure = failure
        self._count(1)

    def _await(self, ours: list[HandedOver]) -> None:
        """A batch settles its records in their order."""
        settle = partial(self._settle, ours)
        ours[-1].sent.add_callback(settle)
        ours[-1].sent.add_errback(settle)

    def _settle(self, ours: list[HandedOver], _: object) -> None:
        succeeded = 0
        for one in ours:
            if not one.sent.is_done:
                self._await([one])  # its batch was too large, and was split
            elif one.sent.exception is None:
                succeeded += 1
            else:
                self._failed(one, self)
        self._count(succeeded)

    def _count(self, settled: int) -> None:
        with self._lock:
            self._left -= settled
            last = settled and self._left == 0
        if last and self._failure is None:
            self.written.set_result(None)
        elif last:
            self.written.set_exception(self._failure)


def batch_of(sent: Any) -> Any:  # noqa: ANN401 (not typed)
    """Whatever was under way fails, often with the very error of the refused batch: only the future tells which."""
    return sent._produce_future  # noqa: SLF001
