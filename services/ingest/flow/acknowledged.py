"""From kafka-python's callbacks to futures of the standard library, and from many of them to one."""

import threading
from collections.abc import Iterable
from concurrent.futures import Future

from services.runtime.kafka import Sent


def acknowledged(sent: Sent) -> Future[None]:
    """Completes, on the sender's thread, when the record is on the log; fails with KafkaError if it is not."""
    written: Future[None] = Future()
    sent.add_callback(lambda _: written.set_result(None))
    sent.add_errback(written.set_exception)
    return written


def all_of(parts: Iterable[Future[None]]) -> Future[None]:
    """Completes when every part has; fails with the first failure in their order."""
    waited = list(parts)
    whole: Future[None] = Future()
    whole.set_running_or_notify_cancel()  # from now on a waiter that gives up cannot cancel it under our hands
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
