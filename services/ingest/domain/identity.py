"""What makes two events the same event, and what makes them differ."""

from hashlib import blake2b

from schemas.events import MentoringEvent, to_json

DIGEST_BYTES = 16
# In JSON no text can hold this: its quotes would be escaped. The first is the event's own, data come later.
RECORDED = b',"recordedtime":"'


def identity(event: MentoringEvent) -> bytes:
    """A digest of tenant, source and id: the idempotency key."""
    # Neither tenant nor source can hold the separator.
    return _digest(f"{event.tenant}\0{event.source}\0{event.id}".encode())


def content(event: MentoringEvent) -> bytes:
    """A digest of everything but `recordedtime`, over normalised text: 12:00+02:00 and 10:00Z are the same."""
    return content_of(to_json(event))


def content_of(value: bytes) -> bytes:
    """The same of an event that is text already, as `to_json` writes it."""
    before, _, rest = value.partition(RECORDED)
    return _digest(before + rest[rest.index(b'"') :])


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=DIGEST_BYTES).digest()
