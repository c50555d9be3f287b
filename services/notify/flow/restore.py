"""What an instance restores when it begins to lead: the alerts of all partitions, and the deliveries without an
outcome.

It starts whatever lies on its topics. An unreadable state is logged as an error and skipped: the watch of the
relationship begins anew with its next score, so that an open alert may be sent once more. Of a delivery the last
readable record counts: a message is rather sent again, under the same id, than lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain import record
from services.notify.domain.deliveries import has_ended
from services.notify.domain.outbox import decision_order
from services.notify.domain.partition_alerts import Evaluators, PartitionAlerts
from services.notify.domain.preferences import ADDRESSES, PERSONS, AddressOff, PersonalSettings
from services.notify.domain.record import CLOCK_KEY, ClockRecord, WatchRecord
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields
from services.validation_errors import field_errors

LONGEST_SHOWN = 100
"""Characters of a key, which may have a megabyte."""
WRONG_KEY = "it does not belong to its key"

Read = TypeVar("Read")


class UnreadableRecordError(Exception):
    """The record cannot be read. The message names the faulty field, and none of the content."""


@dataclass
class SharedState:
    """The records of `mentoring.notify-state`, by key. An unreadable silence mutes nothing, and a person with
    unreadable settings gets everything."""

    silences: dict[str, AlertSilence] = field(default_factory=dict)
    addresses: dict[str, AddressOff] = field(default_factory=dict)
    personal: dict[str, PersonalSettings] = field(default_factory=dict)

    def apply(self, one: Record) -> None:
        """Raises UnreadableRecordError."""
        key = _decode_key(one.key)
        for by_key in (self.silences, self.addresses, self.personal):
            by_key.pop(key, None)
        if one.value is not None and key.startswith(ADDRESSES):
            self.addresses[key] = parse(AddressOff.model_validate_json, one.value)
        elif one.value is not None and key.startswith(PERSONS):
            self.personal[key] = parse(PersonalSettings.model_validate_json, one.value)
        elif one.value is not None:
            self.silences[key] = parse(AlertSilence.model_validate_json, one.value)


@dataclass
class Restored:
    """`open`: deliveries without an outcome, in the order of their decisions; `finished`: those of the last 30 days.
    `unreadable`: how many records were skipped."""

    partition_alerts_by_number: dict[int, PartitionAlerts]
    subjects: dict[str, SubjectWatch]
    shared: SharedState
    open: list[Delivery]
    finished: list[Delivery]
    unreadable: int


def restore_state(
    settings: Settings, topics: NotifyTopics, evaluators: Evaluators, partitions: Sequence[int]
) -> Restored:
    """Read all topics to their last stable offset. Call it after the predecessor was fenced, so that its open
    transaction has ended."""
    watches: dict[int, dict[str, Watch]] = {number: {} for number in partitions}
    clocks: dict[int, Instant] = {}

    def apply_state(state: Record) -> None:
        if state.partition not in watches:
            # Somebody gave the topic more partitions than the scores have: no event can belong there.
            raise UnreadableRecordError("the scores have no such partition")
        key, watches_by_key = _decode_key(state.key), watches[state.partition]
        match parse(record.load, state.value) if state.value is not None else None:
            case None:
                watches_by_key.pop(key, None)
            case ClockRecord(clock=clock) if state.key == CLOCK_KEY:
                clocks[state.partition] = clock
            case WatchRecord(watch=watch) if key == watch.subject.key:
                watches_by_key[key] = watch
            case _:
                # The former state of this key is gone, and this one belongs elsewhere.
                watches_by_key.pop(key, None)
                raise UnreadableRecordError(WRONG_KEY)

    shared = SharedState()
    unreadable = _apply_topic(settings, topics.alert_state, "alert_state_unreadable", apply_state)
    unreadable += _apply_topic(settings, topics.shared_state, "shared_state_unreadable", shared.apply)
    deliveries, unreadable_deliveries = _deliveries(settings, topics)
    subjects, unreadable_subjects = _subjects(settings, topics)
    return Restored(
        {number: PartitionAlerts(evaluators, watches[number], clocks.get(number)) for number in partitions},
        subjects,
        shared,
        decision_order([d for d in deliveries if not has_ended(d)]),
        [d for d in deliveries if has_ended(d)],
        unreadable + unreadable_deliveries + unreadable_subjects,
    )


def read_deliveries(settings: Settings, topics: NotifyTopics) -> list[Delivery]:
    """Return the last readable record of every delivery."""
    return _deliveries(settings, topics)[0]


def read_watches(settings: Settings, topics: NotifyTopics) -> list[Watch | SubjectWatch]:
    """Return the last readable state of every subject."""
    watches: dict[bytes | None, Watch] = {}

    def apply(found: Record) -> None:
        watches.pop(found.key, None)
        state = parse(record.load, found.value) if found.value is not None else None
        if isinstance(state, WatchRecord):
            watches[found.key] = state.watch

    _apply_topic(settings, topics.alert_state, "alert_state_unreadable", apply)
    return [*watches.values(), *_subjects(settings, topics)[0].values()]


def parse(load: Callable[[bytes], Read], value: bytes) -> Read:
    """Raises UnreadableRecordError."""
    try:
        return load(value)
    except ValidationError as invalid:
        raise UnreadableRecordError("; ".join(field_errors(invalid))) from invalid
    except Exception as failure:
        raise UnreadableRecordError(str(error_fields(failure))) from failure


def parse_subject(key: str, value: bytes) -> SubjectWatch:
    """Raises UnreadableRecordError."""
    watch = parse(record.load_subject, value).watch
    if watch.subject.key != key:
        raise UnreadableRecordError(WRONG_KEY)
    return watch


def parse_delivery(found: Record) -> Delivery:
    """Raises UnreadableRecordError."""
    delivery = parse(Delivery.model_validate_json, found.value or b"")
    if found.key != delivery.delivery_id.encode():
        raise UnreadableRecordError(WRONG_KEY)
    return delivery


def log_unreadable(found: Record, event: str, reason: UnreadableRecordError) -> None:
    key = (found.key or b"").decode(errors="replace")[:LONGEST_SHOWN]
    log.get(__name__).error(event, key=key, partition=found.partition, offset=found.offset, reason=str(reason))


def _subjects(settings: Settings, topics: NotifyTopics) -> tuple[dict[str, SubjectWatch], int]:
    """Return the watches by key, and how many records could not be read: such a programme or source begins anew."""
    subjects: dict[str, SubjectWatch] = {}

    def apply(found: Record) -> None:
        key = _decode_key(found.key)
        subjects.pop(key, None)
        if found.value is not None:
            subjects[key] = parse_subject(key, found.value)

    return subjects, _apply_topic(settings, topics.subject_state, "subject_state_unreadable", apply)


def _deliveries(settings: Settings, topics: NotifyTopics) -> tuple[list[Delivery], int]:
    last: dict[bytes | None, Delivery] = {}

    def apply(found: Record) -> None:
        if found.value is None:
            last.pop(found.key, None)
        else:
            last[found.key] = parse_delivery(found)

    unreadable = _apply_topic(settings, topics.deliveries, "delivery_unreadable", apply)
    return list(last.values()), unreadable


def _apply_topic(settings: Settings, topic: str, event: str, apply: Callable[[Record], None]) -> int:
    """Apply every record up to the end. Returns how many could not be read: each is logged as this event, and
    skipped."""
    unreadable = 0
    for found in read_to_end(settings, [topic], isolation_level="read_committed"):
        try:
            apply(found)
        except UnreadableRecordError as reason:
            unreadable += 1
            log_unreadable(found, event, reason)
    return unreadable


def _decode_key(key: bytes | None) -> str:
    try:
        return (key or b"").decode()
    except UnicodeDecodeError as invalid:
        raise UnreadableRecordError("the key is no UTF-8") from invalid
