"""Streams results from the engine chunk by chunk, so that a long result needs little memory."""

import asyncio
import secrets
from contextlib import ExitStack

from aiohttp import web

from deploy.local.clickhouse.answer import QueryContext, content_type, short_summary
from deploy.local.clickhouse.compression import Packer
from deploy.local.clickhouse.errors import EngineError

# No header is sent before this much is read: an early error still gets its proper status.
FIRST_CHUNK_BYTES = 1 << 16
WRITE_TIMEOUT_SECONDS = 60.0  # for one chunk
UNSUPPORTED = "Streaming query is not supported"  # SHOW POLICIES and the like


class Chunks:
    """An open result. Blocking: `open`, `next` and `close` run on the engine's threads."""

    def __init__(self, context: QueryContext) -> None:
        self._asked = context
        self._opened = ExitStack()
        self.first = b""
        self.ended = False

    def open(self, sql: bytes, fmt: str) -> None:
        """Read the first chunk; close the result if that fails or was all."""
        try:
            lease = self._opened.enter_context(self._asked.lease())
            self._stream = lease.handle.send_query(sql, fmt, self._asked.job.binds)
            self._opened.callback(self._stream.close)
            while len(self.first) < FIRST_CHUNK_BYTES and (chunk := self.next()):
                self.first += chunk
        except BaseException:
            self.close()
            raise
        if self.ended:
            self.close()

    def next(self) -> bytes:
        """Return an empty chunk at the end."""
        chunk = next(self._stream, None)
        self.ended = chunk is None
        return b"" if chunk is None else chunk.bytes() or b""

    def close(self) -> None:
        """Idempotent."""
        self._opened.close()


async def answer_streamed(context: QueryContext, sql: bytes, fmt: str, packer: Packer) -> web.StreamResponse | None:
    """Return None when the engine cannot stream this statement."""
    chunks = Chunks(context)
    try:
        await context.run(lambda: chunks.open(sql, fmt))
    except EngineError as failed:
        if UNSUPPORTED in failed.message:
            return None
        raise
    except asyncio.CancelledError:
        await asyncio.shield(context.run(chunks.close))
        raise
    headers = context.headers | {"X-ClickHouse-Format": fmt, "Content-Type": content_type(fmt)}
    if packer.encoding and chunks.first:
        headers["Content-Encoding"] = packer.encoding
    if not chunks.ended:
        return await _stream_rest(context, chunks, headers, packer)
    headers["X-ClickHouse-Summary"] = short_summary(context.began_ns)
    return web.Response(body=packer.pack(chunks.first) + packer.finish() if chunks.first else b"", headers=headers)


async def _stream_rest(
    context: QueryContext, chunks: Chunks, headers: dict[str, str], packer: Packer
) -> web.StreamResponse:
    tag = headers["X-ClickHouse-Exception-Tag"] = secrets.token_hex(8)
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(context.http)
        await _write(response, packer.pack(chunks.first))
        try:
            while not chunks.ended:
                await _write(response, packer.pack(await context.run(chunks.next)))
        except EngineError as failed:
            await _write(response, packer.pack(_exception_block(failed, tag)))
        await _write(response, packer.finish())
        await response.write_eof()
    finally:
        await asyncio.shield(context.run(chunks.close))
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Raises TimeoutError: a client that reads nothing would hold a statement and its memory forever."""
    async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
        await response.write(data)


def _exception_block(failed: EngineError, tag: str) -> bytes:
    """How a server ends a broken response after its headers: src/Server/HTTP/WriteBufferFromHTTPServerResponse.cpp."""
    message = failed.message.encode() + b"\n"
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )
