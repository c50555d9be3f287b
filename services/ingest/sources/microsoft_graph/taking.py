"""What is recorded of a request: each notification, event and report for itself."""

import json
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.microsoft_graph.series import completed
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import Taken
from services.ingest.sources.tool import ToolSettings

REMOVED = "@removed"
CHANGED = "lastModifiedDateTime"


def take(received: Received, _settings: ToolSettings, now: datetime) -> Taken | Rejected:
    """What was removed comes without the time of its removal: it is when we heard of it."""
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected):
        return parsed
    match parsed.value:
        case {"value": [_, *_] as listed}:
            return Taken(
                tuple(json.dumps(_stamped(one, now), ensure_ascii=False).encode() for one in completed(listed))
            )
        case dict() as one if _stamped(one, now) != one:
            return Taken((json.dumps(_stamped(one, now), ensure_ascii=False).encode(),))
        case _:
            return Taken((received.body,))


def _stamped(one: object, now: datetime) -> object:
    if isinstance(one, dict) and REMOVED in one and not one.get(CHANGED):
        return {**one, CHANGED: to_rfc3339(now)}
    return one
