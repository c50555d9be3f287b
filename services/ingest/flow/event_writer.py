"""Writes events to the log, each one once as far as this process can remember."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

from schemas.events import MentoringEvent, OfPartition, OfRelationship
from schemas.primitives import Instant
from schemas.topics import EVENTS
from services.ingest.domain.admission import PreparedEvent, prepared
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.in_flight import UnavailableError, all_of, unwritable
from services.runtime.kafka import Headers, KafkaError, OutgoingRecord, UnwritableRecordError, partition_of

STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
# As kafka-python takes it, one list for all records.
_HEADERS = list(STRUCTURED)

MOST_KEYS = 50_000
MOST_SOURCES = 10_000
"""Of those that have spoken and nobody has asked about."""
CONFLICT = "this source has already said something else under this id; retract it, then use a new id"


class Together(Protocol):
    """Many records, as `WriteGroup` of the runtime."""

    written: Future[None]
    failures: dict[int, BaseException]

    def send(self, outgoing: OutgoingRecord) -> int: ...

    def hand_over(self) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Receipt:
    """`sending` is what the event was recorded together with, and `place` where among it: the last of its records, of
    which an event of all partitions has several. `sending` is None for a repeat that was on the log long ago."""

    sending: Together | None
    place: int = 0
    records: int = 1
    repeat: bool = False

    @property
    def written(self) -> Future[None]:
        """Completes when all of that is settled: for what was recorded alone, when the event is on the log."""
        return _WRITTEN if self.sending is None else self.sending.written

    def failure(self) -> BaseException | None:
        """Why the event is not on the log, as far as that is known."""
        if self.sending is None or not (failures := self.sending.failures):
            return None
        places = range(self.place - self.records + 1, self.place + 1)
        found = [failures[place] for place in places if place in failures]
        return next((one for one in found if isinstance(one, UnwritableRecordError)), found[0] if found else None)

    def became(self) -> "Receipt | Rejected | UnavailableError":
        """The receipt itself where the event is on the log; else why it is not, or that nobody knows yet."""
        # In this order: what fails between the two questions would else count as written.
        settled = self.written.done()
        failure = self.failure()
        if isinstance(failure, UnwritableRecordError):
            return unwritable(failure)
        if failure is not None or not settled:
            return UnavailableError(f"the broker does not acknowledge{f': {failure}' if failure else ''}")
        return self


class _UnderWay(NamedTuple):
    content: bytes
    receipt: Receipt
    event: MentoringEvent


class LogProducer(Protocol):
    """As the producer of the runtime."""

    def partitions(self, topic: str) -> list[int]: ...

    def write_group(self) -> Together: ...


class EventWriter:
    """For any thread. The memory is bounded, the oldest used is forgotten first; what it has forgotten is written
    again, which is harmless downstream. What is under way is never forgotten: those who send bound it by its bytes."""

    def __init__(self, producer: LogProducer, remembered: int, topic: str = EVENTS.name) -> None:
        """Raises KafkaError when the topic of events does not exist or the broker is away."""
        self._producer, self._remembered, self._topic = producer, remembered, topic
        self._partitions = producer.partitions(topic)
        # The keys of a day are few, and computing where one lies takes a tenth of the time of sending.
        self._partition_of = lru_cache(MOST_KEYS)(partial(partition_of, partitions=len(self._partitions)))
        self._under_way: dict[bytes, _UnderWay] = {}
        # Of what is on the log, the content by the identity.
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._spoken: OrderedDict[tuple[str, str], SpokenUntil] = OrderedDict()
        self._lock = threading.Lock()

    def spoken(self) -> Mapping[tuple[str, str], "SpokenUntil"]:
        """How far each tenant's source has spoken on the log since the last call."""
        with self._lock:
            found, self._spoken = self._spoken, OrderedDict()
        return found

    def record(self, event: MentoringEvent) -> Receipt | Rejected:
        """What is too large for the log is rejected. Raises KafkaError when nothing can be written for now; otherwise
        `written` tells of failures."""
        with self.recording() as recording:
            return self.record_in(recording, prepared(event))

    def record_again(self, event: MentoringEvent) -> Future[None] | Rejected:
        """What failed was forgotten, so that nothing contradicts it; it may have become too large for the log."""
        receipt = self.record(event)
        return receipt if isinstance(receipt, Rejected) else receipt.written

    @contextmanager
    def recording(self) -> Iterator["RecordedTogether"]:
        """For events that are handed in together, by one thread."""
        recording = RecordedTogether(self._producer.write_group())
        try:
            yield recording
        finally:
            # Outside of the lock, which the callback takes: it runs at once if all is settled already.
            sending = recording.sending
            sending.written.add_done_callback(partial(self._settle, recording.new, sending.failures))
            sending.close()

    def record_in(self, recording: "RecordedTogether", one: "PreparedEvent") -> Receipt | Rejected:
        """As `record`. When it raises, what was recorded before may have been sent."""
        with self._lock:
            known = self._under_way.get(one.identity)
            content = known.content if known else self._recent.get(one.identity)
            if content is None:
                return self._sent(recording, one)
            if known is None:
                self._recent.move_to_end(one.identity)
        if content != one.content:
            return rejected("conflict", "id", CONFLICT)
        if known is None:
            return _LONG_AGO
        recording.others[known.receipt.written] = None
        return replace(known.receipt, repeat=True)

    def _sent(self, recording: "RecordedTogether", one: "PreparedEvent") -> Receipt | Rejected:
        numbers = self._partitions if one.key is None else (self._partition_of(one.key),)
        sending, place = recording.sending, 0
        try:
            for number in numbers:
                place = sending.send(OutgoingRecord(self._topic, one.value, one.key, _HEADERS, number))
        except UnwritableRecordError as failure:
            return unwritable(failure)
        receipt = Receipt(sending, place, len(numbers))
        recording.new[one.identity] = self._under_way[one.identity] = _UnderWay(one.content, receipt, one.event)
        return receipt

    def _settle(self, new: dict[bytes, _UnderWay], failures: Mapping[int, BaseException], _: Future[None]) -> None:
        """Each by itself: what is on the log is remembered, and what is not is forgotten, to be sent again."""
        written = {key: known for key, known in new.items() if known.receipt.failure() is None} if failures else new
        with self._lock:
            for key in new:
                del self._under_way[key]
            for key, known in written.items():
                self._recent[key] = known.content
                if not isinstance(known.event, OfPartition):
                    self._heard(known.event)
            while len(self._recent) > self._remembered:
                self._recent.popitem(last=False)
        # The future keeps `new`, whose receipts keep the future: only Python's collector would free these events.
        new.clear()

    def _heard(self, event: OfRelationship) -> None:
        # Nobody speaks from the future.
        at, recorded = min(event.time, event.recordedtime), event.recordedtime
        before = self._spoken.get((event.tenant, event.source))
        if before is not None:
            at, recorded = max(at, before.time), max(recorded, before.recorded)
        elif len(self._spoken) >= MOST_SOURCES:
            self._spoken.popitem(last=False)
        self._spoken[event.tenant, event.source] = SpokenUntil(at, recorded)


class SpokenUntil(NamedTuple):
    """`time` is that of the latest event of a source, `recorded` when one was recorded last."""

    time: Instant
    recorded: Instant


class RecordedTogether:
    """What is recorded together: what is new of it, under way as one, and what else is waited for: what others have
    under way already."""

    def __init__(self, sending: Together) -> None:
        self.sending = sending
        self.new: dict[bytes, _UnderWay] = {}
        self.others: dict[Future[None], None] = {}

    def cut_off(self, failure: KafkaError) -> None:
        """The rest cannot be sent. A record that was sent before and refused may be why: then that is what its sender
        has to hear, or would send all of it again for ever."""
        rest: Future[None] = Future()
        rest.set_exception(failure)
        self.others[rest] = None

    @property
    def written(self) -> Future[None]:
        """Completes when all of it is on the log; to be asked for when all is recorded."""
        return all_of([self.sending.written, *self.others]) if self.others else self.sending.written


# One for all: what was said long ago needs no future of its own.
_WRITTEN = Future[None]()
_WRITTEN.set_result(None)
_LONG_AGO = Receipt(sending=None, repeat=True)
