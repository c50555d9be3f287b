"""Writes events to the log, each one once as far as this process can remember, and how far every source has spoken."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

from schemas.events import MentoringEvent, OfPartition, to_json
from schemas.primitives import Instant
from schemas.programs import SourceWatermark
from schemas.topics import EVENTS, SOURCES
from services.ingest.domain.ids import content_of, identity
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.in_flight import UnavailableError, all_of, unwritable
from services.runtime import log
from services.runtime.kafka import Headers, KafkaError, OutgoingRecord, Sent, UnwritableRecordError, partition_of

EVERY_SECONDS = 60.0
LOOK_SECONDS = 1.0
MOST_SOURCES = 10_000
"""Of one process. Beyond, the source that has been quiet for longest is forgotten: what it had said is written."""


class RecordProducer(Protocol):
    """As the producer of the runtime."""

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> Sent: ...


class SourceWatermarks:
    """For any thread. Whoever reads takes the latest of several writers: each process knows what it has written itself,
    and after a start begins anew."""

    def __init__(self, producer: RecordProducer, topic: str = SOURCES.name) -> None:
        self._producer, self._topic = producer, topic
        self._known: OrderedDict[tuple[str, str], _Spoken] = OrderedDict()
        self._lock = threading.Lock()

    def observe(self, events: Iterable[MentoringEvent]) -> None:
        """They are on the log."""
        # 1. Of many that come together most are of one source.
        latest: dict[tuple[str, str], tuple[Instant, Instant]] = {}
        for event in events:
            if isinstance(event, OfPartition):
                continue
            key, recorded = (event.tenant, event.source), event.recordedtime
            # Nobody speaks from the future.
            at = min(event.time, recorded)
            before = latest.get(key)
            latest[key] = (at, recorded) if before is None else (max(at, before[0]), max(recorded, before[1]))
        # 2. What is known of each moves on.
        with self._lock:
            for key, (at, recorded) in latest.items():
                known = self._known.get(key)
                if known is None:
                    self._known[key] = _Spoken(at, recorded, moved=True)
                elif at > known.time or recorded > known.recorded:
                    moved = max(at, known.time), max(recorded, known.recorded)
                    self._known[key] = _Spoken(*moved, moved=True, written=known.written)
                self._known.move_to_end(key)

    def run(self, stop: threading.Event) -> None:
        """Writes what has moved, until `stop`; then all that has."""
        while not stop.wait(LOOK_SECONDS):
            self.write(time.monotonic())
        self.write(float("inf"))

    def write(self, now: float) -> int:
        """How many were written. `now` in seconds: each that has moved and was not written within EVERY_SECONDS. What
        cannot be written stays to be written."""
        written = 0
        for (tenant, source), spoken in self._due(now):
            mark = SourceWatermark(tenant=tenant, source=source, time=spoken.time, recordedtime=spoken.recorded)
            try:
                sent = self._producer.send(self._topic, f"{tenant}/{source}".encode(), mark.model_dump_json().encode())
            except KafkaError as away:
                self._again(tenant, source, away)
                continue
            sent.add_errback(partial(self._again, tenant, source))
            written += 1
        return written

    def _due(self, now: float) -> list[tuple[tuple[str, str], "_Spoken"]]:
        """They count as written from here on."""
        with self._lock:
            due = [
                (key, spoken)
                for key, spoken in self._known.items()
                if spoken.moved and (spoken.written is None or now - spoken.written >= EVERY_SECONDS)
            ]
            for key, spoken in due:
                self._known[key] = spoken._replace(moved=False, written=now)
            quiet = [key for key, spoken in self._known.items() if not spoken.moved]
            for key in quiet[: max(0, len(self._known) - MOST_SOURCES)]:
                del self._known[key]
        return due

    def _again(self, tenant: str, source: str, failure: BaseException) -> None:
        log.get(__name__).warning("watermark_not_written", tenant=tenant, reason=str(failure))
        with self._lock:
            spoken = self._known.get((tenant, source))
            if spoken is not None:
                self._known[tenant, source] = spoken._replace(moved=True)


class _Spoken(NamedTuple):
    """`moved`: since it was written last, which was at `written`, in seconds."""

    time: Instant
    recorded: Instant
    moved: bool
    written: float | None = None


STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
# As kafka-python takes it, one list for all records.
_HEADERS = list(STRUCTURED)

MOST_KEYS = 50_000
CONFLICT = "this source has already said something else under this id; retract it, then use a new id"


class Together(Protocol):
    """Many records, as `SentTogether` of the runtime."""

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

    def together(self) -> Together: ...


class EventWriter:
    """For any thread. The memory is bounded, the oldest used is forgotten first; what it has forgotten is written
    again, which is harmless downstream. What is under way is never forgotten: those who send bound it by its bytes."""

    def __init__(
        self,
        producer: LogProducer,
        remembered: int,
        topic: str = EVENTS.name,
        watermarks: SourceWatermarks | None = None,
    ) -> None:
        """`watermarks` hears of what is on the log. Raises KafkaError when the topic of events does not exist or the
        broker is away."""
        self._producer, self._remembered, self._topic, self._watermarks = producer, remembered, topic, watermarks
        self._partitions = producer.partitions(topic)
        # The keys of a day are few, and computing where one lies takes a tenth of the time of sending.
        self._partition_of = lru_cache(MOST_KEYS)(partial(partition_of, partitions=len(self._partitions)))
        self._under_way: dict[bytes, _UnderWay] = {}
        # Of what is on the log, the content by the identity.
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

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
        recording = RecordedTogether(self._producer.together())
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
        if self._watermarks is not None:
            self._watermarks.observe([known.event for known in written.values()])
        with self._lock:
            for key in new:
                del self._under_way[key]
            for key, known in written.items():
                self._recent[key] = known.content
            while len(self._recent) > self._remembered:
                self._recent.popitem(last=False)
        # The future keeps `new`, whose receipts keep the future: only Python's collector would free these events.
        new.clear()


class PreparedEvent(NamedTuple):
    """An event as it goes to the log; `key` None: to every partition."""

    identity: bytes
    key: bytes | None
    value: bytes
    content: bytes
    event: MentoringEvent


def prepared(event: MentoringEvent) -> PreparedEvent:
    value = to_json(event)
    key = None if isinstance(event, OfPartition) else event.partitionkey.encode()
    return PreparedEvent(identity(event), key, value, content_of(value), event)


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
