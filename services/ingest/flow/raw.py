"""The raw topic: CloudEvents, structured or binary, from enterprises that write to Kafka themselves."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

from services.ingest.domain.cloudevents.kafka_binding import read_record
from services.ingest.domain.verdict import Rejected, Verdict, rejected
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.quarantine import quarantine, unwritable
from services.ingest.flow.recorder import Receipt, Recorder
from services.ingest.flow.room import UnavailableError
from services.ingest.flow.unexpected import UnexpectedFailures
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Record, UnwritableRecordError
from services.runtime.loop import Batch, TryLaterError

GROUP = "rapport-ingest"
# The same as over HTTP; parsing more would stall the partition for an event that cannot be valid.
MOST_BYTES = 2**20
# No event has nearly as many: what has is not worth the time that it takes to read them.
MOST_HEADERS = 10_000
# kafka-python's producer has no back-pressure: at most this waits for the broker at a time.
MOST_PENDING_BYTES = 8 * 2**20
# The loop polls again after this; the producer goes on trying meanwhile, and a repeat of the batch finds that out.
MOST_SECONDS = 20.0


class _Pending(NamedTuple):
    record: Record
    written: Future[None]


class RawEvents:
    """The work of a BatchLoop: every record ends on the log of events or in quarantine, acknowledged."""

    def __init__(
        self, producer: Producer, recorder: Recorder, admitted: Callable[[object], Verdict], metrics: Metrics
    ) -> None:
        self._producer, self._recorder, self._admitted, self._metrics = producer, recorder, admitted, metrics
        self._unexpected = UnexpectedFailures()

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Nothing is kept per partition."""

    def idle(self) -> None:
        """Nothing is due by time."""

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        outcomes: Counter[str] = Counter()
        pending: list[_Pending] = []
        size = 0
        for record in batch.records:
            outcome, written = self._deal(record)
            outcomes[outcome] += 1
            pending.append(_Pending(record, written))
            size += len(record.value or b"")
            if size > MOST_PENDING_BYTES:
                outcomes.update(self._settled(pending))
                pending, size = [], 0
        outcomes.update(self._settled(pending))
        for outcome, count in outcomes.items():
            self._metrics.events.labels("raw", outcome).inc(count)
        return outcomes

    def _deal(self, record: Record) -> tuple[str, Future[None]]:
        try:
            result = self._result(record)
            if isinstance(result, Rejected):
                return result.reason, quarantine(self._producer, record, result)
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
        except UnavailableError as early:
            raise TryLaterError(str(early)) from early
        return "duplicate" if result.repeat else "recorded", result.written

    def _result(self, record: Record) -> Receipt | Rejected:
        try:
            verdict = self._judge(record)
            result = verdict if isinstance(verdict, Rejected) else self._recorder.record(verdict.event)
        except (KafkaError, UnavailableError):
            raise
        except Exception as failure:  # noqa: BLE001 (put aside, told, and counted)
            return self._unexpected.rejected(record, failure)
        self._unexpected.passed()
        return result

    def _judge(self, record: Record) -> Verdict:
        if len(record.value or b"") > MOST_BYTES:
            return rejected("too_large", "", f"an event has at most {MOST_BYTES} bytes")
        if len(record.headers) > MOST_HEADERS:
            return rejected("too_large", "headers", f"a record has at most {MOST_HEADERS} headers")
        read = read_record(record.headers, record.value)
        return read if isinstance(read, Rejected) else self._admitted(read.value)

    def _settled(self, pending: list[_Pending]) -> Counter[str]:
        """What the broker never takes is put aside, and counts so besides."""
        refused = {place: why for place, one in enumerate(pending) if (why := _refusal(one.written))}
        try:
            again = [quarantine(self._producer, pending[place].record, why) for place, why in refused.items()]
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
        for written in again:
            _refusal(written)
        return Counter(why.reason for why in refused.values())


def _refusal(written: Future[None]) -> Rejected | None:
    try:
        written.result(MOST_SECONDS)
    except UnwritableRecordError as failure:
        return unwritable(failure)
    except (KafkaError, TimeoutError) as away:
        raise TryLaterError(f"the broker does not acknowledge: {away}") from away
    return None
