"""Writes events to the log, each one once as far as this process can remember."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from schemas.events import MentoringEvent, to_json
from schemas.topics import EVENTS
from services.ingest.domain.identity import content, identity
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.acknowledged import acknowledged, all_of
from services.runtime.kafka import Headers, Producer

STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)


@dataclass(frozen=True)
class Receipt:
    """`written` completes when the event is on the log; for a repeat that may have been long ago."""

    repeat: bool
    written: Future[None]


@dataclass(slots=True)
class _Known:
    content: bytes
    written: Future[None]


class Recorder:
    """For any thread. The memory is bounded, the oldest used is forgotten first; what it has forgotten is written
    again, which is harmless downstream."""

    def __init__(self, producer: Producer, remembered: int, topic: str = EVENTS.name) -> None:
        """Raises KafkaError when the topic of events does not exist or the broker is away."""
        self._producer, self._remembered, self._topic = producer, remembered, topic
        self._partitions = producer.partitions(topic)
        self._recent: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, event: MentoringEvent) -> Receipt | Rejected:
        """Raises KafkaError when the broker's metadata are lost; otherwise `written` tells of failures."""
        key, said = identity(event), content(event)
        with self._lock:
            if known := self._recent.get(key):
                self._recent.move_to_end(key)
                return _repeated(known, said)
            known = _Known(said, self._send(event))
            self._remember(key, known)
            receipt = Receipt(repeat=False, written=known.written)
        # Outside of the lock, which the callback takes: it runs at once if the send has already failed.
        receipt.written.add_done_callback(self._settling(key, known))
        return receipt

    def _send(self, event: MentoringEvent) -> Future[None]:
        value = to_json(event)
        if event.type == "mentoring.clock.reached.v1":
            copies = [
                self._producer.send(self._topic, None, value, partition=number, headers=STRUCTURED)
                for number in self._partitions
            ]
            return all_of(map(acknowledged, copies))
        return acknowledged(self._producer.send(self._topic, event.partitionkey.encode(), value, headers=STRUCTURED))

    def _remember(self, key: bytes, known: _Known) -> None:
        self._recent[key] = known
        if len(self._recent) > self._remembered:
            self._recent.popitem(last=False)

    def _settling(self, key: bytes, known: _Known) -> Callable[[Future[None]], None]:
        def settle(written: Future[None]) -> None:
            with self._lock:
                if written.exception() is None:
                    known.written = _WRITTEN
                elif self._recent.get(key) is known:
                    del self._recent[key]

        return settle


def _repeated(known: _Known, said: bytes) -> Receipt | Rejected:
    if known.content == said:
        return Receipt(repeat=True, written=known.written)
    return rejected(
        "conflict", "id", "this source has already said something else under this id; retract it, then use a new id"
    )


def _written() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done


# One for all: a future per remembered event would take most of the memory.
_WRITTEN = _written()
