"""The raw topic: CloudEvents, structured or binary, from enterprises that write to Kafka themselves."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from services.ingest.domain.cloudevents.kafka_binding import read_record
from services.ingest.domain.verdict import Rejected, Verdict, rejected
from services.ingest.flow.acknowledged import all_of
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.quarantine import quarantine
from services.ingest.flow.recorder import Recorder
from services.ingest.flow.room import UnavailableError
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Record
from services.runtime.loop import Batch, TryLaterError

GROUP = "rapport-ingest"
# The same as over HTTP; parsing more would stall the partition for an event that cannot be valid.
MOST_BYTES = 2**20
# kafka-python's producer has no back-pressure: at most this waits for the broker at a time.
MOST_PENDING_BYTES = 8 * 2**20
# The loop polls again after this; the producer goes on trying meanwhile, and a repeat of the batch finds that out.
MOST_SECONDS = 20.0


class RawEvents:
    """The work of a BatchLoop: every record ends on the log of events or in quarantine, acknowledged."""

    def __init__(
        self, producer: Producer, recorder: Recorder, admitted: Callable[[object], Verdict], metrics: Metrics
    ) -> None:
        self._producer, self._recorder, self._admitted, self._metrics = producer, recorder, admitted, metrics

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Nothing is kept per partition."""

    def idle(self) -> None:
        """Nothing is due by time."""

    def handle(self, batch: Batch) -> Mapping[str, object]:
        outcomes: Counter[str] = Counter()
        pending: list[Future[None]] = []
        size = 0
        for record in batch.records:
            outcome, written = self._deal(record)
            outcomes[outcome] += 1
            pending.append(written)
            size += len(record.value or b"")
            if size > MOST_PENDING_BYTES:
                _wait(pending)
                pending, size = [], 0
        _wait(pending)
        self._count(outcomes)
        return outcomes

    def _deal(self, record: Record) -> tuple[str, Future[None]]:
        try:
            verdict = self._judge(record)
            result = verdict if isinstance(verdict, Rejected) else self._recorder.record(verdict.event)
            if isinstance(result, Rejected):
                return result.reason, quarantine(self._producer, record, result)
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
        except UnavailableError as early:
            raise TryLaterError(str(early)) from early
        return "duplicate" if result.repeat else "recorded", result.written

    def _judge(self, record: Record) -> Verdict:
        if len(record.value or b"") > MOST_BYTES:
            return rejected("too_large", "", f"an event has at most {MOST_BYTES} bytes")
        parsed = read_record(record.headers, record.value)
        if isinstance(parsed, Rejected):
            return parsed
        return self._admitted(parsed.value)

    def _count(self, outcomes: Mapping[str, int]) -> None:
        for outcome, count in outcomes.items():
            self._metrics.events.labels("raw", outcome).inc(count)


def _wait(pending: list[Future[None]]) -> None:
    try:
        all_of(pending).result(MOST_SECONDS)
    except (KafkaError, TimeoutError) as away:
        raise TryLaterError(f"the broker does not acknowledge: {away}") from away
