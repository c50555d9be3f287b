"""The SQL text of a request: the URL's query, then the body, of which the beginning is enough to tell an INSERT."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web

from deploy.local.clickhouse.compression import Unpacker
from deploy.local.clickhouse.errors import syntax_error, too_large

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16


@dataclass
class Body:
    """`head` is the text read so far; `rest` gives the remaining chunks, unpacked, and fails beyond `limit` bytes."""

    head: bytes
    chunks: AsyncIterator[bytes] | None = None
    limit: int = 0
    parameters: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    async def rest(self) -> AsyncIterator[bytes]:
        size = self._within_limit(len(self.head))
        if self.chunks is None:
            return
        async for chunk in self.chunks:
            size = self._within_limit(size + len(chunk))
            yield chunk

    async def text(self) -> bytes:
        """The whole statement."""
        return self.head + b"".join([chunk async for chunk in self.rest()])

    def _within_limit(self, size: int) -> int:
        if size > self.limit:
            raise too_large(f"The request's body is larger than {self.limit} bytes")
        return size


async def read_body(request: web.Request, limit: int) -> Body:
    """Reads the head of a plain body, and the whole of a form (external tables, parameters)."""
    query = request.query.get("query", "").encode()
    if request.content_type == "multipart/form-data":
        return await _form(request, query, limit)
    chunks = _unpacked(request, Unpacker(request.headers.get("Content-Encoding", "")))
    body = Body(query + (b"\n" if query and request.can_read_body else b""), chunks, limit)
    async for chunk in chunks:
        body.head += chunk
        if len(body.head) > HEAD_BYTES:
            break
    return body


async def _unpacked(request: web.Request, unpacker: Unpacker) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
        if data := unpacker.unpack(chunk):
            yield data


async def _form(request: web.Request, query: bytes, limit: int) -> Body:
    body = Body(query, limit=limit)
    size = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise syntax_error("A form's part has no name")
        data = bytes(await part.read(decode=False))
        size += len(data)
        if size > limit:
            raise too_large(f"The form is larger than {limit} bytes")
        _take_part(body, part, data)
    return body


def _take_part(body: Body, part: BodyPartReader, data: bytes) -> None:
    assert part.name is not None
    if part.filename is not None:
        body.files[part.name] = data
    elif part.name == "query":
        body.head += data
    else:
        body.parameters[part.name] = data.decode()
