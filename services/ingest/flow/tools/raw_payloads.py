"""A proven request of a tool, put onto its raw topic: what of it may be kept, each payload a record of its own."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from schemas.topics import raw_of
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.in_flight import Begun
from services.ingest.flow.intake import HandedIn, Writing
from services.ingest.sources.tool import MOST_BYTES, Answer, Connection, Kept, Received
from services.runtime.kafka import Headers, OutgoingRecord, Producer


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


class RawIntake:
    """For one event loop."""

    def __init__(self, producer: Producer, writing: Writing) -> None:
        self._producer, self._writing = producer, writing

    async def take(self, payloads: Sequence[Kept], connection_scope: ConnectionScope) -> None:
        """Returns when all are on the topic. Raises UnavailableError when the broker is away or too much waits for it
        already, and RefusedError when one of them is more than a record may hold."""
        size = sum(len(kept.payload) for kept in payloads)
        refused = await self._writing.in_windows(
            payloads,
            HandedIn(connection_scope.connection, size),
            lambda window, begun: self._send(window, connection_scope, begun),
        )
        if refused:
            raise refused

    async def _send(self, payloads: Sequence[Kept], connection_scope: ConnectionScope, begun: Begun) -> Future[None]:
        # One key for a connection: its payloads stay in the order in which they came.
        topic, key = raw_of(connection_scope.tool), connection_scope.connection.encode()
        sending = self._producer.together()
        begun(sending.written)

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
