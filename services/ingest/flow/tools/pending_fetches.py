"""Pending fetches of the resources that notifications point to. Each connection has its own backoff, so that a tool
that is slow, away or rate-limited delays no other.

Several notifications of one resource are one fetch. Pending fetches are in memory. The offset of the oldest is noted in
the metadata of the committed offset, so that a restart finds them on the raw topic; fetching twice is harmless."""

import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from datetime import datetime
from queue import SimpleQueue
from typing import NamedTuple

from services.ingest.domain.activity import Pointer
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.flow.in_flight import record_time
from services.ingest.flow.tools.fetched_resources import FetchedResources, Fetcher
from services.ingest.flow.tools.statements import OpenedPayload
from services.runtime import log
from services.runtime.kafka import Partition, Record
from services.runtime.loop import TryLaterError
from services.runtime.partition_buffer import Backoff

# How many connections are fetched for at the same time, one resource each.
THREADS = 8
# Limits for one connection, for all, and of bytes for all. Beyond them notifications are quarantined, to be requeued.
MAX_OF_ONE, MOST, MAX_OCTETS = 1_000, 10_000, 64 * 2**20
# The headers of a pending record that quarantine needs; it may be held for long.
KEPT_HEADERS, MAX_HEADERS = frozenset({"connection", "content-type", "text_cut", "requeued_from"}), 8
_NOTE = re.compile(r"v1;waiting=(\d{1,19})")

Outcome = FetchedResources | Ignored | Rejected


class FetchKey(NamedTuple):
    partition: Partition
    connection: str
    resource: str


@dataclass(frozen=True)
class Fetch:
    """`first`: the offset of the oldest notification of the resource. `record` (without its value) and `payload` are of
    the newest, recorded at `notified_at`. `octets`: an upper bound of the memory held."""

    key: FetchKey
    first: int
    record: Record
    payload: OpenedPayload
    notified_at: datetime
    octets: int


def fetch_of(record: Record, payload: OpenedPayload, pointer: Pointer) -> Fetch:
    key = FetchKey(
        Partition(record.topic, record.partition), payload.connection.connection_scope.connection, pointer.resource
    )
    headers = tuple((name, value) for name, value in record.headers if name in KEPT_HEADERS)[:MAX_HEADERS]
    size = len(record.value or b"") + len(record.key or b"") + sum(len(value or b"") for _, value in record.headers)
    return Fetch(key, record.offset, record._replace(value=None, headers=headers), payload, record_time(record), size)


class FinishedFetch(NamedTuple):
    fetch: Fetch
    outcome: Outcome


class PendingFetches:
    """For one thread; the fetches themselves run on threads of their own, which end with the process."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._pending: OrderedDict[FetchKey, Fetch] = OrderedDict()
        self._by_connection: Counter[str] = Counter()
        self._octets = 0
        self._backoffs: dict[str, Backoff] = {}
        self._busy: dict[str, FetchKey] = {}
        self._inbox: SimpleQueue[Fetch] = SimpleQueue()
        self._done: SimpleQueue[tuple[Fetch, Outcome | TryLaterError]] = SimpleQueue()
        self._threads = 0
        self._log = log.get(__name__)

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, fetch: Fetch) -> Rejected | None:
        """Rejected if too much is pending already. The fetch begins with the next `start`."""
        earlier, name = self._pending.get(fetch.key), fetch.key.connection
        octets = self._octets + fetch.octets - (earlier.octets if earlier else 0)
        too_many = earlier is None and (len(self._pending) >= MOST or self._by_connection[name] >= MAX_OF_ONE)
        if too_many or octets > MAX_OCTETS:
            words = f"connection {fetch.key.connection}: more wait for its API than are remembered; requeue it later"
            return rejected("unresolved", "", words)
        self._by_connection[name] += earlier is None
        self._octets = octets
        self._pending[fetch.key] = fetch if earlier is None else replace(fetch, first=earlier.first)
        return None

    def start(self) -> None:
        """Starts the oldest fetch of every connection that is due and not busy."""
        started: set[str] = set()
        for key, fetch in self._pending.items():
            name = key.connection
            if len(self._busy) >= THREADS:
                return
            if name in started or name in self._busy or not self._backoffs.setdefault(name, Backoff()).ready():
                continue
            started.add(name)
            self._busy[name] = key
            self._inbox.put(fetch)
            if self._threads < min(THREADS, len(self._busy)):
                self._threads += 1
                threading.Thread(target=self._work, name=f"fetch-{self._threads}", daemon=True).start()

    def done(self) -> Iterator[FinishedFetch]:
        """The fetches that have finished since the last call. One that raised TryLaterError is retried."""
        while not self._done.empty():
            fetch, outcome = self._done.get()
            name = fetch.key.connection
            self._busy.pop(name, None)
            if isinstance(outcome, TryLaterError):
                backoff = self._backoffs.setdefault(name, Backoff())
                backoff.record_failure()
                waiting = {"connection": name, "waiting": self._by_connection[name], "tries": backoff.tries}
                self._log.warning("fetch_put_off", **waiting, reason=str(outcome))
                continue
            self._backoffs.pop(name, None)
            pending = self._pending.get(fetch.key)
            # None if its partition was revoked. After a newer notification the resource is fetched once more.
            if pending is not None and pending.notified_at <= fetch.notified_at:
                self._remove(fetch.key)
            if pending is not None:
                yield FinishedFetch(fetch, outcome)

    def oldest(self, partition: Partition) -> int | None:
        return min((fetch.first for key, fetch in self._pending.items() if key.partition == partition), default=None)

    def forget(self, partition: Partition) -> None:
        """For a partition that was revoked, or is read again."""
        for key in [key for key in self._pending if key.partition == partition]:
            self._remove(key)

    def _remove(self, key: FetchKey) -> None:
        self._octets -= self._pending.pop(key).octets
        self._by_connection[key.connection] -= 1

    def _work(self) -> None:
        while True:
            fetch = self._inbox.get()
            self._done.put((fetch, self._fetch(fetch)))

    def _fetch(self, fetch: Fetch) -> Outcome | TryLaterError:
        connection = fetch.payload.connection
        try:
            return self._fetcher.fetch(Pointer(fetch.key.resource), connection, fetch.notified_at)
        except TryLaterError as later:
            return later
        except CancelledError:
            return TryLaterError("the process stops")
        except Exception as failure:  # noqa: BLE001 (logged, and quarantined)
            self._log.exception("fetch_failed", connection=fetch.key.connection)
            words = f"connection {fetch.key.connection}: met an error of ours: {type(failure).__name__}"
            return rejected("failed", "", words)


def note_of(oldest: int | None) -> str:
    """The metadata of a partition's committed offset."""
    return "" if oldest is None else f"v1;waiting={oldest}"


def oldest_noted(note: str) -> int | None:
    """None also for metadata of another version."""
    found = _NOTE.fullmatch(note)
    return int(found[1]) if found else None
