"""The tools whose notifications are pointers, and how each is asked."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from services.ingest.domain.activity import Pointer
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.fetching import google_calendar, microsoft_graph
from services.ingest.fetching.api import Api, Fetched, Gone, RetryAfterGate, Round, Stale, is_due_anew
from services.ingest.fetching.recording import Recording
from services.ingest.fetching.sync_tokens import SyncTokens
from services.ingest.sources.connection import Connection
from services.runtime import log
from services.runtime.bounded_http import BoundedHttp
from services.runtime.kafka import KafkaError, Producer
from services.runtime.loop import TryLaterError


class Vendor(NamedTuple):
    """`changed`: what is new since a sync token. `whole`: everything around now."""

    changed: Callable[[Api, str, str], Fetched]
    whole: Callable[[Api, str, datetime], Fetched]


VENDORS: Mapping[str, Vendor] = {
    "google_calendar": Vendor(google_calendar.changed, google_calendar.whole),
    "microsoft_graph": Vendor(microsoft_graph.changed, microsoft_graph.whole),
}


# Clocks of gateways differ: a notification counts as answered by a question that was asked so long after it.
SKEW = timedelta(seconds=5)
# What is forgotten is only asked for once more.
MOST_ASKED = 10_000


@dataclass(frozen=True)
class FetchedResources:
    """So many resources are recorded, each to be judged for itself."""

    resources: int


class _CalendarReading(NamedTuple):
    """`rounds` in the order in which they were asked for; the calendar was read from its beginning at `whole`."""

    rounds: tuple[Round, ...]
    whole: datetime


class Fetcher:
    """For any thread, as long as no two follow pointers of one connection. A crash between recording and keeping the
    token repeats the reading, which is harmless."""

    def __init__(self, producer: Producer, tokens: SyncTokens, now: Callable[[], datetime]) -> None:
        self._recording, self._tokens, self._now = Recording(producer), tokens, now
        self._http = BoundedHttp(proxies_of_environment=True)
        self._gate = RetryAfterGate()
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], datetime] = {}
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
        outcome = self._recorded(self._read(vendor, connection, pointer.resource), connection, pointer.resource)
        if isinstance(outcome, FetchedResources):
            self._remember((name, pointer.resource), now)
        return outcome

    def close(self) -> None:
        self._http.close()

    def _remember(self, question: tuple[str, str], now: datetime) -> None:
        with self._lock:
            self._asked.pop(question, None)
            self._asked[question] = now
            if len(self._asked) > MOST_ASKED:
                del self._asked[next(iter(self._asked))]

    def _read(
        self, vendor: Vendor, connection: Connection, resource: str
    ) -> _CalendarReading | Gone | Stale | Rejected:
        api, now = Api(self._http, connection, self._gate, self._now), self._now()
        kept = self._tokens.of(connection.connection_scope, resource)
        if kept is None:
            return _as_reading(vendor.whole(api, resource, now), now)
        changed = vendor.changed(api, resource, kept.token)
        if isinstance(changed, Stale):
            self._log.warning("sync_token_stale", connection=api.name, kept_since=kept.whole.isoformat())
            return _as_reading(vendor.whole(api, resource, now), now)
        if isinstance(changed, Round) and is_due_anew(kept.whole, now):
            return _as_reading(vendor.whole(api, resource, now), now, changed)
        return _as_reading(changed, kept.whole)

    def _recorded(
        self, reading: _CalendarReading | Gone | Stale | Rejected, connection: Connection, resource: str
    ) -> FetchedResources | Ignored | Rejected:
        match reading:
            case Rejected():
                return reading
            case Gone() | Stale():
                self._log.warning("pointer_leads_nowhere", connection=connection.connection_scope.connection)
                return Ignored("gone")
            case _CalendarReading(rounds, whole):
                return self._kept(rounds, whole, connection, resource)

    def _kept(
        self, rounds: tuple[Round, ...], whole: datetime, connection: Connection, resource: str
    ) -> FetchedResources | Rejected:
        resources = 0
        for found in rounds:
            recorded = self._recording.record(found, connection, self._now())
            if isinstance(recorded, Rejected):
                return recorded
            resources += recorded
        if token := rounds[-1].token:
            try:
                self._tokens.keep(connection.connection_scope, resource, token, whole)
            except KafkaError as away:
                raise TryLaterError(f"the broker does not acknowledge: {away}") from away
        return FetchedResources(resources)


def _as_reading(found: Fetched, whole: datetime, *before: Round) -> _CalendarReading | Gone | Stale | Rejected:
    return _CalendarReading((*before, found), whole) if isinstance(found, Round) else found
