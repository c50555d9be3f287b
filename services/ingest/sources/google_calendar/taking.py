"""What is recorded of a request: the headers of a push, or each event of a page for itself."""

import json
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.google_calendar.proof import CHANNEL_TOKEN, STATE
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import Taken
from services.ingest.sources.tool import ToolSettings

PREFIX = "x-goog-"


def take(received: Received, _settings: ToolSettings, now: datetime) -> Taken | Rejected:
    """A push has no body. A cancelled instance may come without the time of its change: it is when we heard of it."""
    if STATE in received.headers:
        return Taken((_push(received),))
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected):
        return parsed
    match parsed.value:
        case {"items": [_, *_] as items}:
            return Taken(tuple(_stamped(item, now) for item in items))
        case {"id": _, "updated": str()} | {"items": _}:
            return Taken((received.body,))
        case {"id": _} as event:
            return Taken((_stamped(event, now),))
        case _:
            return Taken((received.body,))


def _push(received: Received) -> bytes:
    told = {name: text for name, text in received.headers.items() if name.startswith(PREFIX) and name != CHANNEL_TOKEN}
    return json.dumps(told, sort_keys=True).encode()


def _stamped(event: object, now: datetime) -> bytes:
    if isinstance(event, dict) and not event.get("updated"):
        event = {**event, "updated": to_rfc3339(now)}
    return json.dumps(event, ensure_ascii=False).encode()
