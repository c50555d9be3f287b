"""Ids that follow from what they stand for: whoever says the same again, on any machine, gives the same id. They are
digests, so that nothing that a tool sent can be read in them."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Meeting, Native
from services.ingest.domain.scope import ConnectionScope

DIGEST_BYTES = 16


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
