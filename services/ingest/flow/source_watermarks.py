"""Writes the watermark of every source at a bounded rate: its latest event time, and when one was recorded last."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from schemas.programs import SourceWatermark
from schemas.topics import SOURCES
from services.ingest.flow.event_writer import SourceProgress
from services.runtime import log
from services.runtime.kafka import KafkaError, Sent
from services.runtime.progress import note_progress

WRITE_INTERVAL_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 1.0
MAX_SOURCES = 10_000
"""Of one process. Beyond, the source that has been idle for longest is evicted: its watermark is written."""


class RecordProducer(Protocol):
    """As the producer of the runtime."""

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> Sent: ...


class SourceWatermarks:
    """For one thread; failures are reported on any. Readers take the latest watermark of several writers: each process
    knows only its own, and starts without any."""

    def __init__(
        self,
        producer: RecordProducer,
        drain_progress: Callable[[], Mapping[tuple[str, str], SourceProgress]],
        topic: str = SOURCES.name,
    ) -> None:
        """`drain_progress` returns the progress of each tenant's source since its last call."""
        self._producer, self._drain_progress, self._topic = producer, drain_progress, topic
        self._watermarks: OrderedDict[tuple[str, str], _TrackedWatermark] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Writes the watermarks that are due until `stop`, and then all that have moved."""
        while not stop.wait(CHECK_INTERVAL_SECONDS):
            note_progress()
            self.write(time.monotonic())
        self.write(float("inf"))

    def write(self, now: float) -> int:
        """Writes each watermark that has moved and was not written within WRITE_INTERVAL_SECONDS, and returns how many
        were written. `now` is in seconds. A watermark that cannot be written is due again."""
        written = 0
        for (tenant, source), (at, recorded) in self._due(now):
            watermark = SourceWatermark(tenant=tenant, source=source, time=at, recordedtime=recorded)
            value = watermark.model_dump_json().encode()
            try:
                sent = self._producer.send(self._topic, f"{tenant}/{source}".encode(), value)
            except KafkaError as away:
                self._mark_unwritten(tenant, source, away)
                continue
            sent.add_errback(partial(self._mark_unwritten, tenant, source))
            written += 1
        return written

    def _due(self, now: float) -> list[tuple[tuple[str, str], SourceProgress]]:
        """Marks the returned watermarks as written."""
        with self._lock:
            for key, progress in self._drain_progress().items():
                tracked = self._watermarks.get(key)
                if tracked is None:
                    self._watermarks[key] = _TrackedWatermark(progress, moved=True)
                elif progress.time > tracked.progress.time or progress.recorded > tracked.progress.recorded:
                    latest = SourceProgress(*map(max, progress, tracked.progress))
                    self._watermarks[key] = _TrackedWatermark(latest, moved=True, written=tracked.written)
                self._watermarks.move_to_end(key)
            due = [
                (key, one.progress)
                for key, one in self._watermarks.items()
                if one.moved and (one.written is None or now - one.written >= WRITE_INTERVAL_SECONDS)
            ]
            for key, progress in due:
                self._watermarks[key] = _TrackedWatermark(progress, moved=False, written=now)
            idle = [key for key, one in self._watermarks.items() if not one.moved]
            for key in idle[: max(0, len(self._watermarks) - MAX_SOURCES)]:
                del self._watermarks[key]
        return due

    def _mark_unwritten(self, tenant: str, source: str, failure: BaseException) -> None:
        log.get(__name__).warning("watermark_not_written", tenant=tenant, reason=str(failure))
        with self._lock:
            tracked = self._watermarks.get((tenant, source))
            if tracked is not None:
                self._watermarks[tenant, source] = tracked._replace(moved=True)


class _TrackedWatermark(NamedTuple):
    """`moved` since it was last written, which was at `written`, in seconds."""

    progress: SourceProgress
    moved: bool
    written: float | None = None
