"""From a tool's request to its raw topic: what is kept of it, written, and waited for."""

from collections.abc import Sequence
from concurrent.futures import Future

from schemas.topics import raw_of
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.flow.acknowledged import Acknowledgements
from services.ingest.flow.intake import HandedIn, Writing
from services.ingest.sources.kept import Kept
from services.runtime.kafka import Headers, Producer


class RawIntake:
    """For one event loop."""

    def __init__(self, producer: Producer, writing: Writing) -> None:
        self._producer, self._writing = producer, writing

    async def take(self, payloads: Sequence[Kept], speaker: Speaker) -> None:
        """Returns when all are on the topic. Raises UnavailableError when the broker is away or too much waits for it
        already, and RefusedError when one of them is more than a record may hold."""
        size = sum(len(kept.payload) for kept in payloads)
        await self._writing.in_windows(
            payloads, HandedIn(speaker.connection, size), lambda window: self._send(window, speaker)
        )

    async def _send(self, payloads: Sequence[Kept], speaker: Speaker) -> Future[None]:
        # One key for a connection: its payloads stay in the order in which they came.
        topic, key = raw_of(speaker.tool), speaker.connection.encode()
        sending = Acknowledgements()

        def send(kept: Kept) -> None:
            headers = headers_of(kept, speaker.connection)
            sending.add(self._producer.send(topic, key, kept.payload, headers=headers))

        try:
            await self._writing.turns.in_slices(speaker.connection, payloads, send, lambda _: None)
        finally:
            sending.close()
        return sending.written


def headers_of(kept: Kept, connection: str) -> Headers:
    headers = [("connection", connection.encode()), ("content-type", kept.media_type.encode())]
    return [*headers, ("text_cut", b"1")] if kept.was_cut else headers
