"""The raw topic of CloudEvents, where a tenant is named for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from schemas.topics import RAW_CLOUDEVENTS
from services.ingest.flow.raw import GROUP, RawEvents, RawSender
from services.ingest.wiring.knowledge import Known
from services.ingest.wiring.shared import Parts, Shared
from services.runtime.kafka import Reader
from services.runtime.loop import BatchLoop

# Of the raw topic in one poll: few enough to stay well within the poll interval.
MOST_RECORDS = 1_000


@contextmanager
def raw_cloudevents(shared: Shared, known: Known, stop: threading.Event) -> Iterator[Parts]:
    health, scope = shared.readiness.part("raw topic"), shared.settings.raw_scope()
    if scope is None:
        health.tell("ready", "not read, RAPPORT_INGEST_RAW_TENANT is not set")
        yield {}
        return

    if scope.programs:
        known.wanted.set()
    sender = RawSender(scope, shared.gate(known.programs), shared.pseudonym(scope.tenant))
    work = RawEvents(shared.producer, shared.recorder, sender, shared.metrics)
    reader = Reader(shared.settings, GROUP, max_poll_records=MOST_RECORDS)
    try:
        reader.subscribe([RAW_CLOUDEVENTS.name])
        yield {"raw": partial(BatchLoop(reader, work, health).run, stop)}
    finally:
        reader.close()
