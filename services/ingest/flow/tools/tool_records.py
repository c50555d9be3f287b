"""The raw topics of tools: each payload becomes events, is ignored for a reason, or goes to quarantine with one."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from services.ingest.domain.tools.said import Pointer
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.quarantine import Part, quarantine
from services.ingest.flow.tools.raw_payloads import Payload, nothing_of, opened, part_of, time_of
from services.ingest.flow.tools.statements import Result, Statements, Written
from services.ingest.flow.unexpected import UnexpectedFailures
from services.ingest.pointers.follow import Followed, Pointers
from services.ingest.sources.connection import Connection
from services.runtime import log
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Record
from services.runtime.loop import Batch, TryLaterError
from services.runtime.unexpected import described

GROUP = "rapport-ingest-tools"
# Of one batch: a pointer may take seconds to follow, and what is polled at once is handled before the next poll.
MOST_RECORDS = 100
# So long such a batch may take before the group gives its partitions away.
MOST_SECONDS = 900


Past = Callable[[Partition, int], Iterable[Record]]
"""The records of the last day before an offset."""


@dataclass(frozen=True)
class Tools:
    """Who may speak, what has to be fetched for them, and what they said."""

    connections: Mapping[str, Connection]
    pointers: Pointers
    past: Past


class ToolRecords:
    """The work of a BatchLoop: what every record became is acknowledged when its batch is done."""

    def __init__(self, tools: Tools, statements: Statements, producer: Producer, metrics: Metrics) -> None:
        self._tools, self._statements, self._producer, self._metrics = tools, statements, producer, metrics
        self._unexpected = UnexpectedFailures()
        self._log = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Hears once more who came and left within the last day: what comes now may be of the same meetings."""
        try:
            for record in self._tools.past(partition, committed.offset) if committed else ():
                self._attend_again(record)
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away

    def idle(self) -> None:
        """Nothing is due by time."""

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        outcomes: Counter[str] = Counter()
        # What an earlier try wrote and the broker did not take comes first: what follows relies on it.
        self._statements.outbox.settle()
        try:
            for record in batch.records:
                self._statements.outbox.of(partial(quarantine, self._producer, record, part=self._part(record)))
                outcomes.update(self._outcomes(record))
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
        self._statements.outbox.settle()
        for outcome, count in outcomes.items():
            tool = batch.partition.topic.rpartition(".")[2]
            self._metrics.payloads.labels(tool, "log", outcome).inc(count)
        return outcomes

    def _attend_again(self, record: Record) -> None:
        """Whatever it meets it met before, and has been put aside for it."""
        try:
            self._attend(record)
        except KafkaError:
            raise
        except Exception as failure:  # noqa: BLE001 (told; it counts for nothing)
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            self._log.error("record_not_heard_again", **place, **described(failure))

    def _attend(self, record: Record) -> None:
        payloads = opened(record, self._tools.connections)
        for payload in payloads if isinstance(payloads, list) else ():
            said = payload.translated()
            for statement in said if isinstance(said, tuple) else ():
                self._statements.knowledge.attend(statement, payload.connection.speaker)

    def _outcomes(self, record: Record) -> list[str]:
        try:
            payloads = opened(record, self._tools.connections)
        except Exception as failure:  # noqa: BLE001 (put aside, told, and counted)
            payloads = self._unexpected.rejected(record, failure)
        if isinstance(payloads, Rejected):
            return [self._put_aside(record, payloads)]
        return [self._outcome(record, payload) for payload in payloads]

    def _outcome(self, record: Record, payload: Payload) -> str:
        match self._expected_result(record, payload):
            case Rejected() as rejected:
                return self._put_aside(record, rejected, payload)
            case Ignored(reason):
                self._say_if_loud(reason, payload.connection)
                return f"ignored:{reason}"
            case Written(repeat):
                return "duplicate" if repeat else "admitted"
            case Followed():
                return "fetched"
            case other:
                assert_never(other)

    def _expected_result(self, record: Record, payload: Payload) -> Result | Followed:
        """What was written of a payload before it met an error of ours stands, as with one that is rejected."""
        try:
            result = self._result(record, payload)
        except (KafkaError, TryLaterError):
            raise
        except Exception as failure:  # noqa: BLE001 (put aside, told, and counted)
            return self._unexpected.rejected(record, failure)
        self._unexpected.passed()
        return result

    def _result(self, record: Record, payload: Payload) -> Result | Followed:
        connection = payload.connection
        match payload.translated():
            case Ignored() | Rejected() as nothing:
                return nothing
            case Pointer() as pointer:
                return self._tools.pointers.follow(pointer, connection, time_of(record))
            case said:
                return self._statements.write(said, connection.speaker)

    def _put_aside(self, record: Record, rejected: Rejected, payload: Payload | None = None) -> str:
        send = partial(quarantine, self._producer, record, rejected, self._part(record, payload))
        self._statements.outbox.owe(send(), send)
        return f"rejected:{rejected.reason}"

    def _part(self, record: Record, payload: Payload | None = None) -> Part:
        try:
            return part_of(record, self._tools.connections, payload)
        except Exception as failure:  # noqa: BLE001 (told; what cannot be freed of text is not kept)
            self._log.error("text_not_cut", topic=record.topic, offset=record.offset, **described(failure))
            return nothing_of(record, payload)

    def _say_if_loud(self, reason: str, connection: Connection) -> None:
        if reason in connection.tool.loud:
            speaker = connection.speaker
            self._log.warning("tool_needs_attention", tool=speaker.tool, connection=speaker.connection, reason=reason)
