"""What one line of the input asks for: the messages to send, and how to tell of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.ingest.domain.verdict import Rejected
from services.ingest.gateway.problem import STATUS, listed
from services.ingest.importing.lines import MOST_BYTES, Line

MOST_MESSAGES = 200


@dataclass(frozen=True)
class Answer:
    """What became of one message."""

    status: int
    reason: str
    errors: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Entry:
    """`messages` are JSON texts; one that cannot be sent at all has none, and its `refusal` instead. `times`: when what
    it tells happened, as it is written. `column` says from which column of a table a path of a message comes; empty if
    from none. `original` is how the report calls the line."""

    line: Line
    messages: tuple[bytes, ...] = ()
    refusal: Answer | None = None
    times: tuple[str, ...] = ()
    column: Callable[[str], str] = lambda _: ""
    original: str = "event"

    @property
    def size(self) -> int:
        return sum(len(message) + 1 for message in self.messages)


def refusal(rejected: Rejected) -> Answer:
    """As the gateway would answer."""
    return Answer(STATUS[rejected.reason], rejected.reason, listed(rejected.errors))


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """In order; each within what one request may hold."""
    batch: list[Entry] = []
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
