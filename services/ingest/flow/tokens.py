"""The tokens of the compacted topic, which is read to its end before the gateway opens and followed from then on."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError

from schemas.tokens import Token
from schemas.topics import TOKENS
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import KafkaError, Partition, Reader, Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields
from services.validation_errors import field_errors

# A created or revoked token takes effect within this, plus the broker's latency.
POLL_SECONDS = 0.5
PROBE_SECONDS = 1.0
PROBE_TIMEOUT_SECONDS = 1.5
"""The response may come after that of a long-polling fetch."""
# A record key may have a megabyte.
LONGEST_SHOWN = 100


class TokenTable:
    """One thread applies records, any thread reads."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}

    def apply(self, record: Record) -> None:
        token_id = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self.tokens.pop(token_id, None)
            return
        # A token that cannot be read grants nothing, and must not close the gateway to all others.
        self.tokens.pop(token_id, None)
        try:
            self.tokens[token_id] = Token.model_validate_json(record.value)
        except ValidationError as invalid:
            self._log_unreadable(record, places=field_errors(invalid))
        except Exception as failure:  # noqa: BLE001 (logged; whatever it was, the next token is read)
            self._log_unreadable(record, **error_fields(failure))

    def _log_unreadable(self, record: Record, **found: object) -> None:
        token_id = (record.key or b"").decode(errors="replace")[:LONGEST_SHOWN]
        log.get(__name__).error("token_unreadable", token=token_id, offset=record.offset, **found)

    @property
    def has_limited_token(self) -> bool:
        """Whether any token is limited to programmes."""
        return any(token.programs for token in self.tokens.values())


class TokenFollower:
    """For one thread at a time. `wanted` is set as soon as a token is limited to programmes, so that the projection of
    relationships is read before the token is used."""

    def __init__(self, reader: Reader, table: TokenTable, health: Health, wanted: threading.Event) -> None:
        self._reader, self._table, self._health, self._wanted = reader, table, health, wanted

    def catch_up(self, stop: threading.Event) -> None:
        """Reads to the end offsets at the time of the call. Raises KafkaError when the broker is away."""
        ends = self._reader.end_offsets(sorted(self._reader.assignment()))
        for polled in self._reader.poll_until(ends):
            self._apply(polled)
            if stop.is_set():
                return

    def run(self, stop: threading.Event) -> None:
        with self._health.loop("tokens") as note_turn:
            self._follow(stop, note_turn)

    def _follow(self, stop: threading.Event, note_turn: Callable[[], None]) -> None:
        probe_at = 0.0
        while not stop.is_set():
            note_turn()
            self._apply(self._reader.poll(POLL_SECONDS))
            if time.monotonic() < probe_at:
                continue
            # Probe the broker: without one, a reader reads nothing and raises nothing.
            try:
                self._reader.end_offsets(sorted(self._reader.assignment()), PROBE_TIMEOUT_SECONDS)
            except KafkaError as away:
                self._health.report("degraded", f"the broker does not answer: {away}")
            else:
                self._health.report("ready", f"{len(self._table.tokens)} tokens")
            probe_at = time.monotonic() + PROBE_SECONDS

    def _apply(self, polled: Mapping[Partition, Sequence[Record]]) -> None:
        for records in polled.values():
            for record in records:
                self._table.apply(record)
            if not self._wanted.is_set() and self._table.has_limited_token:
                self._wanted.set()


def read_tokens(settings: Settings) -> dict[str, Token]:
    """Every current token, for the command line."""
    table = TokenTable()
    for record in read_to_end(settings, [TOKENS.name]):
        table.apply(record)
    return table.tokens
