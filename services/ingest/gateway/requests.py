"""Requests: bodies read within limits and taken apart into events, and how their faults are told."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.ingest.domain.cloudevents import (
    BATCH,
    JSON,
    STRUCTURED,
    Parsed,
    read_attributes,
    read_binary,
    read_json,
    read_media_type,
)
from services.ingest.domain.verdict import Problem, Reason, Rejected, rejected
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError

# Faults in one answer.
MOST_LISTED = 1_000
STATUS: Mapping[Reason, int] = {
    "malformed": 400,
    "invalid": 400,
    "unknown_type": 400,
    "future": 400,
    "forbidden": 403,
    "conflict": 409,
    "too_large": 413,
    "unresolved": 400,
    "refused": 422,
    "failed": 500,
}


@dataclass(frozen=True)
class DirectAnswer:
    """Nothing stands between a request and who answers it: Starlette would look for errors of its own, which ours do
    not raise."""

    answer: Callable[[Request], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive, send))
        await response(scope, receive, send)


def rejection(rejected: Rejected) -> ProblemError:
    first = rejected.errors[0]
    return ProblemError(
        STATUS[rejected.reason],
        rejected.reason,
        f"{first.path or 'the body'}: {first.reason}",
        extra={"errors": listed(rejected.errors)},
    )


def listed(errors: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": error.path, "reason": error.reason} for error in errors]


class Listing:
    """The faults of many things in one answer: when very many are listed, each thing has its first one only, lest the
    answer to a batch of nonsense be many times as large as the batch."""

    def __init__(self) -> None:
        self._left = MOST_LISTED

    def listed(self, errors: Sequence[Problem]) -> list[dict[str, str]]:
        shown = errors if len(errors) <= self._left else errors[:1]
        self._left -= len(shown)
        return listed(shown)


# A valid event has at most some 30 KiB; a batch of this size is about 3,000 of the usual ones.
MOST_BYTES = 2**20
# A sender whose body is longer than this is cut off. One below it is heard out first, since many clients lose an
# answer that arrives while they are still sending.
HEARD_OUT_BYTES = 16 * 2**20
# Larger ones are read beside the event loop; reading this much takes a millisecond.
QUICKLY_READ_BYTES = 64 * 2**10


class InFlightBytes:
    """Of the bodies in work: at most `most` bytes, and `most_of_one` of one owner (an address, a token, a connection).
    `relieve` is asked to end something of an owner that has too much; what it ends gives its bytes back soon after."""

    @dataclass
    class RequestBytes:
        """Of one request."""

        bodies: "InFlightBytes"
        owner: str
        size: int = 0

        def add(self, size: int) -> None:
            """Raises ProblemError 429 or 503."""
            self.bodies.add(self.owner, size)
            self.size += size

        def check(self, size: int) -> None:
            """Raises as `add` where so many more have no room for sure."""
            self.bodies.check(self.owner, size)

    def __init__(self, most: int, most_of_one: int, relieve: Callable[[str], bool] | None = None) -> None:
        self._most, self._most_of_one, self._relieve = most, most_of_one, relieve
        self._of: Counter[str] = Counter()
        self.total = 0

    @contextmanager
    def held(self, owner: str) -> Iterator[RequestBytes]:
        """Until the request is answered."""
        held = InFlightBytes.RequestBytes(self, owner)
        try:
            yield held
        finally:
            self.total -= held.size
            self._of[owner] -= held.size
            if not self._of[owner]:
                del self._of[owner]

    def check(self, owner: str, size: int) -> None:
        """Where somebody may be asked to make room they are asked as the bytes come. Raises ProblemError 429 or 503."""
        if self._relieve is None and self._is_too_much(owner, size):
            raise self._refusal(owner, size)

    def add(self, owner: str, size: int) -> None:
        """Raises ProblemError 429 or 503."""
        if self._is_too_much(owner, size) and not (self._relieve and self._relieve(owner)):
            raise self._refusal(owner, size)
        self.total += size
        self._of[owner] += size

    def _is_too_much(self, owner: str, size: int) -> bool:
        return self.total + size > self._most or self._of[owner] + size > self._most_of_one

    def _refusal(self, owner: str, size: int) -> ProblemError:
        code, status = ("too_many", 429) if self._of[owner] + size > self._most_of_one else ("unavailable", 503)
        words = "too much is under way here; send the same again in 1 s"
        return ProblemError(status, code, words, headers={"Retry-After": "1"})


async def read_body(request: Request, held: InFlightBytes.RequestBytes, most: int = MOST_BYTES) -> bytes:
    """Raises ProblemError 413 and those of `held`, before reading if the length is declared."""
    if _declared(request) > most:
        raise _too_large(most)
    held.check(_declared(request))
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max(HEARD_OUT_BYTES, most):
            break
        if size <= most:
            held.add(len(chunk))
            body += chunk
    if size > most:
        raise _too_large(most)
    return bytes(body)


def may_go_on(request: Request, most: int = HEARD_OUT_BYTES) -> bool:
    """Whether more may come than is worth hearing out: after an error the connection is then closed, because the
    server would take what comes for as long as it comes."""
    return "transfer-encoding" in request.headers or _declared(request) > most


def size_of(request: Request) -> int:
    """Of the body, no more than is heard out: as declared, else as much as has come."""
    if "transfer-encoding" in request.headers:
        return int(request.scope["state"][CONNECTION].received)
    return min(_declared(request), HEARD_OUT_BYTES)


def _declared(request: Request) -> int:
    return int(request.headers.get("content-length", "0"))


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "too_large", f"a request has at most {most} bytes: send smaller batches")


COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})
PREFIX = "ce-"
QUOTED = re.compile(r'"(.*)"', re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class RequestContent:
    """The events of one request, parsed and not yet judged."""

    events: list[object]
    is_batch: bool


def check_encoding(headers: Mapping[str, str]) -> None:
    """Raises ProblemError 415. Some clients write a character set into this header: that says nothing."""
    found = {one.strip().lower() for one in headers.get("content-encoding", "").split(",")} & COMPRESSIONS
    if found:
        detail = f"the body is compressed ({', '.join(sorted(found))}): send it as it is, without Content-Encoding"
        raise ProblemError(415, "unsupported_media_type", detail, headers={"Accept-Encoding": "identity"})


def media_type(headers: Headers) -> str:
    """Raises ProblemError 415. In binary mode the type may be missing, or any kind of JSON."""
    check_encoding(headers)
    found = read_media_type(headers.get("content-type", JSON if _is_binary(headers) else ""))
    may_be_data = found.is_json and not found.name.startswith("application/cloudevents")
    if found.name not in {STRUCTURED, BATCH, JSON} and not (_is_binary(headers) and may_be_data):
        raise _unsupported(f"the content type is {found.name or 'none'}; send {STRUCTURED}, {BATCH} or {JSON}")
    if not found.is_json:
        raise _unsupported("JSON is sent in UTF-8")
    return found.name


def read_content(media: str, headers: Headers, body: bytes) -> RequestContent:
    """Raises ProblemError 400."""
    if media == BATCH:
        events = _value(read_json(body))
        if not isinstance(events, list):
            raise rejection(rejected("malformed", "", "a batch is a JSON array of events"))
        if not events:
            raise ProblemError(400, "empty_batch", "a batch holds at least one event")
        return RequestContent(events, is_batch=True)
    if media != STRUCTURED and _is_binary(headers):
        return RequestContent([_binary(headers, body)], is_batch=False)
    event = _value(read_json(body))
    if isinstance(event, list):
        raise rejection(rejected("malformed", "", f"is an array: send a batch as {BATCH}"))
    return RequestContent([event], is_batch=False)


def _is_binary(headers: Headers) -> bool:
    return any(name.startswith(PREFIX) for name in headers)


def _value(parsed: Parsed | Rejected) -> object:
    if isinstance(parsed, Rejected):
        raise rejection(parsed)
    return parsed.value


def _binary(headers: Headers, body: bytes) -> object:
    attributes = read_attributes(_decoded(headers), PREFIX)
    if isinstance(attributes, Rejected):
        raise rejection(attributes)
    return _value(read_binary(attributes, headers.get("content-type"), body))


def _decoded(headers: Headers) -> Iterator[tuple[str, bytes]]:
    """A value may be quoted, and is then percent-encoded UTF-8 (CloudEvents' HTTP binding, 3.1.3.2)."""
    for name, value in headers.items():
        quoted = QUOTED.fullmatch(value)
        text = ESCAPED.sub(r"\1", quoted[1]) if quoted else value
        yield name, unquote_to_bytes(text.encode("latin-1"))


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(
        415, "unsupported_media_type", detail, headers={"Accept-Post": f"{STRUCTURED}, {BATCH}, {JSON}"}
    )
