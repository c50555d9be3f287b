"""What the worker writes, as records for the broker."""

from collections.abc import Sequence
from typing import NamedTuple

from services.scoring.domain import steps
from services.scoring.domain.changelog import Entry
from services.scoring.domain.telling import score_event
from services.scoring.flow.decoding import Header, Refused
from services.scoring.names import Names

Write = steps.Write | Refused | bytes
"""`bytes`: a word on the partition's clock."""
STRUCTURED: Sequence[Header] = [("content-type", b"application/cloudevents+json")]


class Outgoing(NamedTuple):
    """`partition` None: wherever the key belongs."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


def record(names: Names, write: Write, number: int) -> Outgoing:
    match write:
        case Entry():
            return Outgoing(names.state, number, write.key, write.value)
        case Refused():
            return Outgoing(names.rejected, None, write.key, write.value, write.headers)
        case bytes():
            return Outgoing(names.scores, number, None, write, STRUCTURED)
        case _:
            return Outgoing(names.scores, number, write.relationship.encode(), score_event(write), STRUCTURED)
