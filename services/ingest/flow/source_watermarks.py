"""How far every source has spoken, at a bounded rate: the latest event of each, and when one was recorded last."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from schemas.programs import SourceWatermark
from schemas.topics import SOURCES
from services.ingest.flow.event_writer import SpokenUntil
from services.runtime import log
from services.runtime.kafka import KafkaError, Sent

EVERY_SECONDS = 60.0
LOOK_SECONDS = 1.0
MOST_SOURCES = 10_000
"""Of one process. Beyond, the source that has been quiet for longest is forgotten: what it had said is written."""


class RecordProducer(Protocol):
    """As the producer of the runtime."""

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> Sent: ...


class SourceWatermarks:
    """For one thread; failures are told on any. Whoever reads takes the latest of several writers: each process knows
    what it has written itself, and after a start begins anew."""

    def __init__(
        self,
        producer: RecordProducer,
        spoken: Callable[[], Mapping[tuple[str, str], SpokenUntil]],
        topic: str = SOURCES.name,
    ) -> None:
        """`spoken`: how far each tenant's source has spoken since the last call."""
        self._producer, self._spoken, self._topic = producer, spoken, topic
        self._known: OrderedDict[tuple[str, str], _WrittenWatermark] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Writes what has moved, until `stop`; then all that has."""
        while not stop.wait(LOOK_SECONDS):
            self.write(time.monotonic())
        self.write(float("inf"))

    def write(self, now: float) -> int:
        """How many were written. `now` in seconds: each that has moved and was not written within EVERY_SECONDS. What
        cannot be written stays to be written."""
        written = 0
        for (tenant, source), (at, recorded) in self._due(now):
            mark = SourceWatermark(tenant=tenant, source=source, time=at, recordedtime=recorded)
            try:
                sent = self._producer.send(self._topic, f"{tenant}/{source}".encode(), mark.model_dump_json().encode())
            except KafkaError as away:
                self._again(tenant, source, away)
                continue
            sent.add_errback(partial(self._again, tenant, source))
            written += 1
        return written

    def _due(self, now: float) -> list[tuple[tuple[str, str], SpokenUntil]]:
        """They count as written from here on."""
        with self._lock:
            for key, spoken in self._spoken().items():
                known = self._known.get(key)
                if known is None:
                    self._known[key] = _WrittenWatermark(spoken, moved=True)
                elif spoken.time > known.spoken.time or spoken.recorded > known.spoken.recorded:
                    latest = SpokenUntil(*map(max, spoken, known.spoken))
                    self._known[key] = _WrittenWatermark(latest, moved=True, written=known.written)
                self._known.move_to_end(key)
            due = [
                (key, known.spoken)
                for key, known in self._known.items()
                if known.moved and (known.written is None or now - known.written >= EVERY_SECONDS)
            ]
            for key, spoken in due:
                self._known[key] = _WrittenWatermark(spoken, moved=False, written=now)
            quiet = [key for key, known in self._known.items() if not known.moved]
            for key in quiet[: max(0, len(self._known) - MOST_SOURCES)]:
                del self._known[key]
        return due

    def _again(self, tenant: str, source: str, failure: BaseException) -> None:
        log.get(__name__).warning("watermark_not_written", tenant=tenant, reason=str(failure))
        with self._lock:
            known = self._known.get((tenant, source))
            if known is not None:
                self._known[tenant, source] = known._replace(moved=True)


class _WrittenWatermark(NamedTuple):
    """`moved`: since it was written last, which was at `written`, in seconds."""

    spoken: SpokenUntil
    moved: bool
    written: float | None = None
