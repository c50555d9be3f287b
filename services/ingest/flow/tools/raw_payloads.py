"""The raw topic of a tool: a proven request put onto it, and its records opened again by the worker."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.topics import raw_of
from services.ingest.domain.activity import Translation
from services.ingest.domain.cloudevents import JSON
from services.ingest.domain.dead_letters import NOTHING_KEPT, REQUEUED_FROM
from services.ingest.domain.ids import is_plain
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.dead_letters import DeadLetterPart, time_of
from services.ingest.flow.intake import HandedIn, Writing
from services.ingest.sources.connections import Connection
from services.ingest.sources.tool import MOST_BYTES, Answer, Kept, Received
from services.runtime.kafka import Headers, OutgoingRecord, Producer, Record

# Of a record from the gateway there are three.
MOST_HEADERS = 10_000

CONNECTION, CONTENT_TYPE, TEXT_CUT = "connection", "content-type", "text_cut"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
HEADERS: Mapping[str, re.Pattern[bytes]] = {
    CONNECTION: re.compile(rb"[a-z][a-z0-9_]{0,63}"),
    TEXT_CUT: re.compile(rb"1"),
    REQUEUED_FROM: re.compile(rb"[a-z0-9._/#-]{1,300}"),
}


@dataclass(frozen=True)
class OpenedPayload:
    """Of what may be kept of it; an enterprise that writes records itself has cut nothing. `number` tells it from the
    others of its record; None if it is the only one."""

    connection: Connection
    kept: Kept | Rejected
    number: int | None = None

    def translated(self) -> Translation:
        if isinstance(self.kept, Rejected):
            return self.kept
        return self.connection.tool.translate(self.kept.value, self.connection.settings)


@dataclass(frozen=True)
class TakenRequest:
    """What of a tool's request is recorded, each payload a record of its own, and what its sender hears then."""

    payloads: tuple[Kept, ...]
    answer: Answer | None


def taken(received: Received, connection: Connection, now: datetime) -> TakenRequest | Rejected:
    """What cannot be read even now is refused as a whole: it would only lie in quarantine."""
    found = connection.tool.take(received, connection.settings, now)
    if isinstance(found, Rejected):
        return found
    payloads: list[Kept] = []
    for payload in found.payloads:
        if len(payload) > MOST_BYTES:
            return rejected("too_large", "", f"a payload has at most {MOST_BYTES} bytes")
        kept = connection.kept(payload, found.media_type)
        if isinstance(kept, Rejected):
            return kept
        payloads.append(kept)
    return TakenRequest(tuple(payloads), found.answer)


def opened(record: Record, connections: Mapping[str, Connection]) -> list[OpenedPayload] | Rejected:
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
        OpenedPayload(found, found.kept(value, taken.media_type), number if several else None)
        for number, value in enumerate(taken.payloads)
    ]


def part_of(
    record: Record, connections: Mapping[str, Connection], payload: OpenedPayload | None = None
) -> DeadLetterPart:
    """What is put aside: what may be kept of the payload, or of the record as a whole if it could not be opened."""
    known, whole = _connection(record, connections), record.value or b""
    if isinstance(known, Rejected):
        name = _header(record, CONNECTION)
        return _nothing_of(whole, ((CONNECTION, name),) if NAME.fullmatch(name) else ())
    kept = payload.kept if payload else known.kept(whole, _header(record, CONTENT_TYPE) or JSON)
    notes = ((CONNECTION, known.connection_scope.connection),)
    number = payload.number if payload else None
    if isinstance(kept, Rejected):
        return replace(_nothing_of(whole, notes), number=number)
    is_cut = kept.was_cut or _header(record, TEXT_CUT)
    return DeadLetterPart(kept.payload, number, (*notes, (TEXT_CUT, "1")) if is_cut else notes)


def nothing_of(record: Record, payload: OpenedPayload | None) -> DeadLetterPart:
    """Where it was is kept, nothing else."""
    return replace(_nothing_of(record.value or b"", ()), number=payload.number if payload else None)


def without_text(record: Record, connections: Mapping[str, Connection]) -> Record:
    """Its key and its headers as they may stand in quarantine: those that we read, with values such as we write. What
    is kept beside them is JSON, in whichever form it came."""
    known = _connection(record, connections)
    headers = [
        (name, value) for name, value in record.headers if name in HEADERS and HEADERS[name].fullmatch(value or b"")
    ]
    headers = [*headers, (CONTENT_TYPE, JSON.encode())]
    key = record.key
    if key is not None and not is_plain(key.decode(errors="replace")):
        key = None if isinstance(known, Rejected) else known.connection_scope.connection.encode()
    return replace(record, key=key, headers=tuple(dict(reversed(headers)).items()))


def _nothing_of(value: bytes, notes: tuple[tuple[str, str], ...]) -> DeadLetterPart:
    """Of an unknown connection, or unreadable. The original lies on its topic for a while."""
    words = f"all {len(value)} bytes: what people wrote cannot be told from the rest"
    return DeadLetterPart(b"", notes=(*notes, (NOTHING_KEPT, words)))


def _connection(record: Record, connections: Mapping[str, Connection]) -> Connection | Rejected:
    name, tool = _header(record, CONNECTION), record.topic.rpartition(".")[2]
    if not name:
        return rejected("invalid", "header connection", "is required: it names the connection that speaks")
    found = connections.get(name)
    if found is None or found.tool.name != tool:
        named = name if NAME.fullmatch(name) else "of this name"
        return rejected("invalid", "header connection", f"there is no connection {named} of {tool}")
    return found


def _header(record: Record, name: str) -> str:
    """Empty if it is not there; of several the first."""
    return next((value.decode(errors="replace") for key, value in record.headers if key == name and value), "")


class RawIntake:
    """For one event loop."""

    def __init__(self, producer: Producer, writing: Writing) -> None:
        self._producer, self._writing = producer, writing

    async def take(self, payloads: Sequence[Kept], connection_scope: ConnectionScope) -> None:
        """Returns when all are on the topic. Raises UnavailableError when the broker is away or too much waits for it
        already, and RefusedError when one of them is more than a record may hold."""
        size = sum(len(kept.payload) for kept in payloads)
        refused = await self._writing.in_windows(
            payloads, HandedIn(connection_scope.connection, size), lambda window: self._send(window, connection_scope)
        )
        if refused:
            raise refused

    async def _send(self, payloads: Sequence[Kept], connection_scope: ConnectionScope) -> Future[None]:
        # One key for a connection: its payloads stay in the order in which they came.
        topic, key = raw_of(connection_scope.tool), connection_scope.connection.encode()
        sending = self._producer.together()

        def send(kept: Kept) -> None:
            headers = list(headers_of(kept, connection_scope.connection))
            sending.send(OutgoingRecord(topic, kept.payload, key, headers))

        try:
            await self._writing.turns.in_slices(
                connection_scope.connection, payloads, send, lambda _: sending.hand_over()
            )
        finally:
            sending.close()
        return sending.written


def headers_of(kept: Kept, connection: str) -> Headers:
    headers = [("connection", connection.encode()), ("content-type", kept.media_type.encode())]
    return [*headers, ("text_cut", b"1")] if kept.was_cut else headers
