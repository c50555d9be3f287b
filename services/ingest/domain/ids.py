"""What makes two events the same event, what makes them differ, and the digests that stand for ids that may be text."""

import hmac
import re
from collections.abc import Callable
from hashlib import blake2b, sha256

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


# Nobody finds such a digest by chance; in 32 hexadecimal digits it is valid wherever an id or an event's id is.
PSEUDONYM_BYTES = 16
# ASCII that prints. Blanks, `@` and what is longer could be a sentence or an address, and so could `%`, which spells
# either in a URI; other alphabets write sentences without blanks.
_PLAIN = re.compile(r"[!-$&-?A-~]{1,128}")

Pseudonym = Callable[[str], str]
"""Of one tenant: the text itself where it is a plain id, else its digest. What it returned it leaves as it is."""


class NoDigestKeyError(ValueError):
    """The setting that it names is not set: without a key a digest could be found by trying every address."""

    def __init__(self) -> None:
        super().__init__("may be text, and RAPPORT_INGEST_DIGEST_KEY is not set: use an id without blanks and @")


def is_plain(text: str) -> bool:
    """An id that cannot be text: at most 128 printing characters of ASCII, without blanks, `@` and `%`."""
    return _PLAIN.fullmatch(text) is not None


def pseudonym_of(key: str, tenant: str) -> Pseudonym:
    """`key` is the installation's, from which each tenant's own follows: equal texts of two tenants have nothing in
    common. Without a key, "", what is plain passes and anything else raises NoDigestKeyError."""
    own = hmac.digest(key.encode(), tenant.encode(), sha256)

    def pseudonym(text: str) -> str:
        if is_plain(text):
            return text
        if not key:
            raise NoDigestKeyError
        return hmac.digest(own, text.encode(errors="surrogatepass"), sha256)[:PSEUDONYM_BYTES].hex()

    return pseudonym
