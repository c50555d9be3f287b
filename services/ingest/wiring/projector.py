"""The projector: who is paired with whom and what is booked, kept on compacted topics for all who ask."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from uuid import uuid4

from schemas.topics import EVENTS
from services.ingest.flow.people.projector import GROUP, MOST_BYTES, MOST_RECORDS, MOST_SECONDS, Projector
from services.ingest.settings import IngestSettings
from services.ingest.wiring.shared import Parts
from services.runtime.health import Health
from services.runtime.kafka import Producer, Reader
from services.runtime.loop import BatchLoop, Limits

# A transaction that died with its process keeps readers waiting for so long.
TRANSACTION_SECONDS = 15


@contextmanager
def projector(settings: IngestSettings, health: Health, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    reader = Reader(settings, GROUP, max_poll_records=MOST_RECORDS, max_poll_interval_ms=MOST_SECONDS * 1000)
    try:
        reader.subscribe([EVENTS.at(settings.log_epoch)])
        with closing(Projector(settings, reader, partial(_producer, settings))) as work:
            loop = BatchLoop(reader, work, health, Limits(MOST_RECORDS, MOST_BYTES))
            yield {"projector": partial(loop.run, stop)}
    finally:
        reader.close()


def _producer(settings: IngestSettings) -> Producer:
    # A replica with a name takes over from its predecessor at once; without one nobody else bears its name.
    name = settings.instance or uuid4().hex
    return Producer(settings, f"{GROUP}-{name}", transaction_timeout_ms=TRANSACTION_SECONDS * 1000)
