"""Envelopes as a sensor sends them, one event each."""

import json
from datetime import datetime

from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import Taken
from services.ingest.sources.tool import ToolSettings


def take(received: Received, _settings: ToolSettings, _now: datetime) -> Taken | Rejected:
    """An envelope of one event, or one that is none, stays the same bytes."""
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected):
        return parsed
    envelope = parsed.value
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(data, list) or len(data) <= 1:
        return Taken((received.body,))
    try:
        return Taken(tuple(json.dumps({**envelope, "data": [item]}, ensure_ascii=False).encode() for item in data))
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
