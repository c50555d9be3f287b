"""The last word of an import on the log's clock: all that has happened until then is on the log."""

import json

from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.importing.lines import Line
from services.ingest.importing.sender import EVENTS, Recipient
from services.ingest.importing.stopped import ImportStoppedError

ACCEPTED = 202


def report_clock(recipient: Recipient, time: str, source: str) -> None:
    """Raises ImportStoppedError when the gateway refuses it: it needs an admin token and RAPPORT_CLOCK=log."""
    event = {
        "specversion": "1.0",
        "type": "mentoring.clock.reached.v1",
        "source": source,
        "id": "clock-reached",
        "time": time,
        "data": {"time": time},
    }
    (answer,) = recipient.send([json.dumps(event).encode()], EVENTS)
    if answer.status != ACCEPTED:
        reasons = "; ".join(f"{error['path']}: {error['reason']}" for error in answer.errors)
        raise ImportStoppedError(f"the clock event is refused, {answer.reason}: {reasons}")


def source_of(line: Line | None) -> str:
    """Raises ImportStoppedError when the line names none."""
    parsed = read_json(line.text.strip()) if line else None
    if isinstance(parsed, Parsed) and isinstance(parsed.value, dict):
        source = parsed.value.get("source")
        if isinstance(source, str):
            return source
    raise ImportStoppedError("the clock event needs a source: name it with --source")
