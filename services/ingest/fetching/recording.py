"""What was fetched goes the way of what is pushed: taken apart, what is kept of it onto the raw topic."""

import json
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime

from schemas.topics import raw_of
from services.ingest.domain.cloudevents.content_modes import JSON
from services.ingest.domain.verdict import Rejected
from services.ingest.fetching.api import Round
from services.ingest.flow.acknowledgements import acknowledged, all_of
from services.ingest.flow.dead_letters import unwritable
from services.ingest.flow.tools.raw_payloads import headers_of
from services.ingest.sources.connection import Connection
from services.ingest.sources.tool import MOST_BYTES, Kept
from services.ingest.sources.verification import Received
from services.runtime import log
from services.runtime.kafka import KafkaError, Producer, UnwritableRecordError
from services.runtime.loop import TryLaterError

# Beyond the longest delivery timeout, after which the producer itself gives up.
MOST_SECONDS = 180.0


class Recording:
    """For any thread."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def record(self, found: Round, connection: Connection, now: datetime) -> int | Rejected:
        """How many resources are on the topic when it returns. Raises TryLaterError when the broker is away."""
        payloads = _payloads(found.body, connection, now)
        if isinstance(payloads, Rejected):
            return payloads
        try:
            all_of([self._send(payload, connection) for payload in payloads]).result(MOST_SECONDS)
        except UnwritableRecordError as failure:
            return unwritable(failure)
        except (KafkaError, TimeoutError) as away:
            raise TryLaterError(f"the broker does not acknowledge: {away}") from away
        return len(payloads)

    def _send(self, kept: Kept, connection: Connection) -> Future[None]:
        connection_scope = connection.connection_scope
        topic, key = raw_of(connection_scope.tool), connection_scope.connection.encode()
        headers = headers_of(kept, connection_scope.connection)
        return acknowledged(self._producer.send(topic, key, kept.payload, headers=headers))


def _payloads(body: Mapping[str, object], connection: Connection, now: datetime) -> list[Kept] | Rejected:
    if not any(body.values()):
        return []
    page = Received({"content-type": JSON}, json.dumps(body, ensure_ascii=False).encode())
    taken = connection.tool.take(page, connection.settings, now)
    if isinstance(taken, Rejected):
        return taken
    found: list[Kept] = []
    for payload in taken.payloads:
        kept = connection.kept(payload, taken.media_type)
        if isinstance(kept, Rejected):
            return kept
        if len(kept.payload) > MOST_BYTES:
            # The broker would refuse it for ever, and with it all that comes after it in this calendar.
            log.get(__name__).error(
                "resource_too_large", connection=connection.connection_scope.connection, bytes=len(payload)
            )
        else:
            found.append(kept)
    return found
