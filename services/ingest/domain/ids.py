"""The digests that stand for ids that may be text, and ids that follow from what they stand for: whoever says the same
again, on any machine, gives the same id, and nothing that a tool sent can be read in it."""

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


# Nobody finds such a digest by chance; in 32 hexadecimal digits it is valid wherever an id or an event's id is.
PSEUDONYM_BYTES = 16
Pseudonym = Callable[[str], str]
"""Of one tenant: the text itself where it is a plain id, else its digest. What it returned it leaves as it is."""


class NoDigestKeyError(ValueError):
    """The setting that it names is not set: without a key a digest could be found by trying every address. `path`: of
    the id, where that is known."""

    path = ""

    def __init__(self) -> None:
        super().__init__("may be text, and RAPPORT_INGEST_DIGEST_KEY is not set: use an id without blanks and @")


# Blanks, `@` and what is longer could be a sentence or an address, and so could `%`, which spells either in a URI;
# other alphabets write sentences without blanks.
is_plain: Callable[[str], object] = re.compile(r"[!-$&-?A-~]{1,128}").fullmatch
"""Of an id that cannot be text: at most 128 printing characters of ASCII, without blanks, `@` and `%`. Asked several
times for each event."""


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


def any_pseudonym(text: str) -> str:
    """As a gateway with a key would replace it; nothing is kept of it."""
    return pseudonym_of("of what is judged and never written", "any")(text)


def digest(*parts: str) -> str:
    """32 hexadecimal digits; as an Id, a Code's tail or an EventId they are always valid."""
    # JSON keeps the parts apart whatever they hold, and is ASCII whatever they hold.
    return blake2b(json.dumps(parts).encode(), digest_size=DIGEST_BYTES).hexdigest()


def statement_id(key: str) -> str:
    """What the ids of all events that one statement became begin with, see `event_id`."""
    return digest("statement", key)


def event_id(key: str, *rest: str) -> str:
    """Of the event that the statement `key` became, for the relationship (and whatever else tells it) in `rest`. The
    statement can be found again by its beginning: a retraction names nothing else."""
    return f"{statement_id(key)}.{digest(*rest)}"


def session_id(source: str, meeting: Meeting) -> str:
    return digest("session", source, meeting.id, meeting.instance)


def series_id(source: str, meeting: Meeting) -> str:
    """Of all dates and runs of a meeting."""
    return digest("series", source, meeting.id)


def visitor_id(source: str, meeting: Meeting, participant: str) -> str:
    """Tells the comings and goings of one person from those of the others of their side, in one meeting only."""
    return digest("visitor", source, meeting.id, meeting.instance, participant)


def outcome_id(kind: str, relationship: str, session: str, occasion: str = "") -> str:
    """Of what became of a session; `occasion` tells two misses of a session that was moved from each other."""
    return digest("outcome", kind, relationship, session, occasion)


RawEvent = Mapping[str, object]


class Subject(NamedTuple):
    """Of which relationship, and who says so."""

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
    """Calendars make ids that look like addresses: whatever might be one is not kept."""
    return {
        "tool": scope.tool,
        "native_type": _without_addresses(native.type)[:128],
        "native_id": _without_addresses(native.id)[:256],
    }


def _without_addresses(text: str) -> str:
    return digest("native", text) if "@" in text else text
