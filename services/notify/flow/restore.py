"""What an instance knows when it leads: the alerts of all partitions, and the deliveries without an outcome.

Whatever lies on its topics, it starts. A state that cannot be read is told as an error and left out: the relationship's
watch begins anew with its next score, so that an open alert of it may be told once more. Of a delivery the last record
that can be read counts: a message is rather sent again, under the same id, than lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain import record
from services.notify.domain.deliveries import has_ended
from services.notify.domain.outbox import in_order
from services.notify.domain.partition_alerts import Evaluators, PartitionAlerts
from services.notify.domain.preferences import ADDRESSES, PERSONS, AddressOff, PersonalSettings
from services.notify.domain.record import CLOCK_KEY, ClockRecord, WatchRecord
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields
from services.validation_errors import places

LONGEST_SHOWN = 100
"""Characters of a key, which may have a megabyte."""
FOREIGN = "it does not belong to its key"

Read = TypeVar("Read")


class UnreadableRecordError(Exception):
    """Nobody knows what the record says; the message is where it is at fault, and nothing of what it holds."""


@dataclass
class SharedState:
    """Of `mentoring.notify-state`, by key. A silence that cannot be read mutes nothing, and whoever has set what cannot
    be read gets all."""

    silences: dict[str, AlertSilence] = field(default_factory=dict)
    addresses: dict[str, AddressOff] = field(default_factory=dict)
    personal: dict[str, PersonalSettings] = field(default_factory=dict)

    def apply(self, one: Record) -> None:
        """Raises UnreadableRecordError."""
        key = _text(one.key)
        for known in (self.silences, self.addresses, self.personal):
            known.pop(key, None)
        if one.value is not None and key.startswith(ADDRESSES):
            self.addresses[key] = parsed(AddressOff.model_validate_json, one.value)
        elif one.value is not None and key.startswith(PERSONS):
            self.personal[key] = parsed(PersonalSettings.model_validate_json, one.value)
        elif one.value is not None:
            self.silences[key] = parsed(AlertSilence.model_validate_json, one.value)


@dataclass
class Restored:
    """`open`: deliveries without an outcome, in the order of their decisions; `finished`: those of the last 30 days.
    `unreadable`: how many records were left out."""

    partition_alerts_by_number: dict[int, PartitionAlerts]
    subjects: dict[str, SubjectWatch]
    shared: SharedState
    open: list[Delivery]
    finished: list[Delivery]
    unreadable: int


def restored(settings: Settings, names: Names, evaluators: Evaluators, partitions: Sequence[int]) -> Restored:
    """Reads all topics to their last stable offset: call it after the predecessor was fenced, so that its open
    transaction has come to an end."""
    watches: dict[int, dict[str, Watch]] = {number: {} for number in partitions}
    clocks: dict[int, Instant] = {}

    def apply_state(state: Record) -> None:
        if state.partition not in watches:
            # Somebody gave the topic more partitions than the scores have: nothing that happens can belong there.
            raise UnreadableRecordError("the scores have no such partition")
        key, known = _text(state.key), watches[state.partition]
        match parsed(record.load, state.value) if state.value is not None else None:
            case None:
                known.pop(key, None)
            case ClockRecord(clock=clock) if state.key == CLOCK_KEY:
                clocks[state.partition] = clock
            case WatchRecord(watch=watch) if key == watch.subject.key:
                known[key] = watch
            case _:
                # What was known under this key is no more, and what it holds belongs elsewhere.
                known.pop(key, None)
                raise UnreadableRecordError(FOREIGN)

    shared = SharedState()
    unreadable = _read(settings, names.alert_state, "alert_state_unreadable", apply_state)
    unreadable += _read(settings, names.shared_state, "shared_state_unreadable", shared.apply)
    deliveries, lost = _deliveries(settings, names)
    subjects, unknown = _subjects(settings, names)
    return Restored(
        {number: PartitionAlerts(evaluators, watches[number], clocks.get(number)) for number in partitions},
        subjects,
        shared,
        in_order([d for d in deliveries if not has_ended(d)]),
        [d for d in deliveries if has_ended(d)],
        unreadable + lost + unknown,
    )


def read_deliveries(settings: Settings, names: Names) -> list[Delivery]:
    """The last record of every delivery that can be read."""
    return _deliveries(settings, names)[0]


def read_watches(settings: Settings, names: Names) -> list[Watch | SubjectWatch]:
    """The last state of every subject that can be read."""
    watches: dict[bytes | None, Watch] = {}

    def apply(found: Record) -> None:
        watches.pop(found.key, None)
        state = parsed(record.load, found.value) if found.value is not None else None
        if isinstance(state, WatchRecord):
            watches[found.key] = state.watch

    _read(settings, names.alert_state, "alert_state_unreadable", apply)
    return [*watches.values(), *_subjects(settings, names)[0].values()]


def parsed(load: Callable[[bytes], Read], value: bytes) -> Read:
    """Raises UnreadableRecordError."""
    try:
        return load(value)
    except ValidationError as invalid:
        raise UnreadableRecordError("; ".join(places(invalid))) from invalid
    except Exception as failure:
        raise UnreadableRecordError(str(error_fields(failure))) from failure


def subject_of(key: str, value: bytes) -> SubjectWatch:
    """Raises UnreadableRecordError."""
    watch = parsed(record.load_subject, value).watch
    if watch.subject.key != key:
        raise UnreadableRecordError(FOREIGN)
    return watch


def delivery_of(found: Record) -> Delivery:
    """Raises UnreadableRecordError."""
    delivery = parsed(Delivery.model_validate_json, found.value or b"")
    if found.key != delivery.delivery_id.encode():
        raise UnreadableRecordError(FOREIGN)
    return delivery


def log_unreadable(found: Record, event: str, reason: UnreadableRecordError) -> None:
    key = (found.key or b"").decode(errors="replace")[:LONGEST_SHOWN]
    log.get(__name__).error(event, key=key, partition=found.partition, offset=found.offset, reason=str(reason))


def _subjects(settings: Settings, names: Names) -> tuple[dict[str, SubjectWatch], int]:
    """By key; and how many records could not be read: such a programme or source begins anew."""
    subjects: dict[str, SubjectWatch] = {}

    def apply(found: Record) -> None:
        key = _text(found.key)
        subjects.pop(key, None)
        if found.value is not None:
            subjects[key] = subject_of(key, found.value)

    return subjects, _read(settings, names.subject_state, "subject_state_unreadable", apply)


def _deliveries(settings: Settings, names: Names) -> tuple[list[Delivery], int]:
    last: dict[bytes | None, Delivery] = {}

    def apply(found: Record) -> None:
        if found.value is None:
            last.pop(found.key, None)
        else:
            last[found.key] = delivery_of(found)

    unreadable = _read(settings, names.deliveries, "delivery_unreadable", apply)
    return list(last.values()), unreadable


def _read(settings: Settings, topic: str, event: str, apply: Callable[[Record], None]) -> int:
    """Applies every record up to the end. How many could not be read: each is logged as this event, and left out."""
    unreadable = 0
    for found in read_to_end(settings, [topic], isolation_level="read_committed"):
        try:
            apply(found)
        except UnreadableRecordError as reason:
            unreadable += 1
            log_unreadable(found, event, reason)
    return unreadable


def _text(key: bytes | None) -> str:
    try:
        return (key or b"").decode()
    except UnicodeDecodeError as invalid:
        raise UnreadableRecordError("the key is no UTF-8") from invalid
