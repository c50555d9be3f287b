"""What one line of the input asks for: the messages to send, and how to tell of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.gateway.request_errors import STATUS, listed
from services.ingest.importing.lines import MOST_BYTES, Line
from services.ingest.importing.sender import ImportAnswer

MOST_MESSAGES = 200


@dataclass(frozen=True)
class ImportEntry:
    """`messages` are JSON texts; one that cannot be sent at all has none, and its `refusal` instead. `times`: when what
    it tells happened, as it is written. `column` says from which column of a table a path of a message comes; empty if
    from none. `original` is how the report calls the line."""

    line: Line
    messages: tuple[bytes, ...] = ()
    refusal: ImportAnswer | None = None
    times: tuple[str, ...] = ()
    column: Callable[[str], str] = lambda _: ""
    original: str = "event"

    @property
    def size(self) -> int:
        return sum(len(message) + 1 for message in self.messages)


def refusal(rejected: Rejected) -> ImportAnswer:
    """As the gateway would answer."""
    return ImportAnswer(STATUS[rejected.reason], rejected.reason, listed(rejected.errors))


def batches(entries: Iterable[ImportEntry]) -> Iterator[list[ImportEntry]]:
    """In order; each within what one request may hold."""
    batch: list[ImportEntry] = []
    messages = size = 0
    for entry in entries:
        # One that is refused weighs too: a file of nothing else is told of in portions as well.
        weight = max(1, len(entry.messages))
        if batch and (messages + weight > MOST_MESSAGES or size + entry.size > MOST_BYTES):
            yield batch
            batch, messages, size = [], 0, 0
        batch.append(entry)
        messages += weight
        size += entry.size
    if batch:
        yield batch


def event_lines(lines: Iterator[Line]) -> Iterator[Line]:
    return (line for line in lines if line.text.strip())


def event_entry(line: Line) -> ImportEntry:
    """Tells lines that can be sent together from those that would break the request for the others."""
    text = line.text.strip()
    if len(text) > MOST_BYTES:
        words = f"an event has at most {MOST_BYTES} bytes"
        return ImportEntry(line, refusal=refusal(rejected("too_large", "", words)))
    parsed = read_json(text)
    if isinstance(parsed, Rejected):
        return ImportEntry(line, refusal=refusal(parsed))
    time = parsed.value.get("time") if isinstance(parsed.value, dict) else None
    return ImportEntry(line, (text,), times=(time,) if isinstance(time, str) else ())
