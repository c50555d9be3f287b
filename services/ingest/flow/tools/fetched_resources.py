"""What notifications of tools only point to, asked for from the tool and recorded as if it had sent it."""

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
from services.ingest.fetching.api import ANEW_AFTER, Api, Fetched, Gone, RetryAfterGate, Round, Stale
from services.ingest.fetching.calendars import VENDORS, Vendor
from services.ingest.flow.in_flight import acknowledged, all_of, unwritable
from services.ingest.sources.tool import MOST_BYTES, Connection, Kept, Received
from services.runtime import log
from services.runtime.bounded_http import BoundedHttp
from services.runtime.kafka import KafkaError, Producer, UnwritableRecordError, read_to_end
from services.runtime.loop import TryLaterError, later_if_away
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields
from services.validation_errors import places

DIGEST_BYTES = 16
ACKNOWLEDGE_TIMEOUT_SECONDS = 30.0
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
            key = (record.key or b"").decode(errors="replace")
            self._tokens.pop(key, None)
            try:
                if record.value is not None:
                    self._tokens[key] = SyncToken.model_validate_json(record.value)
            except ValidationError as invalid:
                # Without it the calendar is read anew, which repeats things and loses none.
                log.get(__name__).warning("sync_token_unreadable", key=key[:LONGEST_SHOWN], places=places(invalid))
            except Exception as failure:  # noqa: BLE001 (told; whatever it was, the next token is read)
                log.get(__name__).error("sync_token_unreadable", key=key[:LONGEST_SHOWN], **error_fields(failure))

    def of(self, scope: ConnectionScope, resource: str) -> SyncToken | None:
        return self._tokens.get(_key(scope, resource))

    def keep(self, scope: ConnectionScope, resource: str, token: str, whole: datetime) -> None:
        """Durable when it returns. Raises KafkaError."""
        key = _key(scope, resource)
        kept = SyncToken(
            tenant=scope.tenant,
            tool=scope.tool,
            connection=scope.connection,
            resource=_digest(resource),
            token=token,
            whole=whole,
        )
        value = kept.model_dump_json().encode()
        self._producer.send(SYNC_TOKENS.name, key.encode(), value).get(ACKNOWLEDGE_TIMEOUT_SECONDS)
        self._tokens[key] = kept


def _key(scope: ConnectionScope, resource: str) -> str:
    return f"{scope.tenant}/{scope.tool}/{scope.connection}/{_digest(resource)}"


def _digest(resource: str) -> str:
    return blake2b(resource.encode(), digest_size=DIGEST_BYTES).hexdigest()


# Beyond the longest delivery timeout, after which the producer itself gives up.
MOST_SECONDS = 180.0
# Clocks of gateways differ: a notification counts as answered by a question that was asked so long after it.
SKEW = timedelta(seconds=5)
# What is forgotten is only asked for once more.
MOST_ASKED = 10_000


@dataclass(frozen=True)
class FetchedResources:
    """So many resources are recorded, each to be judged for itself. `rejected`: why others could not be."""

    resources: int
    rejected: Rejected | None = None


class _CalendarReading(NamedTuple):
    """`rounds` in the order in which they were asked for; the calendar was read from its beginning at `whole`."""

    rounds: tuple[Round, ...]
    whole: datetime


class Fetcher:
    """For any thread, as long as no two follow pointers of one connection. A crash between recording and keeping the
    token repeats the reading, which is harmless."""

    def __init__(self, producer: Producer, tokens: SyncTokens, now: Callable[[], datetime]) -> None:
        self._producer, self._tokens, self._now = producer, tokens, now
        self._http = BoundedHttp(proxies_of_environment=True)
        self._gate = RetryAfterGate()
        self._lock = threading.Lock()
        self._asked: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._log = log.get(__name__)

    def fetch(
        self, pointer: Pointer, connection: Connection, told_at: datetime
    ) -> FetchedResources | Ignored | Rejected:
        """`told_at` is when the notification was recorded: what was asked for since then is not asked for again.
        Everything is durable when it returns. Raises TryLaterError when the tool or the broker is away."""
        name, vendor = connection.connection_scope.connection, VENDORS.get(connection.tool.name)
        if vendor is None or not (connection.api_token or connection.api_token_file):
            return rejected("forbidden", "", f"connection {name}: set its api_token, else nothing can be fetched")
        asked = self._asked.get((name, pointer.resource))
        if asked is not None and asked > told_at + SKEW:
            return Ignored("just_fetched")
        now = self._now()
        reading = self._read(vendor, connection, pointer.resource)
        if isinstance(reading, Rejected):
            return reading
        if not isinstance(reading, _CalendarReading):
            self._log.warning("pointer_leads_nowhere", connection=name)
            return Ignored("gone")
        outcome = self._record(reading, connection, pointer.resource)
        if isinstance(outcome, FetchedResources):
            with self._lock:
                self._asked.pop((name, pointer.resource), None)
                self._asked[name, pointer.resource] = now
                if len(self._asked) > MOST_ASKED:
                    self._asked.popitem(last=False)
        return outcome

    def close(self) -> None:
        self._http.close()

    def _read(
        self, vendor: Vendor, connection: Connection, resource: str
    ) -> _CalendarReading | Gone | Stale | Rejected:
        api, now = Api(self._http, connection, self._gate, self._now), self._now()
        kept = self._tokens.of(connection.connection_scope, resource)
        found: Fetched = Stale() if kept is None else vendor.changed(api, resource, kept.token)
        before: tuple[Round, ...] = ()
        whole = now if kept is None else kept.whole
        if kept is not None and isinstance(found, Stale):
            self._log.warning("sync_token_stale", connection=api.name, kept_since=kept.whole.isoformat())
        elif isinstance(found, Round) and now - whole > ANEW_AFTER:
            before = (found,)
        if before or isinstance(found, Stale):
            found, whole = vendor.whole(api, resource, now), now
        return _CalendarReading((*before, found), whole) if isinstance(found, Round) else found

    def _record(self, reading: _CalendarReading, connection: Connection, resource: str) -> FetchedResources | Rejected:
        """What was fetched goes the way of what is pushed: taken apart, what is kept of it onto the raw topic."""
        resources, unrecorded = 0, list[Rejected]()
        for found in reading.rounds:
            payloads = _payloads(found.body, connection, self._now())
            if isinstance(payloads, Rejected):
                return payloads
            kept = [payload for payload in payloads if isinstance(payload, Kept)]
            try:
                all_of([self._send(payload, connection.connection_scope) for payload in kept]).result(MOST_SECONDS)
            except UnwritableRecordError as failure:
                return unwritable(failure)
            except (KafkaError, TimeoutError) as away:
                raise TryLaterError(f"the broker does not acknowledge: {away}") from away
            resources += len(kept)
            unrecorded += [payload for payload in payloads if isinstance(payload, Rejected)]
        if token := reading.rounds[-1].token:
            with later_if_away():
                self._tokens.keep(connection.connection_scope, resource, token, reading.whole)
        if not unrecorded:
            return FetchedResources(resources)
        # Quarantine takes one reason for a notification: it says how many more there are.
        first, *others = unrecorded
        (problem, *_), more = first.errors, f"; {len(others)} more could not be recorded" if others else ""
        stored = problem.stored and f"{problem.stored}{more}"
        return FetchedResources(resources, rejected(first.reason, problem.path, f"{problem.reason}{more}", stored))

    def _send(self, kept: Kept, scope: ConnectionScope) -> Future[None]:
        headers = kept.headers(scope.connection)
        return acknowledged(
            self._producer.send(raw_topic(scope.tool), scope.connection.encode(), kept.payload, headers=headers)
        )


def _payloads(body: Mapping[str, object], connection: Connection, now: datetime) -> list[Kept | Rejected] | Rejected:
    """One that cannot be recorded costs itself: the broker would refuse what is too large for ever, and with it all
    that comes after it in this calendar."""
    if not any(body.values()):
        return []
    page = Received({"content-type": JSON}, json.dumps(body, ensure_ascii=False).encode())
    taken = connection.tool.take(page, connection.settings, now)
    if isinstance(taken, Rejected):
        return taken
    found: list[Kept | Rejected] = []
    for number, payload in enumerate(taken.payloads):
        name, place = connection.connection_scope.connection, f"resources.{number}"
        kept = connection.kept(payload, taken.media_type)
        if isinstance(kept, Rejected):
            first = kept.errors[0]
            words = f"connection {name}: {first.reason}"
            kept = rejected(kept.reason, f"{place}.{first.path}", words, first.stored)
        elif len(kept.payload) > MOST_BYTES:
            size = f"{len(kept.payload):,} bytes, at most {MOST_BYTES:,} are recorded"
            kept = rejected("too_large", place, f"connection {name}: a resource has {size}")
        found.append(kept)
    return found
