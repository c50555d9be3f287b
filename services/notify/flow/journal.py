"""What was decided and what was sent, written down in one transaction together with the input it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.alerts import AlertChanged, Delivery, DeliveryChanged
from schemas.events import to_json
from services.notify.domain import record
from services.notify.domain.partition_alerts import Touched
from services.notify.domain.record import CLOCK_KEY, ClockRecord, WatchRecord
from services.notify.flow.watchdog import bounded
from services.notify.names import Names
from services.runtime.kafka import Committed, Partition, Producer, Reader

COMMIT_SECONDS = 30.0
"""A transaction takes 15 to 60 ms; the client waits for its end without a timeout."""
_CLOUDEVENT = [("content-type", b"application/cloudevents+json")]


@dataclass(frozen=True)
class Entry:
    """`touched` by partition number; `offsets` of the input that all this rests on."""

    events: Sequence[AlertChanged | DeliveryChanged] = ()
    deliveries: Sequence[Delivery] = ()
    touched: Mapping[int, Touched] = field(default_factory=dict)
    offsets: Mapping[Partition, Committed] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.events or self.deliveries or self.offsets)


class Journal:
    """Whatever goes wrong in `write` ends the process: nothing of the entry is then on the topics, its input is
    handled again after the restart, and the same ids come out."""

    def __init__(self, producer: Producer, reader: Reader, names: Names) -> None:
        self._producer, self._reader, self._names = producer, reader, names

    def write(self, entry: Entry) -> None:
        """All of it, or nothing. Raises KafkaError, also when another instance has taken over."""
        with bounded(COMMIT_SECONDS, "commit"):
            self._producer.begin()
            for event in entry.events:
                key = event.partitionkey.encode()
                self._producer.send(self._names.alerts, key, to_json(event), headers=_CLOUDEVENT)
            for delivery in entry.deliveries:
                key = delivery.delivery_id.encode()
                self._producer.send(self._names.deliveries, key, delivery.model_dump_json().encode())
            for number, touched in entry.touched.items():
                self._write_state(number, touched)
            self._producer.commit(entry.offsets, self._reader)

    def _write_state(self, number: int, touched: Touched) -> None:
        """On the partition of the scores it comes from, whatever the partitioner thinks."""
        for key, watch in touched.watches.items():
            value = record.dump(WatchRecord(watch=watch))
            self._producer.send(self._names.alert_state, key.encode(), value, partition=number)
        for key in touched.gone:
            self._producer.send(self._names.alert_state, key.encode(), None, partition=number)
        if touched.clock is not None:
            value = record.dump(ClockRecord(clock=touched.clock))
            self._producer.send(self._names.alert_state, CLOCK_KEY, value, partition=number)
