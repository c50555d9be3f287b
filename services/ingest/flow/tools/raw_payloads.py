"""A record of a tool's raw topic, opened: of which connection it is, and the payloads that it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from schemas.primitives import EPOCH, LAST_YEAR
from services.ingest.domain.tools.free_text import cut_text
from services.ingest.domain.tools.said import Translation
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.quarantine import Part
from services.ingest.sources.connection import Connection
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import JSON
from services.ingest.sources.tool import MOST_BYTES
from services.runtime.kafka import Record

LAST_MS = round((datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds() * 1000) - 1
# Of a record from the gateway there are three.
MOST_HEADERS = 10_000

CONNECTION, CONTENT_TYPE, TEXT_CUT = "connection", "content-type", "text_cut"


@dataclass(frozen=True)
class Payload:
    """`number` tells it from the others of its record; None if it is the only one."""

    connection: Connection
    value: bytes
    media_type: str
    number: int | None = None

    def translated(self) -> Translation:
        parsed = self.connection.tool.parse(self.value, self.media_type)
        if isinstance(parsed, Rejected):
            return parsed
        return self.connection.tool.translate(parsed.value, self.connection.settings)


def opened(record: Record, connections: Mapping[str, Connection]) -> list[Payload] | Rejected:
    """Never empty: a record of an enterprise may hold several, which are split as they would have been over HTTP."""
    if len(record.headers) > MOST_HEADERS:
        return rejected("too_large", "headers", f"a record has at most {MOST_HEADERS} headers")
    found = _connection(record, connections)
    if isinstance(found, Rejected):
        return found
    if len(record.value or b"") > max(MOST_BYTES, found.tool.most_bytes):
        return rejected("too_large", "", f"a record has at most {found.tool.most_bytes} bytes")
    received = Received({CONTENT_TYPE: _header(record, CONTENT_TYPE) or JSON}, record.value or b"")
    taken = found.tool.take(received, found.settings, time_of(record))
    if isinstance(taken, Rejected):
        return taken
    several = len(taken.payloads) > 1
    return [
        Payload(found, value, taken.media_type, number if several else None)
        for number, value in enumerate(taken.payloads)
    ]


def time_of(record: Record) -> datetime:
    """Its writer may have put any number there: what is no time of ours counts as now's past, the beginning."""
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) if 0 <= record.timestamp_ms <= LAST_MS else EPOCH


def part_of(record: Record, connections: Mapping[str, Connection], payload: Payload | None = None) -> Part:
    """What is put aside: the payload, or all of the record if it could not be opened; without what people wrote."""
    name = _header(record, CONNECTION)
    known = connections.get(name)
    whole = Part(record.value or b"", notes=((CONNECTION, name),) if name else ())
    part = replace(whole, value=payload.value, number=payload.number) if payload else whole
    # Whose connection is not known may have written anything: the free text of no tool is kept.
    names = known.tool.free_text if known else frozenset().union(*(c.tool.free_text for c in connections.values()))
    return _without_text(part, names, _header(record, TEXT_CUT))


def nothing_of(record: Record, payload: Payload | None) -> Part:
    """Where it was is kept, nothing else: the original lies on its topic for a while."""
    size = len(payload.value if payload else record.value or b"")
    words = f"all {size} bytes: text cannot be told from the rest"
    return Part(b"", payload.number if payload else None, ((TEXT_CUT, words),))


def _without_text(part: Part, names: frozenset[str], cut_before: str) -> Part:
    cut = cut_text(part.value, names)
    if isinstance(cut, Rejected):
        # Nobody can make it readable, and the original lies on its topic for a while.
        words = f"all {len(part.value)} bytes: text cannot be told from the rest"
        return replace(part, value=b"", notes=(*part.notes, (TEXT_CUT, words)))
    if cut.was_cut or cut_before:
        return replace(part, value=cut.payload, notes=(*part.notes, (TEXT_CUT, "1")))
    return part


def _connection(record: Record, connections: Mapping[str, Connection]) -> Connection | Rejected:
    name, tool = _header(record, CONNECTION), record.topic.rpartition(".")[2]
    if not name:
        return rejected("invalid", "header connection", "is required: it names the connection that speaks")
    found = connections.get(name)
    if found is None or found.tool.name != tool:
        return rejected("invalid", "header connection", f"there is no connection {name[:80]!r} of {tool}")
    return found


def _header(record: Record, name: str) -> str:
    """Empty if it is not there; of several the first."""
    return next((value.decode(errors="replace") for key, value in record.headers if key == name and value), "")
