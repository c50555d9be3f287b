"""Limits for all open connections: how many there may be, how long each may take, and which one is evicted when there
are too many."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import Counter

# The timeout between two reads of a body.
SILENT_SECONDS = 10.0
# The minimum rate of a body. It applies after the first seconds, because connections start slowly.
MIN_BYTES_PER_SECOND = 4 * 2**10
SLOW_START_SECONDS = 10.0
# The timeout of a client that does not read its response.
UNREAD_SECONDS = 10.0

Phase = Literal["idle", "head", "body", "answer"]
CutReason = Literal[
    "too_many", "head_too_slow", "body_too_slow", "answer_not_taken", "head_too_large", "framing", "stopping"
]

# Seconds before these refusals are answered: clients of a burst that are answered at once reconnect at once, a thousand
# times a second.
ANSWER_AFTER_SECONDS: Mapping[CutReason, float] = {"too_many": 3.0, "framing": 1.0, "head_too_large": 1.0}
MAX_REFUSED = 1_000
"""Refused connections that wait for their response, beside the open ones; beyond that they are answered at once."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Seconds, and numbers of connections."""

    most: int
    most_per_address: int
    head_seconds: float
    body_seconds: float


@dataclass
class RequestProgress:
    """The progress of one connection: when its phase began, when it last sent data, and how many bytes it sent in this
    phase. `unread`: bytes of a response that the client has not read; the number is unchanged since `unread_since`."""

    began: float
    last_received: float
    received: int = 0
    unread: int = 0
    unread_since: float = 0.0


class GuardedConnection(Protocol):
    """A connection as the guard sees it. `waiting_since`: since when its request is incomplete or not authenticated;
    None while we work on it."""

    address: str
    waiting_since: float | None
    was_authenticated: bool
    is_decided: bool

    @property
    def phase(self) -> Phase: ...

    def cut(self, why: CutReason) -> None: ...

    def silence(self) -> None: ...

    def check_limits(self, now: float) -> CutReason | None: ...


def overdue(phase: Phase, progress: RequestProgress, limits: ConnectionLimits, now: float) -> CutReason | None:
    """Return why the connection must end, or None."""
    lasted = now - progress.began
    match phase:
        case "head":
            return "head_too_slow" if lasted > limits.head_seconds else None
        case "body":
            is_slow = lasted > SLOW_START_SECONDS and progress.received < lasted * MIN_BYTES_PER_SECOND
            is_over = lasted > limits.body_seconds or now - progress.last_received > SILENT_SECONDS
            return "body_too_slow" if is_slow or is_over else None
        case "answer" | "idle":
            return None


def unread(progress: RequestProgress, waiting: int, now: float) -> CutReason | None:
    """`waiting`: the bytes of responses that the client has not read yet."""
    if not waiting or waiting != progress.unread:
        progress.unread, progress.unread_since = waiting, now
    return "answer_not_taken" if waiting and now - progress.unread_since > UNREAD_SECONDS else None


@dataclass(frozen=True)
class _Refused:
    """A refused connection. `since`: the sweep before the refusal, and once it is answered the time of the answer."""

    why: CutReason
    since: float
    is_answered: bool = False


class ConnectionGuard:
    """For one event loop. When there are too many connections, the one whose request is incomplete the longest is
    evicted, so that half-open connections lock nobody out. Candidates are searched only then: bookkeeping would burden
    every request."""

    def __init__(self, limits: ConnectionLimits, cut: Counter) -> None:
        self.limits, self._cut = limits, cut
        # Insertion order decides ties: connections of one turn of the event loop have the same time.
        self._open: dict[str, dict[GuardedConnection, None]] = {}
        self._refused: dict[GuardedConnection, _Refused] = {}
        self._swept_at = 0.0
        self.number = 0

    def admit(self, connection: GuardedConnection) -> bool:
        """Return False if there is no capacity because all other connections are being answered."""
        address = connection.address
        if len(self._open.get(address, ())) >= self.limits.most_per_address:
            self._evict(address)
        elif self.number >= self.limits.most:
            crowds = {one.address for one in self._evictable(self._open)}
            self._evict(max(crowds, key=lambda one: len(self._open[one]), default=address))
        if self.number >= self.limits.most or len(self._open.get(address, ())) >= self.limits.most_per_address:
            self._cut.labels("too_many").inc()
            return False
        self._open.setdefault(address, {})[connection] = None
        self.number += 1
        return True

    def closed(self, connection: GuardedConnection) -> None:
        """Idempotent."""
        self._refused.pop(connection, None)
        self._forget(connection)

    def _forget(self, connection: GuardedConnection) -> None:
        there = self._open.get(connection.address, {})
        if connection in there:
            del there[connection]
            self.number -= 1
        if not there:
            self._open.pop(connection.address, None)

    def sweep(self, now: float) -> None:
        """End connections that exceed their limits. Call it periodically."""
        for connection in [one for there in self._open.values() for one in there]:
            if why := connection.check_limits(now):
                self.cut(connection, why)
        for connection, refused in list(self._refused.items()):
            if not refused.is_answered and now - refused.since >= ANSWER_AFTER_SECONDS[refused.why]:
                self._refused[connection] = _Refused(refused.why, now, is_answered=True)
                connection.cut(refused.why)
            elif refused.is_answered and now - refused.since >= UNREAD_SECONDS:
                self.cut(connection, "answer_not_taken")
        self._swept_at = now

    def evict_body(self, address: str) -> bool:
        """Evict the oldest unfinished body of this address, if it has more than one."""
        waiting = [one for one in self._evictable([address]) if not one.was_authenticated]
        bodies = [one for one in waiting if one.phase == "body" and not one.is_decided]
        if len(bodies) > 1:
            longest = min(bodies, key=_since)
            self.cut(longest, "too_many")
            self.closed(longest)
        return len(bodies) > 1

    def end_all(self) -> None:
        for connection in [*self._refused, *(one for there in self._open.values() for one in there)]:
            self.cut(connection, "stopping")

    def cut(self, connection: GuardedConnection, why: CutReason) -> None:
        self._cut.labels(why).inc()
        connection.cut(why)

    def refuse(self, connection: GuardedConnection, why: CutReason) -> None:
        """Free its slot at once, and cut the connection later."""
        self._cut.labels(why).inc()
        is_idle = connection.phase == "idle"
        self._forget(connection)
        if is_idle or len(self._refused) >= MAX_REFUSED:
            connection.cut(why)
        else:
            connection.silence()
            self._refused[connection] = _Refused(why, self._swept_at)

    def _evict(self, address: str) -> None:
        if waiting := self._evictable([address]):
            self.refuse(min(waiting, key=_since), "too_many")

    def _evictable(self, addresses: Iterable[str]) -> list[GuardedConnection]:
        """Return the evictable connections. Those that were authenticated before come last."""
        there = [one for address in addresses for one in self._open.get(address, ())]
        waiting = [one for one in there if one.waiting_since is not None]
        return [one for one in waiting if not one.was_authenticated] or waiting


def _since(connection: GuardedConnection) -> float:
    return connection.waiting_since or 0.0
