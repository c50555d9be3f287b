"""What makes two events the same event, and what makes them differ."""

from hashlib import blake2b

from schemas.events import MentoringEvent

DIGEST_BYTES = 16


def identity(event: MentoringEvent) -> bytes:
    """A digest of tenant, source and id: the idempotency key."""
    # Neither tenant nor source can hold the separator.
    return _digest(f"{event.tenant}\0{event.source}\0{event.id}".encode())


def content(event: MentoringEvent) -> bytes:
    """A digest of everything but `recordedtime`, over normalised text: 12:00+02:00 and 10:00Z are the same."""
    return _digest(event.model_dump_json(exclude={"recordedtime"}, exclude_none=True).encode())


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=DIGEST_BYTES).digest()
