"""A record under way: unlike kafka-python's future it survives the producer that sent it first."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from kafka.errors import KafkaTimeoutError

# One for all: it is held for a few instructions, and a lock for each of thousands of records a second costs more.
_LOCK = threading.Lock()


class Outgoing(NamedTuple):
    """What `KafkaProducer.send` takes."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None = None
    timestamp_ms: int | None = None


class PendingRecord:
    """Settled once, on any thread. Callbacks run on the thread that settles it."""

    __slots__ = ("_callbacks", "_errbacks", "_failure", "_metadata", "_settled", "_waiter", "outgoing")

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self._callbacks: list[Callable[[Any], object]] = []
        self._errbacks: list[Callable[[BaseException], object]] = []
        self._metadata: Any = None
        self._failure: BaseException | None = None
        self._settled = False
        self._waiter: threading.Event | None = None

    def add_callback(self, callback: Callable[[Any], object]) -> None:
        with _LOCK:
            if not self._settled:
                self._callbacks.append(callback)
                return
        if self._failure is None:
            callback(self._metadata)

    def add_errback(self, errback: Callable[[BaseException], object]) -> None:
        with _LOCK:
            if not self._settled:
                self._errbacks.append(errback)
                return
        if self._failure is not None:
            errback(self._failure)

    def get(self, timeout: float | None = None) -> Any:  # noqa: ANN401 (kafka-python's RecordMetadata)
        """Raises KafkaError if the record is not on the log."""
        with _LOCK:
            if not self._settled and self._waiter is None:
                self._waiter = threading.Event()
            waiter = None if self._settled else self._waiter
        if waiter is not None and not waiter.wait(timeout):
            raise KafkaTimeoutError(f"not acknowledged within {timeout} s")
        if self._failure is not None:
            raise self._failure
        return self._metadata

    def succeed(self, metadata: Any) -> None:  # noqa: ANN401
        self._metadata = metadata
        for callback in self._settle():
            callback(metadata)

    def fail(self, failure: BaseException) -> None:
        self._failure = failure
        for errback in self._settle():
            errback(failure)

    def _settle(self) -> list[Callable[[Any], object]]:
        with _LOCK:
            self._settled = True
            called: list[Callable[[Any], object]] = self._callbacks if self._failure is None else self._errbacks
            # Whoever keeps the future need not keep the callers' memory with it.
            self._callbacks, self._errbacks = [], []
            waiter = self._waiter
        if waiter is not None:
            waiter.set()
        return called
