"""The sync tokens as the compact topic holds them: they survive the process."""

from datetime import datetime
from hashlib import blake2b

from pydantic import ValidationError

from schemas.sync_tokens import SyncToken
from schemas.topics import SYNC_TOKENS
from services.ingest.domain.scope import ConnectionScope
from services.runtime import log
from services.runtime.kafka import Producer, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import described
from services.validation_errors import places

DIGEST_BYTES = 16
ACKNOWLEDGED_WITHIN = 30.0
# A key may have a megabyte.
LONGEST_SHOWN = 300


class SyncTokens:
    """For any thread, as long as no two ask for one connection. Another process may go on from an older token: what it
    reads again is a harmless repeat."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        """Reads the topic to its end. Raises KafkaError."""
        self._producer = producer
        self._tokens: dict[str, SyncToken] = {}
        for record in read_to_end(settings, [SYNC_TOKENS.name]):
            self._apply((record.key or b"").decode(errors="replace"), record.value)

    def of(self, connection_scope: ConnectionScope, resource: str) -> SyncToken | None:
        return self._tokens.get(_key(connection_scope, resource))

    def keep(self, connection_scope: ConnectionScope, resource: str, token: str, whole: datetime) -> None:
        """Durable when it returns. Raises KafkaError."""
        key = _key(connection_scope, resource)
        kept = SyncToken(
            tenant=connection_scope.tenant,
            tool=connection_scope.tool,
            connection=connection_scope.connection,
            resource=_digest(resource),
            token=token,
            whole=whole,
        )
        value = kept.model_dump_json().encode()
        self._producer.send(SYNC_TOKENS.name, key.encode(), value).get(ACKNOWLEDGED_WITHIN)
        self._tokens[key] = kept

    def _apply(self, key: str, value: bytes | None) -> None:
        self._tokens.pop(key, None)
        if value is None:
            return
        try:
            self._tokens[key] = SyncToken.model_validate_json(value)
        except ValidationError as invalid:
            # Without it the calendar is read anew, which repeats things and loses none.
            log.get(__name__).warning("sync_token_unreadable", key=key[:LONGEST_SHOWN], places=places(invalid))
        except Exception as failure:  # noqa: BLE001 (told; whatever it was, the next token is read)
            log.get(__name__).error("sync_token_unreadable", key=key[:LONGEST_SHOWN], **described(failure))


def _key(connection_scope: ConnectionScope, resource: str) -> str:
    return f"{connection_scope.tenant}/{connection_scope.tool}/{connection_scope.connection}/{_digest(resource)}"


def _digest(resource: str) -> str:
    return blake2b(resource.encode(), digest_size=DIGEST_BYTES).hexdigest()
