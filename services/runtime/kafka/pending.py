"""A record under way: unlike kafka-python's future it survives the producer that sent it first."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from kafka.errors import KafkaTimeoutError


class OutgoingRecord(NamedTuple):
    """What `KafkaProducer.send` takes, in its order."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None = None
    timestamp_ms: int | None = None


class Awaited(Protocol):
    """Is told, on any thread, what became of each record that was sent for it."""

    def succeed(self, metadata: Any) -> None: ...  # noqa: ANN401 (kafka-python's RecordMetadata)

    def fail(self, failure: BaseException) -> None: ...


class PendingRecord:
    """Settled once, on any thread; callbacks run on the thread that settles it. Thin: there is one for each record."""

    __slots__ = ("_callbacks", "_errbacks", "_failure", "_lock", "_metadata", "_settled", "_waiter")

    def __init__(self) -> None:
        self._callbacks: tuple[Callable[[Any], object], ...] = ()
        self._errbacks: tuple[Callable[[BaseException], object], ...] = ()
        self._metadata: Any = None
        self._failure: BaseException | None = None
        self._settled = False
        self._waiter: threading.Event | None = None
        self._lock = threading.Lock()

    def add_callback(self, callback: Callable[[Any], object]) -> None:
        with self._lock:
            if not self._settled:
                self._callbacks = (*self._callbacks, callback)
                return
        if self._failure is None:
            callback(self._metadata)

    def add_errback(self, errback: Callable[[BaseException], object]) -> None:
        with self._lock:
            if not self._settled:
                self._errbacks = (*self._errbacks, errback)
                return
        if self._failure is not None:
            errback(self._failure)

    def get(self, timeout: float | None = None) -> Any:  # noqa: ANN401 (kafka-python's RecordMetadata)
        """Raises KafkaError if the record is not on the log."""
        with self._lock:
            if not self._settled and self._waiter is None:
                self._waiter = threading.Event()
            waiter = None if self._settled else self._waiter
        if waiter is not None and not waiter.wait(timeout):
            raise KafkaTimeoutError(f"not acknowledged within {timeout} s")
        if self._failure is not None:
            raise self._failure
        return self._metadata

    def succeed(self, metadata: Any) -> None:  # noqa: ANN401
        with self._lock:
            self._metadata, self._settled, called = metadata, True, self._callbacks
        if self._waiter is not None:
            self._waiter.set()
        for callback in called:
            callback(metadata)

    def fail(self, failure: BaseException) -> None:
        with self._lock:
            self._failure, self._settled, called = failure, True, self._errbacks
        if self._waiter is not None:
            self._waiter.set()
        for errback in called:
            errback(failure)
