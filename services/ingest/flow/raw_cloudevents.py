"""The raw topic of CloudEvents, structured or binary, to which an enterprise writes itself."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from schemas.topics import RAW_CLOUDEVENTS
from services.ingest.domain.admission import EventAdmission
from services.ingest.domain.cloudevents import Parsed, read_record
from services.ingest.domain.dead_letters import storable, without_words
from services.ingest.domain.ids import NoDigestKeyError, Pseudonym
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.dead_letters import DeadLetterPart, quarantine
from services.ingest.flow.event_writer import STRUCTURED, EventWriter, Receipt
from services.ingest.flow.in_flight import UnavailableError, UnexpectedFailures, rejection_of
from services.ingest.flow.shared import IngestMetrics, ProjectionAccess, Shared
from services.ingest.flow.supervise import Parts
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Reader, Record, UnwritableRecordError
from services.runtime.loop import BatchLoop, TryLaterError, later_if_away
from services.runtime.partition_buffer import Batch

GROUP = "rapport-ingest"
# The same as over HTTP; parsing more would stall the partition for an event that cannot be valid.
MAX_BYTES = 2**20
# No event has nearly as many, and reading them takes time.
MAX_HEADERS = 10_000
# kafka-python's producer has no back-pressure: at most this much waits for the broker at a time.
MAX_PENDING_BYTES = 8 * 2**20
# The loop polls again after this. The producer goes on trying meanwhile, and the repeated batch finds its records.
MAX_SECONDS = 20.0
# A record key that may be kept; any other may be what a person wrote.
KEY = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/-]{0,256}")


@dataclass(frozen=True)
class RawSender:
    """The scope of the topic, and the admission of its events."""

    scope: Scope
    admission: EventAdmission
    pseudonym: Pseudonym

    def digest(self, value: bytes) -> str:
        """Under the tenant's key, so that nobody can find the content by trying values."""
        try:
            return self.pseudonym(f"a record: {value.hex()}")
        except NoDigestKeyError:
            return "none, RAPPORT_INGEST_DIGEST_KEY is not set"


class RawEvents:
    """The work of a BatchLoop: every record ends on the log of events or in quarantine, acknowledged."""

    def __init__(
        self, producer: Producer, event_writer: EventWriter, sender: RawSender, metrics: IngestMetrics
    ) -> None:
        self._producer, self._event_writer, self._sender, self._metrics = producer, event_writer, sender, metrics
        self._unexpected = UnexpectedFailures()

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Does nothing: there is no state per partition."""

    def idle(self) -> None:
        """Does nothing: no work is due by time."""

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        outcomes: Counter[str] = Counter()
        pending: list[tuple[Record, Future[None]]] = []
        size = 0
        for record in batch.records:
            outcome, written = self._process(record)
            outcomes[outcome] += 1
            pending.append((record, written))
            size += len(record.value or b"")
            if size > MAX_PENDING_BYTES:
                outcomes.update(self._await_writes(pending))
                pending, size = [], 0
        outcomes.update(self._await_writes(pending))
        for outcome, count in outcomes.items():
            self._metrics.events.labels("raw", outcome).inc(count)
        return outcomes

    def _process(self, record: Record) -> tuple[str, Future[None]]:
        work = partial(self._record, record)
        try:
            result = self._unexpected.attempt(record, work, KafkaError, UnavailableError)
            if isinstance(result, Rejected):
                return result.reason, self._quarantine(record, result)
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
        except UnavailableError as early:
            raise TryLaterError(str(early)) from early
        return "duplicate" if result.duplicate else "recorded", result.written

    def _record(self, record: Record) -> Receipt | Rejected:
        raw, sender = _read(record), self._sender
        verdict = raw if isinstance(raw, Rejected) else sender.admission.for_scope(sender.scope)(raw.value)
        if isinstance(verdict, Rejected):
            return verdict
        self._metrics.dropped.labels("raw").inc(verdict.dropped)
        return self._event_writer.record(verdict.event)

    def _quarantine(self, record: Record, refused: Rejected) -> Future[None]:
        """Keeps what may be kept of the event, in structured mode, and a digest of the full value; never a header, a
        key or a name that a person may have written."""
        sender, size = self._sender, len(record.value or b"")
        try:
            raw = _read(record)
        except Exception:  # noqa: BLE001 (logged when it was processed)
            raw = Parsed(None)
        kept = storable(None if isinstance(raw, Rejected) else raw.value, sender.scope, sender.pseudonym)
        value = json.dumps(kept.event, ensure_ascii=False).encode() if kept.event else b""
        notes = (
            () if kept.is_complete else (("cut_from_bytes", str(size)), ("digest", sender.digest(record.value or b"")))
        )
        key = record.key if KEY.fullmatch(record.key or b"") else None
        shown = record._replace(key=key, headers=STRUCTURED if value else ())
        return quarantine(self._producer, shown, without_words(refused), DeadLetterPart(value, notes=notes))

    def _await_writes(self, pending: list[tuple[Record, Future[None]]]) -> Counter[str]:
        """Waits for all writes. Quarantines the records that the broker refuses, and returns their outcomes."""
        refused = [(record, why) for record, one in pending if (why := _refusal(one))]
        with later_if_away():
            quarantined = [self._quarantine(record, why) for record, why in refused]
        for written in quarantined:
            _refusal(written)
        return Counter(why.reason for _, why in refused)


def _read(record: Record) -> Parsed | Rejected:
    if len(record.value or b"") > MAX_BYTES:
        return rejected("too_large", "", f"an event has at most {MAX_BYTES} bytes")
    if len(record.headers) > MAX_HEADERS:
        return rejected("too_large", "headers", f"a record has at most {MAX_HEADERS} headers")
    return read_record(record.headers, record.value)


def _refusal(written: Future[None]) -> Rejected | None:
    try:
        written.result(MAX_SECONDS)
    except UnwritableRecordError as failure:
        return rejection_of(failure)
    except (KafkaError, TimeoutError) as away:
        raise TryLaterError(f"the broker does not acknowledge: {away}") from away
    return None


# Records of one poll: few enough to stay well within the poll interval.
MAX_RECORDS = 1_000


@contextmanager
def raw_cloudevents(shared: Shared, access: ProjectionAccess, stop: threading.Event) -> Iterator[Parts]:
    health, scope = shared.readiness.part("raw topic"), shared.settings.raw_scope()
    if scope is None:
        health.report("ready", "not read, RAPPORT_INGEST_RAW_TENANT is not set")
        yield {}
        return

    if scope.programs:
        access.wanted.set()
    sender = RawSender(scope, shared.admission(access.programs), shared.pseudonym(scope.tenant))
    work = RawEvents(shared.producer, shared.event_writer, sender, shared.metrics)
    with closing(Reader(shared.settings, GROUP, max_poll_records=MAX_RECORDS)) as reader:
        reader.subscribe([RAW_CLOUDEVENTS.name])
        yield {"raw": partial(BatchLoop(reader, work, health).run, stop)}
