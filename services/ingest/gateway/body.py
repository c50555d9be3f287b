"""Reads a body and keeps no more of it than the limit."""

from starlette.requests import Request

from services.ingest.gateway.problem import ProblemError

# A valid event has at most some 30 KiB; a batch of this size is about 3,000 of the usual ones.
MOST_BYTES = 2**20
# A sender whose body is longer than this is cut off. One below it is heard out first, since many clients lose an
# answer that arrives while they are still sending.
HEARD_OUT_BYTES = 16 * 2**20


async def read_body(request: Request, most: int = MOST_BYTES) -> bytes:
    """Raises ProblemError 413, before reading if the length is declared."""
    if _declared(request) > most:
        raise _too_large(most)
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max(HEARD_OUT_BYTES, most):
            break
        if size <= most:
            body += chunk
    if size > most:
        raise _too_large(most)
    return bytes(body)


def may_go_on(request: Request) -> bool:
    """Whether more may come than is worth hearing out: after an error the connection is then closed, because the
    server would take what comes for as long as it comes."""
    return "transfer-encoding" in request.headers or _declared(request) > HEARD_OUT_BYTES


def _declared(request: Request) -> int:
    return int(request.headers.get("content-length", "0"))


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "too_large", f"a request has at most {most} bytes: send smaller batches")
