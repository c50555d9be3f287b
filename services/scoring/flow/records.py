"""What the worker writes, as records in the shape that Faust's producer takes."""

from typing import Any

from services.scoring.domain import steps
from services.scoring.domain.changelog import Entry
from services.scoring.domain.telling import score_event
from services.scoring.flow.decoding import Refused
from services.scoring.names import Names

Write = steps.Write | Refused | bytes
"""`bytes`: a word on the partition's clock."""
STRUCTURED = [("content-type", b"application/cloudevents+json")]


def record(names: Names, write: Write, number: int) -> tuple[Any, ...]:
    """Topic, key, value, partition, timestamp, headers, as Faust's producer takes them."""
    match write:
        case Entry():
            return names.state, write.key, write.value, number, None, None
        case Refused():
            return names.rejected, write.key, write.value, None, None, write.headers
        case bytes():
            return names.scores, None, write, number, None, STRUCTURED
        case _:
            return names.scores, write.relationship.encode(), score_event(write), number, None, STRUCTURED
