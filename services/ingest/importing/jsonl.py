"""A file of CloudEvents, one JSON per line."""

from collections.abc import Iterator

from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.importing.entry import Entry, refusal
from services.ingest.importing.lines import MOST_BYTES, Line


def event_lines(lines: Iterator[Line]) -> Iterator[Line]:
    return (line for line in lines if line.text.strip())


def event_entry(line: Line) -> Entry:
    """Tells lines that can be sent together from those that would break the request for the others."""
    text = line.text.strip()
    if len(text) > MOST_BYTES:
        words = f"an event has at most {MOST_BYTES} bytes"
        return Entry(line, refusal=refusal(rejected("too_large", "", words)))
    parsed = read_json(text)
    if isinstance(parsed, Rejected):
        return Entry(line, refusal=refusal(parsed))
    time = parsed.value.get("time") if isinstance(parsed.value, dict) else None
    return Entry(line, (text,), times=(time,) if isinstance(time, str) else ())
