"""The work on the raw topic of CloudEvents without its consumer, whose group other gateways may share."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial

from prometheus_client import CollectorRegistry

from schemas.topics import RAW_CLOUDEVENTS
from services.ingest.domain.admission import EventAdmission
from services.ingest.domain.ids import pseudonym_of
from services.ingest.domain.scope import Scope
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.ingest.flow.raw_cloudevents import RawEvents, RawSender
from services.ingest.flow.shared import IngestMetrics
from services.runtime.kafka import Headers, Partition, Producer, Record
from services.runtime.partition_buffer import Batch
from services.runtime.settings import Settings
from tests.ingest.conftest import DIGEST_KEY


@contextmanager
def raw_events(broker: Settings, scope: Scope, programs: ProgramLookup) -> Iterator[RawEvents]:
    with closing(Producer(broker)) as producer:
        admission = EventAdmission(partial(datetime.now, UTC), "wall", programs, partial(pseudonym_of, DIGEST_KEY))
        sender = RawSender(scope, admission, pseudonym_of(DIGEST_KEY, scope.tenant))
        yield RawEvents(producer, EventWriter(producer, 1_000), sender, IngestMetrics(CollectorRegistry()))


def raw_batch(values: Sequence[bytes | None], headers: Headers = (), key: bytes = b"any") -> Batch:
    topic = RAW_CLOUDEVENTS.name
    records = [Record(topic, 0, offset, key, value, headers, 0) for offset, value in enumerate(values)]
    return Batch(Partition(topic, 0), records)
