"""Fetches the resources that notifications point to from the tool's API, and records them on the raw topic."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from pydantic import ValidationError

from schemas.sync_tokens import SyncToken
from schemas.topics import SYNC_TOKENS, raw_topic
from services.ingest.domain.activity import Pointer
from services.ingest.domain.cloudevents import JSON
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.fetching.api import FULL_SYNC_AFTER, Api, Fetched, Gone, RetryAfterGate, Round, Stale
from services.ingest.fetching.calendars import VENDORS, Vendor
from services.ingest.flow.in_flight import acknowledgement, rejection_of, when_all_complete
from services.ingest.sources.tool import MAX_BYTES, Connection, Received, RedactedPayload
from services.runtime import log
from services.runtime.bounded_http import BoundedHttp
from services.runtime.kafka import KafkaError, Producer, UnwritableRecordError, read_to_end
from services.runtime.loop import TryLaterError, later_if_away
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields
from services.validation_errors import field_errors

DIGEST_BYTES = 16
ACKNOWLEDGE_TIMEOUT_SECONDS = 30.0
# A key may have a megabyte.
LONGEST_SHOWN = 300


class SyncTokens:
    """For any thread, as long as no two use the same connection. Another process may continue from an older token: the
    repeated resources are harmless."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        """Reads the topic to its end. Raises KafkaError."""
        self._producer = producer
        self._tokens: dict[str, SyncToken] = {}
        for record in read_to_end(settings, [SYNC_TOKENS.name]):
            key = (record.key or b"").decode(errors="replace")
            self._tokens.pop(key, None)
            try:
                if record.value is not None:
                    self._tokens[key] = SyncToken.model_validate_json(record.value)
            except ValidationError as invalid:
                # Without it the next fetch is a full sync, which repeats resources and loses none.
                log.get(__name__).warning(
                    "sync_token_unreadable", key=key[:LONGEST_SHOWN], places=field_errors(invalid)
                )
            except Exception as failure:  # noqa: BLE001 (logged; whatever it was, the next token is read)
                log.get(__name__).error("sync_token_unreadable", key=key[:LONGEST_SHOWN], **error_fields(failure))

    def find(self, scope: ConnectionScope, resource: str) -> SyncToken | None:
        return self._tokens.get(_key(scope, resource))

    def store(self, scope: ConnectionScope, resource: str, token: str, full_sync_at: datetime) -> None:
        """Durable when it returns. Raises KafkaError."""
        key = _key(scope, resource)
        kept = SyncToken(
            tenant=scope.tenant,
            tool=scope.tool,
            connection=scope.connection,
            resource=_digest(resource),
            token=token,
            whole=full_sync_at,
        )
        value = kept.model_dump_json().encode()
        self._producer.send(SYNC_TOKENS.name, key.encode(), value).get(ACKNOWLEDGE_TIMEOUT_SECONDS)
        self._tokens[key] = kept


def _key(scope: ConnectionScope, resource: str) -> str:
    return f"{scope.tenant}/{scope.tool}/{scope.connection}/{_digest(resource)}"


def _digest(resource: str) -> str:
    return blake2b(resource.encode(), digest_size=DIGEST_BYTES).hexdigest()


# Longer than the longest delivery timeout, after which the producer itself gives up.
MAX_SECONDS = 180.0
# Clocks of gateways differ: a fetch covers the notifications that were recorded so long before it.
SKEW = timedelta(seconds=5)
# A forgotten fetch is only repeated.
MAX_FETCH_TIMES = 10_000


@dataclass(frozen=True)
class FetchedResources:
    """`resources`: how many are recorded, each to be processed by itself. `rejected`: why others could not be."""

    resources: int
    rejected: Rejected | None = None


class _CalendarSync(NamedTuple):
    """`rounds` in the order of their requests. `full_sync_at`: when the calendar was last read completely."""

    rounds: tuple[Round, ...]
    full_sync_at: datetime


class Fetcher:
    """For any thread, as long as no two fetch for the same connection. After a crash between recording resources and
    storing the sync token they are fetched again, which is harmless."""

    def __init__(self, producer: Producer, tokens: SyncTokens, now: Callable[[], datetime]) -> None:
        self._producer, self._tokens, self._now = producer, tokens, now
        self._http = BoundedHttp(proxies_of_environment=True)
        self._gate = RetryAfterGate()
        self._lock = threading.Lock()
        self._fetched_at: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._log = log.get(__name__)

    def fetch(
        self, pointer: Pointer, connection: Connection, notified_at: datetime
    ) -> FetchedResources | Ignored | Rejected:
        """`notified_at` is when the notification was recorded: a resource that was fetched since then is not fetched
        again. Everything is durable when it returns. Raises TryLaterError when the tool or the broker is away."""
        name, vendor = connection.connection_scope.connection, VENDORS.get(connection.tool.name)
        if vendor is None or not (connection.api_token or connection.api_token_file):
            return rejected("forbidden", "", f"connection {name}: set its api_token, else nothing can be fetched")
        fetched_at = self._fetched_at.get((name, pointer.resource))
        if fetched_at is not None and fetched_at > notified_at + SKEW:
            return Ignored("just_fetched")
        now = self._now()
        sync = self._sync(vendor, connection, pointer.resource)
        if isinstance(sync, Rejected):
            return sync
        if not isinstance(sync, _CalendarSync):
            self._log.warning("pointer_leads_nowhere", connection=name)
            return Ignored("gone")
        outcome = self._record(sync, connection, pointer.resource)
        if isinstance(outcome, FetchedResources):
            with self._lock:
                self._fetched_at.pop((name, pointer.resource), None)
                self._fetched_at[name, pointer.resource] = now
                if len(self._fetched_at) > MAX_FETCH_TIMES:
                    self._fetched_at.popitem(last=False)
        return outcome

    def close(self) -> None:
        self._http.close()

    def _sync(self, vendor: Vendor, connection: Connection, resource: str) -> _CalendarSync | Gone | Stale | Rejected:
        """An incremental sync if there is a token; a full sync if there is none, it is stale, or the last full sync is
        FULL_SYNC_AFTER ago."""
        api, now = Api(self._http, connection, self._gate, self._now), self._now()
        stored = self._tokens.find(connection.connection_scope, resource)
        found: Fetched = Stale() if stored is None else vendor.incremental_sync(api, resource, stored.token)
        before: tuple[Round, ...] = ()
        full_sync_at = now if stored is None else stored.whole
        if stored is not None and isinstance(found, Stale):
            self._log.warning("sync_token_stale", connection=api.name, kept_since=stored.whole.isoformat())
        elif isinstance(found, Round) and now - full_sync_at > FULL_SYNC_AFTER:
            before = (found,)
        if before or isinstance(found, Stale):
            found, full_sync_at = vendor.full_sync(api, resource, now), now
        return _CalendarSync((*before, found), full_sync_at) if isinstance(found, Round) else found

    def _record(self, sync: _CalendarSync, connection: Connection, resource: str) -> FetchedResources | Rejected:
        """Fetched resources take the path of pushed payloads: split, and what may be kept of each on the raw topic."""
        resources, unrecorded = 0, list[Rejected]()
        for found in sync.rounds:
            payloads = _payloads(found.body, connection, self._now())
            if isinstance(payloads, Rejected):
                return payloads
            kept = [payload for payload in payloads if isinstance(payload, RedactedPayload)]
            try:
                when_all_complete([self._send(payload, connection.connection_scope) for payload in kept]).result(
                    MAX_SECONDS
                )
            except UnwritableRecordError as failure:
                return rejection_of(failure)
            except (KafkaError, TimeoutError) as away:
                raise TryLaterError(f"the broker does not acknowledge: {away}") from away
            resources += len(kept)
            unrecorded += [payload for payload in payloads if isinstance(payload, Rejected)]
        if token := sync.rounds[-1].token:
            with later_if_away():
                self._tokens.store(connection.connection_scope, resource, token, sync.full_sync_at)
        if not unrecorded:
            return FetchedResources(resources)
        # A quarantined notification has one reason, which counts the further ones.
        first, *others = unrecorded
        (problem, *_), more = first.errors, f"; {len(others)} more could not be recorded" if others else ""
        stored = problem.stored and f"{problem.stored}{more}"
        return FetchedResources(resources, rejected(first.reason, problem.path, f"{problem.reason}{more}", stored))

    def _send(self, kept: RedactedPayload, scope: ConnectionScope) -> Future[None]:
        headers = kept.headers(scope.connection)
        return acknowledgement(
            self._producer.send(raw_topic(scope.tool), scope.connection.encode(), kept.payload, headers=headers)
        )


def _payloads(
    body: Mapping[str, object], connection: Connection, now: datetime
) -> list[RedactedPayload | Rejected] | Rejected:
    """A resource that cannot be recorded is rejected alone: the broker would always refuse one that is too large, and
    with it all later ones of the calendar."""
    if not any(body.values()):
        return []
    page = Received({"content-type": JSON}, json.dumps(body, ensure_ascii=False).encode())
    split = connection.tool.split(page, connection.settings, now)
    if isinstance(split, Rejected):
        return split
    found: list[RedactedPayload | Rejected] = []
    for number, payload in enumerate(split.payloads):
        name, path = connection.connection_scope.connection, f"resources.{number}"
        kept = connection.redact(payload, split.media_type)
        if isinstance(kept, Rejected):
            first = kept.errors[0]
            words = f"connection {name}: {first.reason}"
            kept = rejected(kept.reason, f"{path}.{first.path}", words, first.stored)
        elif len(kept.payload) > MAX_BYTES:
            size = f"{len(kept.payload):,} bytes, at most {MAX_BYTES:,} are recorded"
            kept = rejected("too_large", path, f"connection {name}: a resource has {size}")
        found.append(kept)
    return found
