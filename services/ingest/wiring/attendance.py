"""The worker that concludes from observed attendance whether sessions were held or missed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from schemas.topics import EVENTS
from services.ingest.flow.meetings.attendance import GROUP, AttendanceWork, Log
from services.ingest.flow.meetings.outcomes import outcomes
from services.ingest.flow.tools.day_before import day_before
from services.ingest.wiring.knowledge import Known
from services.ingest.wiring.shared import Parts, Shared
from services.runtime.kafka import Reader
from services.runtime.loop import BatchLoop

# A day of a busy log is read again before the first batch.
MOST_SECONDS = 900


@contextmanager
def attendance(shared: Shared, known: Known, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    settings = shared.settings
    reader = Reader(settings, GROUP, max_poll_interval_ms=MOST_SECONDS * 1000)
    try:
        reader.subscribe([EVENTS.at(settings.log_epoch)])
        log = Log(reader, partial(day_before, settings), partial(outcomes, settings))
        work = AttendanceWork(log, shared.recorder, known.knowledge, shared.clock)
        loop = BatchLoop(reader, work, shared.readiness.part("attendance"))
        yield {"attendance": partial(known.then, loop, stop)}
    finally:
        reader.close()
