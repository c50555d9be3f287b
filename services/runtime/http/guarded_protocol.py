"""One connection under guard, as it speaks HTTP: its heads and chunks are bounded while they come, nobody can disagree
where a request ends, and whoever is refused is told why."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.http.connection_guard import ConnectionGuard, Phase, RequestProgress, Why, overdue, unread
from services.runtime.http.problems import ProblemError
from services.runtime.http.problems import answer as problem_answer

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
# Of what a parser says of it, which may quote it.
LONGEST_FAULT_SHOWN = 200
END_OF_HEAD = b"\r\n\r\n"
_LENGTH, _ENCODING = b"content-length", b"transfer-encoding"
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
        self.waiting_since: float | None = None
        self._progress = RequestProgress(0.0, 0.0)
        self._lines, self._tail = 0, b""
        self._framing, self._rest, self._is_ended = 0, 0, False
        self._fault: ProblemError | None = None
        # Of httptools, which reads on behind a request in work: its `cycle` is the last one that was read.
        self._in_work: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        now = self.loop.time()
        self.address, self.waiting_since = self.client[0] if self.client else "", now
        self._progress = RequestProgress(now, now)
        if not self.guard.opened(self):
            self._is_ended = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.closed(self)
        super().connection_lost(exc)  # type: ignore[misc]
        if self._in_work is not None:
            self._in_work.disconnected = True
        # uvicorn leaves its timer when a connection ends by an error, and with it the whole connection in memory.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        now = self.loop.time()
        if self.phase == "idle":
            self._progress = RequestProgress(now, now)
        self._progress.heard = now
        for piece in self._pieces(data):
            if self._is_ended or self._fault or self.transport.is_closing():
                return
            self._receive(piece, now)

    def on_headers_complete(self) -> None:
        """Of httptools, which adds to the same list what comes behind a body in chunks: that is none of the head."""
        super().on_headers_complete()  # type: ignore[misc]
        self.headers = list[tuple[bytes, bytes]]()
        if not self._ahead:
            self._in_work = self.cycle

    def on_response_complete(self) -> None:
        if self._is_ended:
            return
        now = self.loop.time()
        self.is_decided = False
        self._rest = 0
        if self.cycle.response_complete and self.cycle.more_body:
            lengths = [int(value) for name, value in self.cycle.scope["headers"] if name == _LENGTH]
            self._rest = max(0, sum(lengths[:1]) - self._progress.received)
        self._progress, self._lines, self._tail = RequestProgress(now, now), 0, b""
        self.waiting_since = now
        if self._ahead:
            self._in_work = self._ahead[-1][0]
        super().on_response_complete()  # type: ignore[misc]
        if self.phase == "answer":  # of the next request, which had come already
            self.waiting_since = None
        elif self._fault and not self.transport.is_closing():
            self._refuse(self._fault)

    def send_400_response(self, msg: str) -> None:
        """The server calls it when the parser cannot read what comes. The requests before it are answered first: what
        is said now would be taken for the answer of one of them."""
        words = str(sys.exception() or msg)[:LONGEST_FAULT_SHOWN]
        fault = ProblemError(400, "not_http", f"HTTP/1.1 is served here, and this is none: {words}")
        if self.phase == "answer":
            self._fault = fault
            self.flow.pause_reading()
        elif self.phase == "body" and self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(fault)

    @property
    def phase(self) -> Phase:
        if self.cycle is None:
            return "head"
        if self.cycle.response_complete:
            return "head" if self._progress.received or self._rest else "idle"
        return "body" if self.cycle.more_body and not self._ahead else "answer"

    @property
    def _ahead(self) -> Sequence[tuple[Any, Any]]:
        """Requests that were read and wait for those before them, the next one last."""
        return getattr(self, "pipeline", ())

    def proven(self) -> None:
        """Whoever sends this request has proven it by its head."""
        self.was_proven = True
        self.waiting_since = None

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
        # It is no idle connection, which uvicorn would close before it is told why.
        self._unset_keepalive_if_required()
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
            self._refuse(answer)
        self._give_up()

    def _refuse(self, refusal: ProblemError) -> None:
        answer = problem_answer(refusal)
        names = {**answer.headers, "connection": "close"}
        lines = [
            f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
            *(f"{name}: {value}" for name, value in names.items()),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(answer.body))
        self.transport.close()

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
        # Before anything is refused: who has said nothing is told nothing.
        self._progress.received += len(piece)
        if phase in {"head", "idle"} and self._is_too_large(piece):
            self.guard.refuse(self, "head_too_large")
            return
        held = len(before.body) if before is not None else 0
        super().data_received(piece)  # type: ignore[misc]
        if self.cycle is not before:
            self._progress, self._framing = RequestProgress(now, now, received=len(self.cycle.body)), 0
            if len(self._ahead) > MOST_AHEAD:
                self.guard.refuse(self, "framing")
        elif phase == "body" and self._is_chunked():
            self._framing += len(piece) - (len(self.cycle.body) - held)
            if self._framing > FREE_FRAMING + self._progress.received // FRAMING_SHARE:
                self.guard.refuse(self, "framing")
        if self.phase == "answer":
            self.waiting_since = None

    def _is_chunked(self) -> bool:
        return any(name == _ENCODING for name, _ in self.cycle.scope["headers"])

    def _is_too_large(self, piece: bytes) -> bool:
        """Counts lines as far as the head goes; its end may lie between two pieces."""
        seen = self._tail + piece
        end = seen.find(END_OF_HEAD)
        self._lines += (seen if end < 0 else seen[:end]).count(b"\n") - self._tail.count(b"\n")
        self._tail = seen[-len(END_OF_HEAD) + 1 :]
        behind = 0 if end < 0 else len(seen) - end - len(END_OF_HEAD)
        return self._lines > MOST_HEAD_LINES or self._progress.received - behind > MOST_HEAD_BYTES


def guarded(guard: ConnectionGuard, protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """The class that uvicorn is given: `protocol` is one of its own."""
    return type("GuardedProtocol", (Guarded, protocol), {"guard": guard})


# Of these there is one (RFC 9110, 5.3): of two that differ a proxy in front may have judged the one, and we the other.
_SINGULAR = (b"content-type", b"authorization")


class UnambiguousHead:
    """Wraps the application. Requests that two servers could understand differently are refused before anybody looks at
    them: of which they could disagree where it ends, one would let a request hide in another's body (RFC 9112, 6.1 and
    11.2)."""

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
    for singular in _SINGULAR:
        if names.count(singular) > 1 and len({value for name, value in scope["headers"] if name == singular}) > 1:
            return f"{singular.decode().title()} is told twice, and differently"
    if b"upgrade" in names and {_LENGTH, _ENCODING} & set(names):
        # The parser takes the body for what follows the upgrade, and the request would be judged without it.
        return "only HTTP/1.1 is served here: send no Upgrade with a body (in Java: HttpClient.Version.HTTP_1_1)"
    return ""
