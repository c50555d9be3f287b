"""What an instance knows when it starts: the desks of all partitions, and the deliveries without an outcome.

Whatever lies on its topics, it starts. A state that cannot be read is told as an error and left out: the relationship's
watch begins anew with its next score, so that an open alert of it may be told once more. Of a delivery the last record
that can be read counts: a message is rather sent again, under the same id, than lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from schemas.alerts import Delivery
from schemas.events import partition_key
from schemas.primitives import Instant
from services.notify.domain import record
from services.notify.domain.evaluation import Evaluator, Watch
from services.notify.domain.outbox import in_order
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.record import CLOCK_KEY, ClockRecord, StateRecord, WatchRecord
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import described
from services.validation_errors import places

OPEN_STATES = frozenset({"planned", "started"})
# A key may have a megabyte.
LONGEST_SHOWN = 100


class UnreadableRecordError(Exception):
    """Nobody knows what the record says; the message is where it is at fault, and nothing of what it holds."""


@dataclass
class Restored:
    """`open`: planned, and started without an outcome, in the order of their decisions. `unreadable`: how many records
    were left out."""

    partition_alerts_by_number: dict[int, PartitionAlerts]
    open: list[Delivery]
    unreadable: int


@dataclass
class _States:
    watches: dict[int, dict[str, Watch]]
    clocks: dict[int, Instant] = field(default_factory=dict)
    unreadable: int = 0


def restored(settings: Settings, names: Names, evaluator: Evaluator, partitions: Sequence[int]) -> Restored:
    """Reads both topics to their last stable offset: call it after the predecessor was fenced, so that its open
    transaction has come to an end."""
    states = _States({number: {} for number in partitions})
    for state in _read(settings, names.alert_state):
        try:
            _apply(states, state)
        except UnreadableRecordError as reason:
            states.unreadable += 1
            _tell(state, "alert_state_unreadable", reason)
    deliveries, unreadable = _deliveries(settings, names)
    partition_alerts_by_number = {
        number: PartitionAlerts(evaluator, states.watches[number], states.clocks.get(number)) for number in partitions
    }
    return Restored(
        partition_alerts_by_number,
        in_order([d for d in deliveries if d.state in OPEN_STATES]),
        states.unreadable + unreadable,
    )


def read_deliveries(settings: Settings, names: Names) -> list[Delivery]:
    """The last record of every delivery that can be read."""
    return _deliveries(settings, names)[0]


def _apply(states: _States, state: Record) -> None:
    """Raises UnreadableRecordError."""
    if state.partition not in states.watches:
        # Somebody gave the topic more partitions than the scores have: nothing that happens can belong there.
        raise UnreadableRecordError("the scores have no such partition")
    key = _text(state.key)
    if state.value is None:
        states.watches[state.partition].pop(key, None)
        return
    match _state(state.value):
        case ClockRecord(clock=clock) if state.key == CLOCK_KEY:
            states.clocks[state.partition] = clock
        case WatchRecord(watch=watch) if key == partition_key(watch.tenant, watch.relationship):
            states.watches[state.partition][key] = watch
        case _:
            # What was known under this key is no more, and what it holds belongs elsewhere.
            states.watches[state.partition].pop(key, None)
            raise UnreadableRecordError("it does not belong to its key")


def _state(value: bytes) -> StateRecord:
    try:
        return record.load(value)
    except ValidationError as invalid:
        raise UnreadableRecordError("; ".join(places(invalid))) from invalid
    except Exception as failure:
        raise UnreadableRecordError(str(described(failure))) from failure


def _deliveries(settings: Settings, names: Names) -> tuple[list[Delivery], int]:
    last: dict[bytes | None, Delivery] = {}
    unreadable = 0
    for found in _read(settings, names.deliveries):
        if found.value is None:
            last.pop(found.key, None)
            continue
        try:
            last[found.key] = _delivery(found)
        except UnreadableRecordError as reason:
            unreadable += 1
            _tell(found, "delivery_unreadable", reason)
    return list(last.values()), unreadable


def _delivery(found: Record) -> Delivery:
    """Raises UnreadableRecordError."""
    try:
        delivery = Delivery.model_validate_json(found.value or b"")
    except ValidationError as invalid:
        raise UnreadableRecordError("; ".join(places(invalid))) from invalid
    except Exception as failure:
        raise UnreadableRecordError(str(described(failure))) from failure
    if found.key != delivery.delivery_id.encode():
        raise UnreadableRecordError("it does not belong to its key")
    return delivery


def _text(key: bytes | None) -> str:
    try:
        return (key or b"").decode()
    except UnicodeDecodeError as invalid:
        raise UnreadableRecordError("the key is no UTF-8") from invalid


def _tell(found: Record, event: str, reason: UnreadableRecordError) -> None:
    key = (found.key or b"").decode(errors="replace")[:LONGEST_SHOWN]
    log.get(__name__).error(event, key=key, partition=found.partition, offset=found.offset, reason=str(reason))


def _read(settings: Settings, topic: str) -> Iterator[Record]:
    return read_to_end(settings, [topic], isolation_level="read_committed")
