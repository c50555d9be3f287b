"""What of a request is recorded, and what its sender expects to hear once it is."""

from dataclasses import dataclass

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """Instead of the gateway's own, where a standard says what a client waits for."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Taken:
    """Each of `payloads` (at least one) becomes a record, and is judged, of its own: a fault in one loses no other.
    `media_type` is theirs. `answer` is sent when all of them are acknowledged."""

    payloads: tuple[bytes, ...]
    media_type: str = JSON
    answer: Answer | None = None
