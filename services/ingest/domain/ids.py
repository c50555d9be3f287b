"""Pseudonyms for ids that may be text, and ids derived from content: the same statement has the same id on any machine,
and the id reveals nothing that a tool sent."""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b, sha256
from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Meeting, Native
from services.ingest.domain.scope import ConnectionScope

DIGEST_BYTES = 16


# Long enough that nobody finds such a digest by chance; 32 hexadecimal digits are valid as any id.
PSEUDONYM_BYTES = 16
Pseudonym = Callable[[str], str]
"""For one tenant: returns a plain id as it is, and the digest of any other text. It is idempotent."""


class NoDigestKeyError(ValueError):
    """RAPPORT_INGEST_DIGEST_KEY is not set: without a key, a digest could be reversed by trying every address. `path`:
    that of the id, if known."""

    path = ""

    def __init__(self) -> None:
        super().__init__("may be text, and RAPPORT_INGEST_DIGEST_KEY is not set: use an id without blanks and @")


# Text with blanks or `@`, or longer text, could be a sentence or an address, and so could `%`, which encodes either in
# a URI; other alphabets write sentences without blanks.
is_plain: Callable[[str], object] = re.compile(r"[!-$&-?A-~]{1,128}").fullmatch
"""Whether an id cannot be text: at most 128 printable ASCII characters without blanks, `@` and `%`. A bound method,
because it is called several times for each event."""


def pseudonym_of(key: str, tenant: str) -> Pseudonym:
    """Derives the tenant's key from `key`, the installation's: equal texts of two tenants have different pseudonyms.
    Without a key (""), plain ids pass and any other text raises NoDigestKeyError."""
    own = hmac.digest(key.encode(), tenant.encode(), sha256)

    def pseudonym(text: str) -> str:
        if is_plain(text):
            return text
        if not key:
            raise NoDigestKeyError
        return hmac.digest(own, text.encode(errors="surrogatepass"), sha256)[:PSEUDONYM_BYTES].hex()

    return pseudonym


def any_pseudonym(text: str) -> str:
    """A pseudonym for checks only, with a fixed key; it is never stored."""
    return pseudonym_of("of what is judged and never written", "any")(text)


def digest(*parts: str) -> str:
    """32 hexadecimal digits, which are always valid as an Id, the tail of a Code or an EventId."""
    # JSON separates the parts, and is ASCII, whatever they contain.
    return blake2b(json.dumps(parts).encode(), digest_size=DIGEST_BYTES).hexdigest()


def statement_id(key: str) -> str:
    """The prefix of the ids of all events of one statement, see `event_id`."""
    return digest("statement", key)


def event_id(key: str, *rest: str) -> str:
    """The id of the statement's event for the relationship (and further distinctions) in `rest`. The events of a
    statement can be found by the prefix, which is all that a retraction has."""
    return f"{statement_id(key)}.{digest(*rest)}"


def session_id(source: str, meeting: Meeting) -> str:
    return digest("session", source, meeting.id, meeting.instance)


def series_id(source: str, meeting: Meeting) -> str:
    """Covers all dates and runs of a meeting."""
    return digest("series", source, meeting.id)


def visitor_id(source: str, meeting: Meeting, participant: str) -> str:
    """Distinguishes the joins and leaves of one person from those of others on their side, within one meeting."""
    return digest("visitor", source, meeting.id, meeting.instance, participant)


def outcome_id(kind: str, relationship: str, session: str, occasion: str = "") -> str:
    """The id of a session's outcome; `occasion` distinguishes two misses of a session that was moved."""
    return digest("outcome", kind, relationship, session, occasion)


RawEvent = Mapping[str, object]


class Subject(NamedTuple):
    """The relationship that an event is about, and its source."""

    source: str
    tenant: str
    program: str
    relationship: str


class EventContent(NamedTuple):
    """`matter` goes to `correlationid`."""

    type: str
    id: str
    time: datetime
    data: Mapping[str, object]
    matter: str | None = None


def raw_event(subject: Subject, content: EventContent) -> RawEvent:
    return {
        "specversion": "1.0",
        "source": subject.source,
        "id": content.id,
        "type": content.type,
        "time": to_rfc3339(content.time),
        "tenant": subject.tenant,
        "subject": subject.relationship,
        "program": subject.program,
        "correlationid": content.matter,
        "datacontenttype": "application/json",
        "data": {name: value for name, value in content.data.items() if value is not None},
    }


def origin(scope: ConnectionScope, native: Native) -> Mapping[str, str]:
    """Ids of calendars may look like addresses: such an id is replaced by its digest."""
    return {
        "tool": scope.tool,
        "native_type": _without_addresses(native.type)[:128],
        "native_id": _without_addresses(native.id)[:256],
    }


def _without_addresses(text: str) -> str:
    return digest("native", text) if "@" in text else text
