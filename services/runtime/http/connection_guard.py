"""All open connections under one guard: how many there may be, how long each may take, and which one makes room when
there are too many."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import Counter

# Of a body that is on its way. A sender who says nothing for so long is gone.
SILENT_SECONDS = 10.0
# Slower than this no sender of ours is; judged only after the first seconds, because connections begin slowly.
LEAST_BYTES_PER_SECOND = 4 * 2**10
SLOW_START_SECONDS = 10.0
# A client that does not take its answer for so long is gone, too.
UNREAD_SECONDS = 10.0

Phase = Literal["idle", "head", "body", "answer"]
Why = Literal["too_many", "head_too_slow", "body_too_slow", "answer_not_taken", "head_too_large", "framing", "stopping"]

# Seconds after which those are told who are refused for these: a crowd that is told at once is back at once, a thousand
# times a second.
TOLD_AFTER: Mapping[Why, float] = {"too_many": 3.0, "framing": 1.0, "head_too_large": 1.0}
MOST_LEAVING = 1_000
"""Of those, beside the connections that are open; more are told at once."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Seconds, and numbers of connections."""

    most: int
    most_per_address: int
    head_seconds: float
    body_seconds: float


@dataclass
class RequestProgress:
    """Of one connection: since when it is in this phase, when it was last heard, and what came in this phase.
    `unread` are bytes of an answer that its client has not taken, which were as many already at `unread_since`."""

    began: float
    heard: float
    received: int = 0
    unread: int = 0
    unread_since: float = 0.0


class Watched(Protocol):
    """A connection, as the guard sees it. `waiting_since`: for a request to be whole, or to prove by its head who sends
    it; None while nobody else makes it end."""

    address: str
    waiting_since: float | None
    was_proven: bool
    is_decided: bool

    @property
    def phase(self) -> Phase: ...

    def cut(self, why: Why) -> None: ...

    def silence(self) -> None: ...

    def look(self, now: float) -> Why | None: ...


def overdue(phase: Phase, progress: RequestProgress, limits: ConnectionLimits, now: float) -> Why | None:
    """Why the connection has to end, if it has to."""
    lasted = now - progress.began
    match phase:
        case "head":
            return "head_too_slow" if lasted > limits.head_seconds else None
        case "body":
            is_slow = lasted > SLOW_START_SECONDS and progress.received < lasted * LEAST_BYTES_PER_SECOND
            is_over = lasted > limits.body_seconds or now - progress.heard > SILENT_SECONDS
            return "body_too_slow" if is_slow or is_over else None
        case "answer" | "idle":
            return None


def unread(progress: RequestProgress, waiting: int, now: float) -> Why | None:
    """`waiting` are bytes of answers that the client has not taken yet."""
    if not waiting or waiting != progress.unread:
        progress.unread, progress.unread_since = waiting, now
    return "answer_not_taken" if waiting and now - progress.unread_since > UNREAD_SECONDS else None


@dataclass(frozen=True)
class _Leaving:
    """Refused: since the sweep before it was, and once it is told, since then."""

    why: Why
    since: float
    is_told: bool = False


class ConnectionGuard:
    """For one event loop. When there are too many, the one that has waited longest for its request to be whole ends,
    so that a crowd of half-open connections keeps nobody out. Who waits is looked for only then: each request would
    else pay for what is seldom asked."""

    def __init__(self, limits: ConnectionLimits, cut: Counter) -> None:
        self.limits, self._cut = limits, cut
        # In their order: an event loop's clock tells those of one round alike.
        self._open: dict[str, dict[Watched, None]] = {}
        self._leaving: dict[Watched, _Leaving] = {}
        self._swept_at = 0.0
        self.number = 0

    def opened(self, connection: Watched) -> bool:
        """False if there is no room for it, because all others are answered right now."""
        address = connection.address
        if len(self._open.get(address, ())) >= self.limits.most_per_address:
            self._make_room(address)
        elif self.number >= self.limits.most:
            crowds = {one.address for one in self._first_to_go(self._open)}
            self._make_room(max(crowds, key=lambda one: len(self._open[one]), default=address))
        if self.number >= self.limits.most or len(self._open.get(address, ())) >= self.limits.most_per_address:
            self._cut.labels("too_many").inc()
            return False
        self._open.setdefault(address, {})[connection] = None
        self.number += 1
        return True

    def closed(self, connection: Watched) -> None:
        """Harmless to repeat."""
        self._leaving.pop(connection, None)
        self._forget(connection)

    def _forget(self, connection: Watched) -> None:
        there = self._open.get(connection.address, {})
        if connection in there:
            del there[connection]
            self.number -= 1
        if not there:
            self._open.pop(connection.address, None)

    def sweep(self, now: float) -> None:
        """To be called now and then; ends what takes too long."""
        for connection in [one for there in self._open.values() for one in there]:
            if why := connection.look(now):
                self.cut(connection, why)
        for connection, leaving in list(self._leaving.items()):
            if not leaving.is_told and now - leaving.since >= TOLD_AFTER[leaving.why]:
                self._leaving[connection] = _Leaving(leaving.why, now, is_told=True)
                connection.cut(leaving.why)
            elif leaving.is_told and now - leaving.since >= UNREAD_SECONDS:
                self.cut(connection, "answer_not_taken")
        self._swept_at = now

    def relieve(self, address: str) -> bool:
        """Ends the body of this address that has been on its way the longest, if there are several that are read."""
        waiting = [one for one in self._first_to_go([address]) if not one.was_proven]
        bodies = [one for one in waiting if one.phase == "body" and not one.is_decided]
        if len(bodies) > 1:
            longest = min(bodies, key=_since)
            self.cut(longest, "too_many")
            self.closed(longest)
        return len(bodies) > 1

    def end_all(self) -> None:
        for connection in [*self._leaving, *(one for there in self._open.values() for one in there)]:
            self.cut(connection, "stopping")

    def cut(self, connection: Watched, why: Why) -> None:
        self._cut.labels(why).inc()
        connection.cut(why)

    def refuse(self, connection: Watched, why: Why) -> None:
        """It is gone for us at once, and cut in a while."""
        self._cut.labels(why).inc()
        is_idle = connection.phase == "idle"
        self._forget(connection)
        if is_idle or len(self._leaving) >= MOST_LEAVING:
            connection.cut(why)
        else:
            connection.silence()
            self._leaving[connection] = _Leaving(why, self._swept_at)

    def _make_room(self, address: str) -> None:
        if waiting := self._first_to_go([address]):
            self.refuse(min(waiting, key=_since), "too_many")

    def _first_to_go(self, addresses: Iterable[str]) -> list[Watched]:
        """Those that wait. Whoever has proven who they are on this connection before goes last."""
        there = [one for address in addresses for one in self._open.get(address, ())]
        waiting = [one for one in there if one.waiting_since is not None]
        return [one for one in waiting if not one.was_proven] or waiting


def _since(connection: Watched) -> float:
    return connection.waiting_since or 0.0
