"""Records of the log as events; what is none goes to quarantine with its bytes and the reason."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT, ClockReached, MentoringEvent, partition_key
from services.scoring.domain.steps import Record
from services.scoring.flow.sequencer import Fetched

Header = tuple[str, bytes]


class Refused(NamedTuple):
    """A record for `mentoring.rejected`."""

    key: bytes
    value: bytes | None
    headers: list[Header]


def decoded(fetched: Sequence[Fetched]) -> tuple[list[Record], list[Refused]]:
    """Every record counts as read; those that are no event carry none."""
    records, refused = [], []
    for record in fetched:
        event, reason = event_of(record.value)
        if event is None:
            refused.append(_refused(record, reason))
        key = "" if event is None or isinstance(event, ClockReached) else event.partitionkey
        records.append(Record(record.offset, key, event))
    return records, refused


def event_of(value: bytes | None) -> tuple[MentoringEvent | None, str]:
    """The event, or None and the reason why it is none."""
    if value is None:
        return None, "the record has no value"
    try:
        event = MENTORING_EVENT.validate_json(value)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"][1:]))
        return None, f"{path}: {first['msg']}" if path else first["msg"]
    if not isinstance(event, ClockReached) and event.partitionkey != partition_key(event.tenant, event.subject):
        return None, "partitionkey: must be tenant/subject"
    return event, ""


def _refused(record: Fetched, reason: str) -> Refused:
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    named = {"reason": reason, "topic": record.topic, "partition": record.partition, "offset": record.offset}
    headers = [(name, str(value).encode()) for name, value in named.items()]
    return Refused(origin.encode(), record.value, [*headers, ("tool", b"scoring")])
