"""Records of the log as events. Records that are no events go to the dead letters with their bytes and the reason."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, final

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT, ClockReached, MentoringEvent, ProfileSet, partition_key
from schemas.field_names import safe_path
from services.runtime.kafka import Partition
from services.runtime.key_placement import misplaced
from services.runtime.unexpected import Breaker
from services.scoring.domain.write_phases import LogRecord

Header = tuple[str, bytes]
STRUCTURED: Sequence[Header] = [("content-type", b"application/cloudevents+json")]
"""Headers of a record whose value is a CloudEvent."""
# The limits of ingest's dead letters: with all headers the record stays within the size limit of the topic.
MAX_VALUE_BYTES, MAX_HEADER_BYTES = 900_000, 1_000


@final
class Refusal(NamedTuple):
    """Why a value is no event: a code, the path of the faulty field, and a message."""

    reason: Literal["malformed", "invalid", "misplaced", "failed"]
    path: str
    detail: str


class RefusedRecord(NamedTuple):
    """A record for `mentoring.rejected`."""

    key: bytes
    value: bytes | None
    headers: list[Header]


class Keyed(Protocol):
    """A record of the log, of any client."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Fetched(Keyed, Protocol):
    """A record that a consumer has just read."""

    @property
    def offset(self) -> int: ...


class Decoding:
    """The records of a batch, decoded one by one as they are applied: an event that is used at once is still in the
    processor's cache. Every record counts as read; one that is no event carries none. `refused` and `set` (profile
    events) collect what was found so far."""

    def __init__(self, fetched: Iterable[Fetched], partition: Partition, partitions: int, breaker: Breaker) -> None:
        """`partitions`: of the log."""
        self.refused: list[RefusedRecord] = []
        self.set: list[ProfileSet] = []
        self._fetched, self._partition, self._partitions, self._breaker = fetched, partition, partitions, breaker

    def __iter__(self) -> Iterator[LogRecord]:
        """Raises BadDeployError."""
        number, partitions, breaker = self._partition.number, self._partitions, self._breaker
        # As the named tuple's own constructor, in a third of the time.
        make = tuple.__new__
        for record in self._fetched:
            event = event_at(record, number, partitions)
            # An exact type check, for every record: isinstance of a pydantic model takes twenty times as long.
            if type(event) is Refusal:
                breaker.refused(f"{event.path} {event.detail}".strip())
                self.refused.append(_refused_record(record, self._partition, event))
                yield make(LogRecord, (record.offset, "", None))
                continue
            breaker.passed()
            if type(event) is ClockReached:
                yield make(LogRecord, (record.offset, "", event))
            elif type(event) is ProfileSet:
                self.set.append(event)
                yield make(LogRecord, (record.offset, "", event))
            else:
                yield make(LogRecord, (record.offset, event.partitionkey, event))


def event_at(record: Keyed, number: int, partitions: int) -> MentoringEvent | Refusal:
    """As `event_of`, and checks that the event belongs on this partition. Events of a partition have a copy on each."""
    event = event_of(record.value)
    if type(event) is Refusal or type(event) is ClockReached or type(event) is ProfileSet:
        return event
    found = misplaced(record.key, number, partitions, event.partitionkey)
    return event if found is None else Refusal("misplaced", found.path, found.detail)


def event_of(value: bytes | None) -> MentoringEvent | Refusal:
    if value is None:
        return Refusal("malformed", "", "the record has no value")
    try:
        # The adapter's own method assembles its options first, for each of millions of records.
        event: MentoringEvent = MENTORING_EVENT.validator.validate_json(value)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
        reason: Literal["malformed", "invalid"] = "malformed" if first["type"] == "json_invalid" else "invalid"
        # Pydantic's message for an unknown type would quote it.
        words = "there is no such type" if first["type"] == "union_tag_invalid" else first["msg"]
        return Refusal(reason, safe_path(first["loc"][1:]), words)
    except Exception as failure:  # noqa: BLE001 (dead-lettered, logged, and counted)
        return Refusal("failed", "", f"met an error of ours: {type(failure).__name__}")
    if type(event) is ClockReached or type(event) is ProfileSet:
        return event
    if event.partitionkey != partition_key(event.tenant, event.subject):
        return Refusal("invalid", "partitionkey", "must be tenant/subject")
    return event


def _refused_record(record: Fetched, partition: Partition, refusal: Refusal) -> RefusedRecord:
    """The headers are those of every record on that topic, whichever service refused it."""
    headers_of_refusal = {
        "reason": refusal.reason,
        "path": refusal.path,
        "detail": refusal.detail,
        "origin_topic": partition.topic,
        "origin_partition": partition.number,
        "origin_offset": record.offset,
        "tool": "scoring",
    }
    if len(record.value or b"") > MAX_VALUE_BYTES:
        headers_of_refusal["cut_from_bytes"] = len(record.value or b"")
    headers = [
        (name, str(value).encode(errors="replace")[:MAX_HEADER_BYTES]) for name, value in headers_of_refusal.items()
    ]
    kept = record.value and record.value[:MAX_VALUE_BYTES]
    return RefusedRecord(f"{partition.topic}/{partition.number}/{record.offset}".encode(), kept, headers)
