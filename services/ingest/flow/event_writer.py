"""Writes events to the log, each one once as far as this process can remember."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

from schemas.events import MentoringEvent, to_json
from schemas.topics import EVENTS
from services.ingest.domain.ids import content_of, identity
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.acknowledgements import Acknowledgements
from services.ingest.flow.dead_letters import unwritable
from services.runtime.kafka import Awaited, Headers, OutgoingRecord, Sent, UnwritableRecordError, partition_of

STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
# As kafka-python takes it, one list for all records.
_HEADERS = list(STRUCTURED)

MOST_KEYS = 50_000


@dataclass(frozen=True)
class Receipt:
    """`written` completes when the event is on the log; for a repeat that may have been long ago. Events that were
    handed in together share it."""

    repeat: bool
    written: Future[None]


@dataclass(slots=True)
class _Known:
    content: bytes
    written: Future[None]


class LogProducer(Protocol):
    """As the producer of the runtime."""

    def partitions(self, topic: str) -> list[int]: ...

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: Headers = (),
    ) -> Sent: ...

    def send_for(self, awaited: Awaited, record: OutgoingRecord) -> None: ...


class EventWriter:
    """For any thread. The memory is bounded, the oldest used is forgotten first; what it has forgotten is written
    again, which is harmless downstream. What is under way is never forgotten: those who send bound it by its bytes."""

    def __init__(self, producer: LogProducer, remembered: int, topic: str = EVENTS.name) -> None:
        """Raises KafkaError when the topic of events does not exist or the broker is away."""
        self._producer, self._remembered, self._topic = producer, remembered, topic
        self._partitions = producer.partitions(topic)
        # The keys of a day are few, and computing where one lies takes a tenth of the time of sending.
        self._partition_of = lru_cache(MOST_KEYS)(partial(partition_of, partitions=len(self._partitions)))
        self._under_way: dict[bytes, _Known] = {}
        self._recent: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, event: MentoringEvent) -> Receipt | Rejected:
        """As `record_all`, for one."""
        (result,) = self.record_all([event])
        return result

    def record_all(self, events: Iterable[MentoringEvent]) -> list[Receipt | Rejected]:
        """What is too large for the log is rejected. Raises KafkaError when nothing can be written for now, and then
        some may have been sent; otherwise `written` tells of failures."""
        sending = Acknowledgements()
        new: dict[bytes, _Known] = {}
        # Before the lock, for which every other sender waits.
        prepared = [_prepared(event) for event in events]
        try:
            with self._lock:
                return [self._one(one, sending, new) for one in prepared]
        finally:
            # Outside of the lock, which the callback takes: it runs at once if all is settled already.
            sending.written.add_done_callback(partial(self._settle, new))
            sending.close()

    def _one(self, one: "_Prepared", sending: Acknowledgements, new: dict[bytes, _Known]) -> Receipt | Rejected:
        key = one.identity
        if known := self._under_way.get(key):
            return _repeated(known, one.content)
        if known := self._recent.get(key):
            self._recent.move_to_end(key)
            return _repeated(known, one.content)
        try:
            self._send(one, sending)
        except UnwritableRecordError as failure:
            return unwritable(failure)
        new[key] = self._under_way[key] = _Known(one.content, sending.written)
        return Receipt(repeat=False, written=sending.written)

    def _send(self, one: "_Prepared", sending: Acknowledgements) -> None:
        if one.key is None:
            for number in self._partitions:
                self._producer.send_for(sending, OutgoingRecord(self._topic, one.value, None, _HEADERS, number))
                sending.expect()
        else:
            number = self._partition_of(one.key)
            self._producer.send_for(sending, OutgoingRecord(self._topic, one.value, one.key, _HEADERS, number))
            sending.expect()

    def _settle(self, new: dict[bytes, _Known], written: Future[None]) -> None:
        failed = written.exception() is not None
        with self._lock:
            for key, known in new.items():
                del self._under_way[key]
                if not failed:
                    known.written = _WRITTEN
                    self._recent[key] = known
            while len(self._recent) > self._remembered:
                self._recent.popitem(last=False)


class _Prepared(NamedTuple):
    """An event as it goes to the log; `key` None: to every partition."""

    identity: bytes
    key: bytes | None
    value: bytes
    content: bytes


def _prepared(event: MentoringEvent) -> _Prepared:
    value = to_json(event)
    key = None if event.type == "mentoring.clock.reached.v1" else event.partitionkey.encode()
    return _Prepared(identity(event), key, value, content_of(value))


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


# One for all: what was said long ago needs no future of its own.
_WRITTEN = _written()
