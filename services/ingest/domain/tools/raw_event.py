"""CloudEvents of a relationship as they go to the gate, which completes and judges them."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.derived import digest
from services.ingest.domain.tools.said import Native
from services.ingest.domain.tools.speaker import Speaker

RawEvent = Mapping[str, object]


class Subject(NamedTuple):
    """Of which relationship, and who says so."""

    source: str
    tenant: str
    program: str
    relationship: str


class Content(NamedTuple):
    """`matter` goes to `correlationid`."""

    type: str
    id: str
    time: datetime
    data: Mapping[str, object]
    matter: str | None = None


def raw_event(subject: Subject, content: Content) -> RawEvent:
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


def origin(speaker: Speaker, native: Native) -> Mapping[str, str]:
    """Calendars make ids that look like addresses: whatever might be one is not kept."""
    return {
        "tool": speaker.tool,
        "native_type": _without_addresses(native.type)[:128],
        "native_id": _without_addresses(native.id)[:256],
    }


def _without_addresses(text: str) -> str:
    return digest("native", text) if "@" in text else text
