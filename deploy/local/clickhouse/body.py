"""The SQL text of a request: the URL's query, then the body, whose beginning suffices to recognise an INSERT.

Bytes are counted after decompression and before they are stored. The memory limit covers the bodies of all requests
together.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from deploy.local.clickhouse.compression import Unpacker
from deploy.local.clickhouse.errors import EngineError, syntax_error, too_large

CHUNK_BYTES = 1 << 18
HEAD_BYTES = 1 << 16
IDLE_TIMEOUT_SECONDS = 60.0  # then the client's slot is freed
MAX_PARTS = 200  # of a form
T = TypeVar("T")


@dataclass(frozen=True)
class BodyCaps:
    """Bytes after decompression: `total` of a body whose rows go to a file, `in_memory` of one that is kept
    in memory."""

    total: int
    in_memory: int


class BodyMemoryLimit:
    """Limits the memory that the bodies of all requests use together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_use = 0

    @contextmanager
    def share(self) -> Iterator["MemoryShare"]:
        share = MemoryShare(self)
        try:
            yield share
        finally:
            self.adjust(-share.in_memory)

    def adjust(self, count: int) -> None:
        """Raises `EngineError` MEMORY_LIMIT_EXCEEDED, on which clients retry."""
        if count > 0 and self._in_use + count > self._most:
            text = f"The bodies of all requests hold more than {self._most} bytes: try again later"
            raise EngineError.of(241, "MEMORY_LIMIT_EXCEEDED", text, status=503)
        self._in_use += count


class MemoryShare:
    """The share of one request."""

    def __init__(self, limit: BodyMemoryLimit) -> None:
        self._limit = limit
        self.in_memory = 0

    def reserve(self, count: int) -> None:
        self._limit.adjust(count)
        self.in_memory += count


@dataclass
class Body:
    """`head` is the text read so far; `rest` yields the remaining chunks, decompressed, and fails beyond
    `caps.total`."""

    head: bytes
    caps: BodyCaps
    share: MemoryShare
    chunks: AsyncIterator[bytes] | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    async def rest(self) -> AsyncIterator[bytes]:
        size = len(self.head)
        _check_size(size, self.caps.total)
        if self.chunks is None:
            return
        async for chunk in self.chunks:
            size += len(chunk)
            _check_size(size, self.caps.total)
            yield chunk

    async def text(self) -> bytes:
        """Return the complete statement, in memory."""
        parts, size = [self.head], len(self.head)
        async for chunk in self.rest():
            size += len(chunk)
            _check_size(size, self.caps.in_memory)
            self.share.reserve(len(chunk))
            parts.append(chunk)
        return b"".join(parts)


class BodyReader:
    """Decompresses on separate threads: neither the event loop nor the engine's threads wait for a large frame."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, "unpack")

    async def read(self, request: web.Request, caps: BodyCaps, share: MemoryShare) -> Body:
        """Read the head of a plain body, or a complete form (external tables, parameters)."""
        query = request.query.get("query", "").encode("utf-8", "surrogateescape")
        body = Body(query + (b"\n" if query and request.can_read_body else b""), caps, share)
        _check_size(len(body.head), caps.in_memory)
        share.reserve(len(body.head))
        if request.content_type == "multipart/form-data":
            await _read_form(request, body)
            return body
        body.chunks = self._unpacked(request, Unpacker(request.headers.get("Content-Encoding", "")))
        async for chunk in body.chunks:
            share.reserve(len(chunk))
            body.head += chunk
            if len(body.head) > HEAD_BYTES:
                break
        return body

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _unpacked(self, request: web.Request, unpacker: Unpacker) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while packed := await _within_idle_timeout(request.content.read(CHUNK_BYTES)):
            left: bytes | None = packed
            while left is not None:
                if unpacker.plain:
                    piece, left = left, None
                else:
                    piece, left = await loop.run_in_executor(self._pool, unpacker.unpack, left)
                if piece:
                    yield piece


async def _read_form(request: web.Request, body: Body) -> None:
    try:
        parts = await request.multipart()
        for _ in range(MAX_PARTS):
            part = await _within_idle_timeout(parts.next())
            if part is None:
                return
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise syntax_error("A form's part has no name")
            await _read_part(body, part)
    except (ValueError, BadHttpMessage) as broken:
        raise syntax_error(f"The form cannot be read: {broken}") from None
    raise too_large(f"The form has more than {MAX_PARTS} parts")


async def _read_part(body: Body, part: BodyPartReader) -> None:
    assert part.name is not None
    data = bytearray()
    while chunk := await _within_idle_timeout(part.read_chunk(CHUNK_BYTES)):
        _check_size(body.share.in_memory + len(chunk), body.caps.in_memory)
        body.share.reserve(len(chunk))
        data += chunk
    if part.filename is not None:
        body.files[part.name] = bytes(data)
    elif part.name == "query":
        body.head += data
    else:
        body.parameters[part.name] = data.decode()


async def _within_idle_timeout(pending: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(IDLE_TIMEOUT_SECONDS):
            return await pending
    except TimeoutError:
        text = f"The client sent nothing for {IDLE_TIMEOUT_SECONDS:.0f} seconds"
        raise EngineError.of(159, "TIMEOUT_EXCEEDED", text) from None


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise too_large(f"The request's body is larger than {most} bytes")
