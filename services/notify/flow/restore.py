"""What an instance knows when it starts: the desks of all partitions, and the deliveries without an outcome."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain import record
from services.notify.domain.desk import Desk
from services.notify.domain.outbox import in_order
from services.notify.domain.record import ClockRecord
from services.notify.domain.watch import Judge, Watch
from services.notify.names import Names
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings

OPEN_STATES = frozenset({"planned", "started"})


class MismatchedTopicsError(Exception):
    """The state was written for another number of partitions."""


@dataclass(frozen=True)
class Restored:
    """`open`: planned, and started without an outcome, in the order of their decisions."""

    desks: dict[int, Desk]
    open: list[Delivery]


def restored(settings: Settings, names: Names, judge: Judge, partitions: Sequence[int]) -> Restored:
    """Reads both topics to their last stable offset: call it after the predecessor was fenced, so that its open
    transaction has come to an end."""
    watches: dict[int, dict[str, Watch]] = {number: {} for number in partitions}
    clocks: dict[int, Instant] = {}
    for state in _read(settings, names.alert_state):
        if state.partition not in watches:
            raise MismatchedTopicsError(f"{names.alert_state} has a partition {state.partition}, the scores have not")
        match record.load(state.value or b""):
            case ClockRecord(clock=clock):
                clocks[state.partition] = clock
            case known:
                watches[state.partition][(state.key or b"").decode()] = known.watch
    desks = {number: Desk(judge, watches[number], clocks.get(number)) for number in partitions}
    return Restored(desks, in_order([d for d in read_deliveries(settings, names) if d.state in OPEN_STATES]))


def read_deliveries(settings: Settings, names: Names) -> list[Delivery]:
    """The last record of every delivery."""
    last = {found.key: found.value for found in _read(settings, names.deliveries)}
    return [Delivery.model_validate_json(value) for value in last.values() if value is not None]


def _read(settings: Settings, topic: str) -> Iterator[Record]:
    return read_to_end(settings, [topic], isolation_level="read_committed")
