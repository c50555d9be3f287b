"""The HTTP protocol of one guarded connection: heads and chunks are bounded while they arrive, ambiguous framing is
refused, and a refused client is told why."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.http.connection_guard import ConnectionGuard, CutReason, Phase, RequestProgress, overdue, unread
from services.runtime.http.problems import ProblemError
from services.runtime.http.problems import answer as problem_answer

# A head's limit; the attributes of an event in binary mode have some hundred bytes.
MAX_HEAD_BYTES = 16 * 2**10
MAX_HEAD_LINES = 200
# A parser consumes a piece at once. Heads come in pieces of this size, so that a large one is noticed early; chunked
# bodies in pieces of the other, because a chunk of one byte costs as much time as one of a mebibyte.
HEAD_PIECE = 4 * 2**10
CHUNKED_PIECE = 2**10
# The framing bytes that a chunked body may have, in proportion to its data: chunks then have some 128 bytes on average.
FREE_FRAMING = 2**10
FRAMING_SHARE = 16
# Pipelined requests that may wait behind the first one.
MAX_AHEAD = 100
# A parser's error message may quote the request.
LONGEST_FAULT_SHOWN = 200
END_OF_HEAD = b"\r\n\r\n"
_LENGTH, _ENCODING = b"content-length", b"transfer-encoding"
# The key of the connection in each request's scope.
CONNECTION = "connection"

_ANSWERS = {
    "too_many": ProblemError(503, "unavailable", "too many connections wait here", headers={"Retry-After": "1"}),
    "head_too_slow": ProblemError(408, "too_slow", "the head of the request did not come in time"),
    "body_too_slow": ProblemError(408, "too_slow", "the body of the request did not come in time"),
    "head_too_large": ProblemError(
        431, "head_too_large", f"a head has at most {MAX_HEAD_BYTES} bytes in {MAX_HEAD_LINES} lines"
    ),
    "framing": ProblemError(400, "malformed", "the body comes in chunks of a few bytes, or too many requests at once"),
}


class Guarded:
    """A mixin for one of uvicorn's protocols; the annotated members are uvicorn's."""

    guard: ConnectionGuard
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    client: tuple[str, int] | None
    cycle: Any
    flow: Any
    _unset_keepalive_if_required: Any

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 (uvicorn's own)
        super().__init__(**{**given, "app_state": {**given["app_state"], CONNECTION: self}})
        self.address, self.was_authenticated, self.is_decided = "", False, False
        self.waiting_since: float | None = None
        self._progress = RequestProgress(0.0, 0.0)
        self._lines, self._tail = 0, b""
        self._framing, self._rest, self._is_ended = 0, 0, False
        self._fault: ProblemError | None = None
        # httptools parses pipelined requests ahead, so `cycle` is the last parsed request, not the one being served.
        self._in_work: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        now = self.loop.time()
        self.address, self.waiting_since = self.client[0] if self.client else "", now
        self._progress = RequestProgress(now, now)
        if not self.guard.admit(self):
            self._is_ended = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.closed(self)
        super().connection_lost(exc)  # type: ignore[misc]
        if self._in_work is not None:
            self._in_work.disconnected = True
        # uvicorn keeps its timer when a connection ends by an error, and the timer keeps the connection in memory.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        now = self.loop.time()
        if self.phase == "idle":
            self._progress = RequestProgress(now, now)
        self._progress.last_received = now
        for piece in self._pieces(data):
            if self._is_ended or self._fault or self.transport.is_closing():
                return
            self._receive(piece, now)

    def on_headers_complete(self) -> None:
        """Httptools appends the trailers of a chunked body to the same list: replace it, for trailers are no
        headers."""
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
        if self.phase == "answer":  # of the next pipelined request
            self.waiting_since = None
        elif self._fault and not self.transport.is_closing():
            self._refuse(self._fault)

    def send_400_response(self, msg: str) -> None:
        """Uvicorn calls it when the parser fails. Earlier requests are answered first: a response sent now would be
        taken for one of theirs."""
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
        """Pipelined requests that are parsed and wait, the next one last."""
        return getattr(self, "pipeline", ())

    def authenticated(self) -> None:
        """The head of this request has authenticated its sender."""
        self.was_authenticated = True
        self.waiting_since = None

    def decided(self) -> None:
        """The response is determined, even if it is sent later: nothing more of the request is read."""
        self.is_decided = True

    @property
    def received(self) -> int:
        """The bytes of the body that have arrived."""
        return self._progress.received

    def check_limits(self, now: float) -> CutReason | None:
        if self._is_ended or self.transport.is_closing():
            return unread(self._progress, self.transport.get_write_buffer_size(), now)
        return overdue(self.phase, self._progress, self.guard.limits, now) or unread(
            self._progress, self.transport.get_write_buffer_size(), now
        )

    def silence(self) -> None:
        """Stop reading from the connection until it is cut."""
        self._is_ended = True
        # uvicorn would close it as an idle connection before the client gets its response.
        self._unset_keepalive_if_required()
        self.flow.pause_reading()
        self._give_up()

    def cut(self, why: CutReason) -> None:
        """End the connection, with a response if the client waits for one."""
        phase, answer = self.phase, _ANSWERS.get(why)
        self._is_ended = True
        reads_body = phase == "body" and not self.cycle.response_started
        awaits_answer = reads_body or (phase == "head" and self._progress.received)
        # A client that does not read its response would not read another one.
        if answer is None or not awaits_answer or self.transport.get_write_buffer_size():
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
        """Make the request's task stop and release what it holds."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Split the data. A piece may end a head or a body, which determines the size of the next piece."""
        start = 0
        while start < len(data):
            is_head = self.phase in {"head", "idle"}
            size = self._rest or (HEAD_PIECE if is_head else CHUNKED_PIECE if self._is_chunked() else len(data))
            yield data[start : start + size]
            start += size

    def _receive(self, piece: bytes, now: float) -> None:
        if self._rest:
            # The rest of a body that was answered early: the parser discards it, and a head follows.
            self._rest -= len(piece)
            super().data_received(piece)  # type: ignore[misc]
            return
        before, phase = self.cycle, self.phase
        # Counted before any refusal: a client that has sent nothing gets no response.
        self._progress.received += len(piece)
        if phase in {"head", "idle"} and self._is_too_large(piece):
            self.guard.refuse(self, "head_too_large")
            return
        held = len(before.body) if before is not None else 0
        super().data_received(piece)  # type: ignore[misc]
        if self.cycle is not before:
            self._progress, self._framing = RequestProgress(now, now, received=len(self.cycle.body)), 0
            if len(self._ahead) > MAX_AHEAD:
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
        """Count the lines of the head; its end may lie between two pieces."""
        seen = self._tail + piece
        end = seen.find(END_OF_HEAD)
        self._lines += (seen if end < 0 else seen[:end]).count(b"\n") - self._tail.count(b"\n")
        self._tail = seen[-len(END_OF_HEAD) + 1 :]
        behind = 0 if end < 0 else len(seen) - end - len(END_OF_HEAD)
        return self._lines > MAX_HEAD_LINES or self._progress.received - behind > MAX_HEAD_BYTES


def guarded_protocol_class(guard: ConnectionGuard, protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """Return the protocol class for uvicorn; `protocol` is one of uvicorn's own."""
    return type("GuardedProtocol", (Guarded, protocol), {"guard": guard})


# These headers are singular (RFC 9110, 5.3): of two that differ, a proxy in front may check one and we the other.
_SINGULAR = (b"content-type", b"authorization")


class UnambiguousHead:
    """ASGI middleware that refuses ambiguous requests before they reach the application. If two servers disagree where
    a request ends, another request can be smuggled in its body (RFC 9112, 6.1 and 11.2)."""

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
    if _ENCODING in names:
        if _LENGTH in names:
            return "Content-Length beside Transfer-Encoding: send one of them"
        if scope["http_version"] != "1.1":
            return "Transfer-Encoding is HTTP/1.1"
        if any(name == _ENCODING and value.strip().lower() != b"chunked" for name, value in scope["headers"]):
            return "of encodings only chunked is known"
    if names.count(_LENGTH) > 1 or names.count(_ENCODING) > 1:
        return "the length of the body is told twice"
    for singular in _SINGULAR:
        if names.count(singular) > 1 and len({value for name, value in scope["headers"] if name == singular}) > 1:
            return f"{singular.decode().title()} is told twice, and differently"
    if b"upgrade" in names and {_LENGTH, _ENCODING} & set(names):
        # The parser treats the body as data of the upgraded protocol: the request would be handled without it.
        return "only HTTP/1.1 is served here: send no Upgrade with a body (in Java: HttpClient.Version.HTTP_1_1)"
    return ""
