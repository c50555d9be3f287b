"""What the worker writes, as records for the broker."""

from collections.abc import Sequence
from typing import NamedTuple

from services.scoring.domain.changelog import ChangelogEntry
from services.scoring.domain.serialization import score_event
from services.scoring.domain.write_phases import Write as ProcessorWrite
from services.scoring.flow.decoding import Header, RefusedRecord
from services.scoring.topics import Topics

Write = ProcessorWrite | RefusedRecord | bytes
"""`bytes`: a word on the partition's clock."""
STRUCTURED: Sequence[Header] = [("content-type", b"application/cloudevents+json")]


class Outgoing(NamedTuple):
    """`partition` None: wherever the key belongs."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


def record(names: Topics, write: Write, number: int) -> Outgoing:
    match write:
        case ChangelogEntry():
            return Outgoing(names.state, number, write.key, write.value)
        case RefusedRecord():
            return Outgoing(names.rejected, None, write.key, write.value, write.headers)
        case bytes():
            return Outgoing(names.scores, number, None, write, STRUCTURED)
        case _:
            return Outgoing(names.scores, number, write.relationship.encode(), score_event(write), STRUCTURED)
