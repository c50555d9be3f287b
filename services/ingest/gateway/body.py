"""Reads a body and keeps no more of it than the limit, and of all bodies together no more than theirs."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from services.ingest.gateway.problem import ProblemError

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
    class Held:
        """Of one request."""

        bodies: "InFlightBytes"
        owner: str
        size: int = 0

        def add(self, size: int) -> None:
            """Raises ProblemError 429 or 503."""
            self.bodies.add(self.owner, size)
            self.size += size

    def __init__(self, most: int, most_of_one: int, relieve: Callable[[str], bool] = lambda _owner: False) -> None:
        self._most, self._most_of_one, self._relieve = most, most_of_one, relieve
        self._of: Counter[str] = Counter()
        self.total = 0

    @contextmanager
    def held(self, owner: str) -> Iterator[Held]:
        """Until the request is answered."""
        held = InFlightBytes.Held(self, owner)
        try:
            yield held
        finally:
            self.total -= held.size
            self._of[owner] -= held.size
            if not self._of[owner]:
                del self._of[owner]

    def add(self, owner: str, size: int) -> None:
        is_too_much = self.total + size > self._most or self._of[owner] + size > self._most_of_one
        if is_too_much and not self._relieve(owner):
            code = ("too_many", 429) if self._of[owner] + size > self._most_of_one else ("unavailable", 503)
            words = "too much is under way here; send the same again in 1 s"
            raise ProblemError(code[1], code[0], words, headers={"Retry-After": "1"})
        self.total += size
        self._of[owner] += size


async def read_body(request: Request, held: InFlightBytes.Held, most: int = MOST_BYTES) -> bytes:
    """Raises ProblemError 413, before reading if the length is declared, and those of `held`."""
    if _declared(request) > most:
        raise _too_large(most)
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


def _declared(request: Request) -> int:
    return int(request.headers.get("content-length", "0"))


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "too_large", f"a request has at most {most} bytes: send smaller batches")
