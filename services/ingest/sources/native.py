"""How a tool calls a thing, as it may be stored."""

from hashlib import blake2b

from services.ingest.sources.reading import LONGEST_ID

DIGEST_BYTES = 16


def native_id(text: str) -> str:
    """The tool's id, or a digest of it where it is too long or might be an address."""
    if len(text) <= LONGEST_ID and "@" not in text:
        return text
    return blake2b(text.encode(errors="replace"), digest_size=DIGEST_BYTES).hexdigest()
