"""Writes decisions and deliveries in one transaction together with the offsets of their input."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from schemas.alert_commands import AlertSilence
from schemas.alerts import AlertChanged, AlertHandled, Delivery, DeliveryChanged
from schemas.events import partition_key, to_json
from schemas.rule_sets import RuleEvent
from services.notify.domain import record
from services.notify.domain.partition_alerts import StateChanges
from services.notify.domain.preferences import AddressOff, PersonalSettings
from services.notify.domain.record import CLOCK_KEY, ClockRecord, SubjectRecord, WatchWriter
from services.notify.domain.subjects import SubjectWatch
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.kafka import Committed, Partition, Producer, Reader


@contextmanager
def bounded(seconds: float, step: str) -> Iterator[None]:
    """Exit the process with code 1 if the block takes longer: a stuck thread cannot be ended otherwise. The broker
    aborts its transaction, and it is repeated after the restart. Time in which the whole process is frozen counts as
    one wait: afterwards the broker still says whether the step is done, or another instance leads."""
    done = threading.Event()
    threading.Thread(target=_await_or_exit, args=(done, seconds, step), name=f"bounded {step}", daemon=True).start()
    try:
        yield
    finally:
        done.set()


BOUND_WAITS = 30


def _await_or_exit(done: threading.Event, seconds: float, step: str) -> None:
    if not any(done.wait(seconds / BOUND_WAITS) for _ in range(BOUND_WAITS)):
        log.get(__name__).error("stuck", step=step, seconds=seconds)
        os._exit(1)


COMMIT_SECONDS = 30.0
"""A transaction takes 15 to 60 ms; the client waits a minute for its end."""
_CLOUDEVENT = [("content-type", b"application/cloudevents+json")]


@dataclass(frozen=True)
class Entry:
    """`state_changes` by partition number; `subjects`: changed programmes and sources, by key; `rules`: results of
    shadows; `offsets` of the input that the entry rests on; `gone`: ids of deliveries that are kept no longer."""

    events: Sequence[AlertChanged | AlertHandled | DeliveryChanged] = ()
    silences: Mapping[str, AlertSilence | None] = field(default_factory=dict)
    addresses: Mapping[str, AddressOff | None] = field(default_factory=dict)
    settings: Mapping[str, PersonalSettings | None] = field(default_factory=dict)
    deliveries: Sequence[Delivery] = ()
    gone: Sequence[str] = ()
    state_changes: Mapping[int, StateChanges] = field(default_factory=dict)
    subjects: Mapping[str, SubjectWatch] = field(default_factory=dict)
    rules: Sequence[RuleEvent] = ()
    offsets: Mapping[Partition, Committed] = field(default_factory=dict)

    def __bool__(self) -> bool:
        written = self.events or self.silences or self.addresses or self.deliveries or self.gone or self.state_changes
        return bool(written or self.settings or self.subjects or self.rules or self.offsets)


class Journal:
    """Any failure in `write` ends the process: nothing of the entry is on the topics, its input is processed again
    after the restart, and the same ids come out."""

    def __init__(self, producer: Producer, reader: Reader, topics: NotifyTopics) -> None:
        self._producer, self._reader, self._topics = producer, reader, topics
        self._watches = WatchWriter()

    def write(self, entry: Entry) -> None:
        """Write the entry atomically. Raises KafkaError, also when another instance has taken over."""
        with bounded(COMMIT_SECONDS, "commit"):
            self._producer.begin()
            for event in entry.events:
                key = event.partitionkey.encode()
                self._producer.send(self._topics.alerts, key, to_json(event), headers=_CLOUDEVENT)
            for delivery in entry.deliveries:
                key = delivery.delivery_id.encode()
                self._producer.send(self._topics.deliveries, key, delivery.model_dump_json().encode())
            for delivery_id in entry.gone:
                self._producer.send(self._topics.deliveries, delivery_id.encode(), None)
            for name, shared in (*entry.silences.items(), *entry.addresses.items(), *entry.settings.items()):
                value = shared.model_dump_json().encode() if shared else None
                self._producer.send(self._topics.shared_state, name.encode(), value)
            for name, watch in entry.subjects.items():
                value = record.dump(SubjectRecord(watch=watch))
                self._producer.send(self._topics.subject_state, name.encode(), value)
            for published in entry.rules:
                key = partition_key(published.tenant, published.program).encode()
                self._producer.send(self._topics.rules, key, to_json(published), headers=_CLOUDEVENT)
            for number, changes in entry.state_changes.items():
                # Write to the partition of the scores that it comes from, whatever the partitioner chooses.
                written = [(key.encode(), self._watches.dump(key, watch)) for key, watch in changes.watches.items()]
                gone = [(key.encode(), None) for key in changes.gone]
                clock = [(CLOCK_KEY, record.dump(ClockRecord(clock=changes.clock)))] if changes.clock else []
                for key, value in (*written, *gone, *clock):
                    self._producer.send(self._topics.alert_state, key, value, partition=number)
            self._producer.commit(entry.offsets, self._reader)
