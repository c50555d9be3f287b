"""Tells lines that can be sent together from those that would break the request for the others."""

from collections.abc import Iterable, Sequence

from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected
from services.ingest.gateway.problem import STATUS, listed
from services.ingest.importing.lines import MOST_BYTES, Line
from services.ingest.importing.sender import Answer


def sorted_out(batch: Iterable[Line]) -> tuple[list[Line], Sequence[tuple[Line, Answer]]]:
    """The lines to send, and the others with the answer that they get without being sent."""
    good, broken = [], []
    for line in batch:
        refusal = _refusal(line)
        if refusal is None:
            good.append(line)
        else:
            broken.append((line, refusal))
    return good, broken


def _refusal(line: Line) -> Answer | None:
    if len(line.text) > MOST_BYTES:
        return Answer(413, "too_large", ({"path": "", "reason": f"an event has at most {MOST_BYTES} bytes"},))
    parsed = read_json(line.text)
    if isinstance(parsed, Rejected):
        return Answer(STATUS[parsed.reason], parsed.reason, listed(parsed.errors))
    return None
