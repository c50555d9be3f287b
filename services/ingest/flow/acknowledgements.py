"""From kafka-python's callbacks to futures of the standard library: one for one record, or one for many."""

import threading
from collections.abc import Iterable
from concurrent.futures import Future

from services.runtime.kafka import Sent


class Acknowledgements:
    """One future for many records: it completes, on the sender's thread, when all that were added are on the log, and
    fails with the first failure. A future for each record would take as long as sending it."""

    def __init__(self) -> None:
        self.written: Future[None] = Future()
        self.written.set_running_or_notify_cancel()  # a waiter that gives up cannot cancel it under our hands
        self._added = 0  # by the one thread that sends; the others count what has arrived
        self._left, self._is_closed, self._lock = 0, False, threading.Lock()
        self._failure: BaseException | None = None

    def add(self, sent: Sent) -> None:
        self.expect()
        sent.add_callback(self.succeed)
        sent.add_errback(self.fail)

    def expect(self) -> None:
        """One more record, which tells this itself what became of it, before or after."""
        self._added += 1

    def close(self) -> None:
        """Nothing more is added. Until then `written` is open, even without any record."""
        with self._lock:
            self._left, self._is_closed = self._left + self._added, True
            last = self._left == 0
        if last:
            self._end()

    def succeed(self, _: object) -> None:
        with self._lock:
            self._left -= 1
            last = self._is_closed and self._left == 0
        if last:
            self._end()

    def fail(self, failure: BaseException) -> None:
        self._failure = self._failure or failure
        self.succeed(None)

    def _end(self) -> None:
        if self._failure is None:
            self.written.set_result(None)
        else:
            self.written.set_exception(self._failure)


def acknowledged(*sent: Sent) -> Future[None]:
    """Completes, on the sender's thread, when the records are on the log; fails with KafkaError if they are not."""
    all_sent = Acknowledgements()
    for one in sent:
        all_sent.add(one)
    all_sent.close()
    return all_sent.written


def all_of(parts: Iterable[Future[None]]) -> Future[None]:
    """Completes when every part has; fails with the first failure in their order."""
    waited = list(dict.fromkeys(parts))
    if len(waited) == 1:
        return waited[0]
    whole: Future[None] = Future()
    whole.set_running_or_notify_cancel()
    left, lock = len(waited) + 1, threading.Lock()

    def one_done(_: Future[None] | None) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            _finish(whole, waited)

    for part in waited:
        part.add_done_callback(one_done)
    one_done(None)  # stands for the loop itself: without it no part at all would never end
    return whole


def _finish(whole: Future[None], parts: list[Future[None]]) -> None:
    failure = next((error for part in parts if (error := part.exception())), None)
    if failure is None:
        whole.set_result(None)
    else:
        whole.set_exception(failure)
