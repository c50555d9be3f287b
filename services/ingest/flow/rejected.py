"""What lies in quarantine, read by a reader of our own, and sent back to where it came from."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.primitives import to_rfc3339
from schemas.topics import REJECTED
from services.ingest.domain.quarantined import REQUEUED, Quarantined, Wanted, hindrance, is_marker, quarantined
from services.ingest.flow.tools.raw_payloads import time_of
from services.runtime import log
from services.runtime.kafka import Producer, Record, Sent, UnwritableRecordError, read_to_end
from services.runtime.settings import Settings

# Sent, and then marked as sent, together.
AT_ONCE = 500
ACKNOWLEDGED_SECONDS = 20


@dataclass
class Requeued:
    """`again`: sent again. `before`: had been already. `hindered`: why the others cannot be, and how many."""

    again: int = 0
    before: int = 0
    hindered: Counter[str] = field(default_factory=Counter)

    def hinder(self, failure: UnwritableRecordError) -> None:
        """It was taken for one that can be sent again, and its topic does not take it."""
        self.again -= 1
        self.hindered["its topic does not take it"] += 1
        log.get(__name__).error("not_requeued", reason=str(failure))


def read_rejected(settings: Settings, wanted: Wanted) -> Iterator[Quarantined]:
    """As they lie on the topic, partition by partition, each key once. Raises KafkaError."""
    seen: set[str] = set()
    for one in _all(settings):
        if not is_marker(one) and one.key not in seen and wanted.matches(one):
            seen.add(one.key)
            yield one


def requeued_keys(settings: Settings) -> frozenset[str]:
    """Raises KafkaError."""
    return frozenset(one.key for one in _all(settings) if is_marker(one))


def requeue(settings: Settings, wanted: Wanted, now: datetime) -> Requeued:
    """What is there at the call, and was not sent again before, is sent once; what is rejected anew lies there anew.
    Raises KafkaError: then what was sent may be sent once more by the next call, which is harmless."""
    producer = Producer(settings)
    try:
        return _requeued(settings, wanted, lambda some, found: _send(producer, some, found, now))
    finally:
        producer.close(5)


def rehearse(settings: Settings, wanted: Wanted) -> Requeued:
    """What `requeue` would do. Raises KafkaError."""
    return _requeued(settings, wanted, lambda _some, _found: None)


def _requeued(settings: Settings, wanted: Wanted, send: Callable[[Sequence[Quarantined], Requeued], None]) -> Requeued:
    done, found = requeued_keys(settings), Requeued()
    batch: list[Quarantined] = []
    for one in read_rejected(settings, wanted):
        words = hindrance(one)
        if one.key in done:
            found.before += 1
        elif words:
            found.hindered[words] += 1
        else:
            batch.append(one)
            found.again += 1
        if len(batch) == AT_ONCE:
            send(batch, found)
            batch = []
    send(batch, found)
    return found


def _send(producer: Producer, some: Sequence[Quarantined], found: Requeued, now: datetime) -> None:
    # 1. Sent first: a crash in between sends it once more, where the other order would lose it.
    sending = [(one, sent) for one in some if (sent := _sent(producer, one, found))]
    written = [one for one, sent in sending if _is_written(sent, found)]
    # 2. Marked, so that nobody sends it again.
    marker = [(REQUEUED, to_rfc3339(now).encode())]
    for sent in [producer.send(REJECTED.name, one.key.encode(), b"", headers=marker) for one in written]:
        sent.get(ACKNOWLEDGED_SECONDS)


def _sent(producer: Producer, one: Quarantined, found: Requeued) -> Sent | None:
    try:
        return producer.send(one.topic, one.origin_key, one.value, headers=one.again())
    except UnwritableRecordError as failure:
        found.hinder(failure)
        return None


def _is_written(sent: Sent, found: Requeued) -> bool:
    try:
        sent.get(ACKNOWLEDGED_SECONDS)
    except UnwritableRecordError as failure:
        found.hinder(failure)
        return False
    return True


def _all(settings: Settings) -> Iterator[Quarantined]:
    return map(_quarantined, read_to_end(settings, [REJECTED.name]))


def _quarantined(record: Record) -> Quarantined:
    return quarantined(record.key, record.value, record.headers, time_of(record))
