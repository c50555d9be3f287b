"""Every connection under guard: heads and chunks are bounded, and requests of which two servers could disagree where
they end are refused before anybody looks at them. A proxy in front that believes one header, and we another, would
let a request hide in another's body (RFC 9112, 6.1 and 11.2)."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Protocol

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.http.problems import ProblemError
from services.runtime.http.problems import answer as problem_answer

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
    """A connection, as the guard sees it."""

    address: str
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
    """For one event loop. Those that wait for a request to be whole are kept in the order in which they began to wait,
    by address: when there are too many, the one that has waited longest makes room, so that a crowd of half-open
    connections keeps nobody out."""

    def __init__(self, limits: ConnectionLimits, cut: Counter) -> None:
        self.limits, self._cut = limits, cut
        self._open: dict[str, set[Watched]] = {}
        self._waiting: dict[str, OrderedDict[Watched, None]] = {}
        self._trusted: dict[str, OrderedDict[Watched, None]] = {}
        self._leaving: dict[Watched, _Leaving] = {}
        self._swept_at = 0.0
        self.number = 0

    def opened(self, connection: Watched) -> bool:
        """False if there is no room for it, because all others are answered right now."""
        address = connection.address
        if len(self._open.get(address, ())) >= self.limits.most_per_address:
            self._make_room(address)
        elif self.number >= self.limits.most:
            self._make_room(
                max(self._waiting or self._trusted, key=lambda one: len(self._open.get(one, ())), default=address)
            )
        if self.number >= self.limits.most or len(self._open.get(address, ())) >= self.limits.most_per_address:
            self._cut.labels("too_many").inc()
            return False
        self._open.setdefault(address, set()).add(connection)
        self.number += 1
        self.waits(connection)
        return True

    def closed(self, connection: Watched) -> None:
        """Harmless to repeat."""
        self._leaving.pop(connection, None)
        self._forget(connection)

    def _forget(self, connection: Watched) -> None:
        self.is_whole(connection)
        there = self._open.get(connection.address, set())
        if connection in there:
            there.remove(connection)
            self.number -= 1
        if not there:
            self._open.pop(connection.address, None)

    def waits(self, connection: Watched) -> None:
        """For its first request, or for the next one."""
        kept = self._trusted if connection.was_proven else self._waiting
        waiting = kept.setdefault(connection.address, OrderedDict())
        waiting[connection] = None
        waiting.move_to_end(connection)

    def is_whole(self, connection: Watched) -> None:
        """The request has come, or has proven by its head who sends it: nobody else makes it end."""
        for kept in (self._waiting, self._trusted):
            waiting = kept.get(connection.address, OrderedDict())
            waiting.pop(connection, None)
            if not waiting:
                kept.pop(connection.address, None)

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
        bodies = [one for one in self._waiting.get(address, ()) if one.phase == "body" and not one.is_decided]
        if len(bodies) > 1:
            self.cut(bodies[0], "too_many")
            self.closed(bodies[0])
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
        # Whoever has proven who they are on this connection before goes last.
        waiting = self._waiting.get(address) or self._trusted.get(address)
        if not waiting:
            return
        self.refuse(next(iter(waiting)), "too_many")


_LENGTH, _ENCODING = b"content-length", b"transfer-encoding"


class UnambiguousFraming:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := _ambiguous(scope)):
            answer = problem_answer(ProblemError(400, "malformed", refused, headers={"Connection": "close"}))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _ambiguous(scope: Scope) -> str:
    names = [name for name, _ in scope["headers"]]
    if _ENCODING in names and _LENGTH in names:
        return "Content-Length beside Transfer-Encoding: send one of them"
    if _ENCODING in names and scope["http_version"] != "1.1":
        return "Transfer-Encoding is HTTP/1.1"
    if any(name == _ENCODING and value.strip().lower() != b"chunked" for name, value in scope["headers"]):
        return "of encodings only chunked is known"
    if names.count(_LENGTH) > 1 or names.count(_ENCODING) > 1:
        return "the length of the body is told twice"
    if b"upgrade" in names and {_LENGTH, _ENCODING} & set(names):
        # The parser takes the body for what follows the upgrade, and the request would be judged without it.
        return "only HTTP/1.1 is served here: send no Upgrade with a body (in Java: HttpClient.Version.HTTP_1_1)"
    return ""


# Of a head; attributes of an event in binary mode have some hundred bytes.
MOST_HEAD_BYTES = 16 * 2**10
MOST_HEAD_LINES = 200
# A parser takes what it is given in one piece: a head in this many bytes, so that a large one is noticed within it; a
# chunked body in these, because each chunk of a byte costs as much time as one of a mebibyte.
HEAD_PIECE = 4 * 2**10
CHUNKED_PIECE = 2**10
# What chunks may cost in bytes around them, of the bytes in them: their mean is at least some 128 bytes then.
FREE_FRAMING = 2**10
FRAMING_SHARE = 16
# Requests that are sent before the first of them is answered.
MOST_AHEAD = 100
END_OF_HEAD = b"\r\n\r\n"
# Under this name each request's scope has the connection that it came on.
CONNECTION = "connection"

_ANSWERS = {
    "too_many": ProblemError(503, "unavailable", "too many connections wait here", headers={"Retry-After": "1"}),
    "head_too_slow": ProblemError(408, "too_slow", "the head of the request did not come in time"),
    "body_too_slow": ProblemError(408, "too_slow", "the body of the request did not come in time"),
    "head_too_large": ProblemError(
        431, "head_too_large", f"a head has at most {MOST_HEAD_BYTES} bytes in {MOST_HEAD_LINES} lines"
    ),
    "framing": ProblemError(400, "malformed", "the body comes in chunks of a few bytes, or too many requests at once"),
}


class Guarded:
    """Mixed into one of uvicorn's protocols, whose members stand here by name."""

    guard: ConnectionGuard
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    client: tuple[str, int] | None
    cycle: Any
    flow: Any
    _unset_keepalive_if_required: Any

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 (uvicorn's own)
        super().__init__(**{**given, "app_state": {**given["app_state"], CONNECTION: self}})
        self.address, self.was_proven, self.is_decided = "", False, False
        self._progress = RequestProgress(0.0, 0.0)
        self._lines, self._tail = 0, b""
        self._framing, self._rest, self._is_ended = 0, 0, False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        now = self.loop.time()
        self.address, self._progress = self.client[0] if self.client else "", RequestProgress(now, now)
        if not self.guard.opened(self):
            self._is_ended = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.closed(self)
        super().connection_lost(exc)  # type: ignore[misc]
        # uvicorn leaves its timer when a connection ends by an error, and with it the whole connection in memory.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        now = self.loop.time()
        if self.phase == "idle":
            self._progress = RequestProgress(now, now)
        self._progress.heard = now
        for piece in self._pieces(data):
            if self._is_ended or self.transport.is_closing():
                return
            self._receive(piece, now)

    def on_response_complete(self) -> None:
        if self._is_ended:
            return
        now = self.loop.time()
        self.is_decided = False
        self._rest = max(0, self._declared() - self._progress.received) if self.cycle.more_body else 0
        self._progress, self._lines, self._tail = RequestProgress(now, now), 0, b""
        self.guard.waits(self)
        super().on_response_complete()  # type: ignore[misc]
        if self.phase == "answer":  # of the next request, which had come already
            self.guard.is_whole(self)

    @property
    def phase(self) -> Phase:
        if self.cycle is None:
            return "head"
        if self.cycle.response_complete:
            return "head" if self._progress.received or self._rest else "idle"
        return "body" if self.cycle.more_body else "answer"

    def proven(self) -> None:
        """Whoever sends this request has proven it by its head."""
        self.was_proven = True
        self.guard.is_whole(self)

    def decided(self) -> None:
        """The request is answered, whenever that is sent: nothing more is read of it."""
        self.is_decided = True

    @property
    def received(self) -> int:
        """Bytes of the body that have come."""
        return self._progress.received

    def look(self, now: float) -> Why | None:
        if self._is_ended or self.transport.is_closing():
            return unread(self._progress, self.transport.get_write_buffer_size(), now)
        return overdue(self.phase, self._progress, self.guard.limits, now) or unread(
            self._progress, self.transport.get_write_buffer_size(), now
        )

    def silence(self) -> None:
        """Nothing more is taken of it, until it is cut."""
        self._is_ended = True
        self.flow.pause_reading()
        self._give_up()

    def cut(self, why: Why) -> None:
        """Ends the connection, with an answer where one is waited for."""
        phase, answer = self.phase, _ANSWERS.get(why)
        self._is_ended = True
        is_heard = phase == "body" and not self.cycle.response_started
        is_asked = is_heard or (phase == "head" and self._progress.received)
        # Behind an answer that is not taken no other one is heard.
        if answer is None or not is_asked or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.write(_raw(answer))
            self.transport.close()
        self._give_up()

    def _give_up(self) -> None:
        """Whoever works on the request stops, and gives back what it holds."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """The size of the next one follows from what the last one was: the end of a head, or of a body."""
        start = 0
        while start < len(data):
            is_head = self.phase in {"head", "idle"}
            size = self._rest or (HEAD_PIECE if is_head else CHUNKED_PIECE if self._is_chunked() else len(data))
            yield data[start : start + size]
            start += size

    def _receive(self, piece: bytes, now: float) -> None:
        if self._rest:
            # Of a body that was answered before it was heard: the parser throws it away, and a head follows.
            self._rest -= len(piece)
            super().data_received(piece)  # type: ignore[misc]
            return
        before, phase = self.cycle, self.phase
        if phase in {"head", "idle"} and self._is_too_large(piece):
            self.guard.refuse(self, "head_too_large")
            return
        self._progress.received += len(piece)
        held = len(before.body) if before is not None else 0
        super().data_received(piece)  # type: ignore[misc]
        if self.cycle is not before:
            self._progress, self._framing = RequestProgress(now, now, received=len(self.cycle.body)), 0
            if len(getattr(self, "pipeline", ())) > MOST_AHEAD:
                self.guard.refuse(self, "framing")
        elif phase == "body" and self._is_chunked():
            self._framing += len(piece) - (len(self.cycle.body) - held)
            if self._framing > FREE_FRAMING + self._progress.received // FRAMING_SHARE:
                self.guard.refuse(self, "framing")
        if self.phase == "answer":
            self.guard.is_whole(self)

    def _is_chunked(self) -> bool:
        return any(name == b"transfer-encoding" for name, _ in self.cycle.scope["headers"])

    def _declared(self) -> int:
        lengths = [int(value) for name, value in self.cycle.scope["headers"] if name == b"content-length"]
        return lengths[0] if lengths else 0

    def _is_too_large(self, piece: bytes) -> bool:
        """Counts lines as far as the head goes; its end may lie between two pieces."""
        seen = self._tail + piece
        end = seen.find(END_OF_HEAD)
        self._lines += (seen if end < 0 else seen[:end]).count(b"\n") - self._tail.count(b"\n")
        self._tail = seen[-len(END_OF_HEAD) + 1 :]
        return self._lines > MOST_HEAD_LINES or (end < 0 and self._progress.received + len(piece) > MOST_HEAD_BYTES)


def guarded(guard: ConnectionGuard, protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """The class that uvicorn is given: `protocol` is one of its own."""
    return type("GuardedProtocol", (Guarded, protocol), {"guard": guard})


def _raw(refusal: ProblemError) -> bytes:
    answer = problem_answer(refusal)
    names = {**answer.headers, "connection": "close"}
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        *(f"{name}: {value}" for name, value in names.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(answer.body)
