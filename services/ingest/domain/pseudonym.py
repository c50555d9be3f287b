"""Ids that may hold what people wrote are replaced by a digest under a key of their tenant, the same each time."""

import hmac
import re
from collections.abc import Callable
from hashlib import sha256

# Nobody finds such a digest by chance; in 32 hexadecimal digits it is valid wherever an id or an event's id is.
DIGEST_BYTES = 16
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
        return hmac.digest(own, text.encode(errors="surrogatepass"), sha256)[:DIGEST_BYTES].hex()

    return pseudonym
