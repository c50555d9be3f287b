"""What an instance knows when it leads: the alerts of all partitions, and the deliveries without an outcome.

Whatever lies on its topics, it starts. A state that cannot be read is told as an error and left out: the relationship's
watch begins anew with its next score, so that an open alert of it may be told once more. Of a delivery the last record
that can be read counts: a message is rather sent again, under the same id, than lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain import record
from services.notify.domain.addresses_off import KEY_PREFIX as ADDRESSES
from services.notify.domain.addresses_off import AddressOff
from services.notify.domain.attempts import has_ended
from services.notify.domain.outbox import in_order
from services.notify.domain.partition_alerts import Evaluators, PartitionAlerts
from services.notify.domain.preferences import KEY_PREFIX as PERSONS
from services.notify.domain.preferences import PersonalSettings
from services.notify.domain.record import CLOCK_KEY, ClockRecord, StateRecord, WatchRecord
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import described
from services.validation_errors import places

# A key may have a megabyte.
LONGEST_SHOWN = 100


SharedRecord = TypeVar("SharedRecord", bound=BaseModel)


class UnreadableRecordError(Exception):
    """Nobody knows what the record says; the message is where it is at fault, and nothing of what it holds."""


@dataclass
class Restored:
    """`open`: deliveries without an outcome, in the order of their decisions; `finished`: those of the last 30 days.
    `unreadable`: how many records were left out."""

    partition_alerts_by_number: dict[int, PartitionAlerts]
    subjects: dict[str, SubjectWatch]
    silences: dict[str, AlertSilence]
    addresses_off: list[AddressOff]
    personal: list[PersonalSettings]
    open: list[Delivery]
    finished: list[Delivery]
    unreadable: int


@dataclass
class _States:
    watches: dict[int, dict[str, Watch]]
    clocks: dict[int, Instant] = field(default_factory=dict)
    unreadable: int = 0


@dataclass
class _Shared:
    """By key. `unreadable`: how many records could not be read."""

    silences: dict[str, AlertSilence] = field(default_factory=dict)
    addresses: dict[str, AddressOff] = field(default_factory=dict)
    personal: dict[str, PersonalSettings] = field(default_factory=dict)
    unreadable: int = 0


def restored(settings: Settings, names: Names, evaluators: Evaluators, partitions: Sequence[int]) -> Restored:
    """Reads both topics to their last stable offset: call it after the predecessor was fenced, so that its open
    transaction has come to an end."""
    states = _States({number: {} for number in partitions})
    for state in _read(settings, names.alert_state):
        try:
            _apply(states, state)
        except UnreadableRecordError as reason:
            states.unreadable += 1
            log_unreadable(state, "alert_state_unreadable", reason)
    deliveries, unreadable = _deliveries(settings, names)
    shared = _shared(settings, names)
    subjects, unknown = _subjects(settings, names)
    partition_alerts_by_number = {
        number: PartitionAlerts(evaluators, states.watches[number], states.clocks.get(number)) for number in partitions
    }
    return Restored(
        partition_alerts_by_number,
        subjects,
        shared.silences,
        list(shared.addresses.values()),
        list(shared.personal.values()),
        in_order([d for d in deliveries if not has_ended(d)]),
        [d for d in deliveries if has_ended(d)],
        states.unreadable + unreadable + shared.unreadable + unknown,
    )


def read_deliveries(settings: Settings, names: Names) -> list[Delivery]:
    """The last record of every delivery that can be read."""
    return _deliveries(settings, names)[0]


def read_watches(settings: Settings, names: Names) -> list[Watch | SubjectWatch]:
    """The last state of every subject that can be read."""
    watches: dict[bytes | None, Watch] = {}
    for found in _read(settings, names.alert_state):
        watches.pop(found.key, None)
        try:
            state = state_of(found.value) if found.value is not None else None
        except UnreadableRecordError as reason:
            log_unreadable(found, "alert_state_unreadable", reason)
            continue
        if isinstance(state, WatchRecord):
            watches[found.key] = state.watch
    return [*watches.values(), *_subjects(settings, names)[0].values()]


def _shared(settings: Settings, names: Names) -> _Shared:
    """A silence that cannot be read mutes nothing, and whoever has set what cannot be read gets all."""
    found = _Shared()
    for one in _read(settings, names.shared_state):
        try:
            key = _text(one.key)
            for known in (found.silences, found.addresses, found.personal):
                known.pop(key, None)
            if one.value is not None and key.startswith(ADDRESSES):
                found.addresses[key] = parsed(AddressOff, one.value)
            elif one.value is not None and key.startswith(PERSONS):
                found.personal[key] = parsed(PersonalSettings, one.value)
            elif one.value is not None:
                found.silences[key] = parsed(AlertSilence, one.value)
        except UnreadableRecordError as reason:
            found.unreadable += 1
            log_unreadable(one, "shared_state_unreadable", reason)
    return found


def _subjects(settings: Settings, names: Names) -> tuple[dict[str, SubjectWatch], int]:
    """By key; and how many records could not be read: such a programme or source begins anew."""
    subjects: dict[str, SubjectWatch] = {}
    unreadable = 0
    for found in _read(settings, names.subject_state):
        try:
            key = _text(found.key)
            subjects.pop(key, None)
            if found.value is not None:
                subjects[key] = subject_of(key, found.value)
        except UnreadableRecordError as reason:
            unreadable += 1
            log_unreadable(found, "subject_state_unreadable", reason)
    return subjects, unreadable


def subject_of(key: str, value: bytes) -> SubjectWatch:
    """Raises UnreadableRecordError."""
    try:
        watch = record.load_subject(value).watch
    except ValidationError as invalid:
        raise UnreadableRecordError("; ".join(places(invalid))) from invalid
    except Exception as failure:
        raise UnreadableRecordError(str(described(failure))) from failure
    if watch.subject.key != key:
        raise UnreadableRecordError("it does not belong to its key")
    return watch


def parsed(kind: type[SharedRecord], value: bytes) -> SharedRecord:
    """Raises UnreadableRecordError."""
    try:
        return kind.model_validate_json(value)
    except ValidationError as invalid:
        raise UnreadableRecordError("; ".join(places(invalid))) from invalid
    except Exception as failure:
        raise UnreadableRecordError(str(described(failure))) from failure


def _apply(states: _States, state: Record) -> None:
    """Raises UnreadableRecordError."""
    if state.partition not in states.watches:
        # Somebody gave the topic more partitions than the scores have: nothing that happens can belong there.
        raise UnreadableRecordError("the scores have no such partition")
    key = _text(state.key)
    if state.value is None:
        states.watches[state.partition].pop(key, None)
        return
    match state_of(state.value):
        case ClockRecord(clock=clock) if state.key == CLOCK_KEY:
            states.clocks[state.partition] = clock
        case WatchRecord(watch=watch) if key == watch.subject.key:
            states.watches[state.partition][key] = watch
        case _:
            # What was known under this key is no more, and what it holds belongs elsewhere.
            states.watches[state.partition].pop(key, None)
            raise UnreadableRecordError("it does not belong to its key")


def state_of(value: bytes) -> StateRecord:
    """Raises UnreadableRecordError."""
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
            last[found.key] = delivery_of(found)
        except UnreadableRecordError as reason:
            unreadable += 1
            log_unreadable(found, "delivery_unreadable", reason)
    return list(last.values()), unreadable


def delivery_of(found: Record) -> Delivery:
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


def log_unreadable(found: Record, event: str, reason: UnreadableRecordError) -> None:
    key = (found.key or b"").decode(errors="replace")[:LONGEST_SHOWN]
    log.get(__name__).error(event, key=key, partition=found.partition, offset=found.offset, reason=str(reason))


def _read(settings: Settings, topic: str) -> Iterator[Record]:
    return read_to_end(settings, [topic], isolation_level="read_committed")
