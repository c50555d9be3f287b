"""HTTP bodies in gzip, deflate, zstd and lz4, both ways."""

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
from backports import zstd

from deploy.local.clickhouse.errors import ClickHouseError

OFFERED = ("lz4", "zstd", "gzip")  # fastest first
FASTEST = 1  # level: loopback is quick, the processor is not


class Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class Deflater(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Unpacker:
    """A request body chunk by chunk; frames may follow each other, as clients send one per block of rows."""

    def __init__(self, encoding: str) -> None:
        """`encoding` is empty for a plain body. Raises `ClickHouseError` for an unknown one."""
        self._encoding = encoding
        self._make = _inflater(encoding)
        self._inflater = self._make() if self._make else None

    def unpack(self, chunk: bytes) -> bytes:
        if self._make is None:
            return chunk
        out = bytearray()
        while chunk:
            out += self._decompress(chunk)
            chunk = self._rest()
        return bytes(out)

    def _decompress(self, chunk: bytes) -> bytes:
        assert self._inflater is not None
        try:
            return self._inflater.decompress(chunk)
        except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as broken:
            text = f"Cannot decompress a {self._encoding} body: {broken}"
            raise ClickHouseError.of(271, "CANNOT_DECOMPRESS", text) from None

    def _rest(self) -> bytes:
        assert self._inflater is not None
        assert self._make is not None
        if not self._inflater.eof:
            return b""
        rest = self._inflater.unused_data or b""
        self._inflater = self._make()
        return rest


class Packer:
    """A response body chunk by chunk; `finish` gives the end."""

    def __init__(self, encoding: str) -> None:
        """`encoding` as `accepted` gives it: empty for a plain body."""
        self.encoding = encoding
        self._deflater = _deflater(encoding)

    def pack(self, chunk: bytes) -> bytes:
        return chunk if self._deflater is None else self._deflater.compress(chunk)

    def finish(self) -> bytes:
        return b"" if self._deflater is None else self._deflater.flush()


def accepted(header: str) -> str:
    """The first of `OFFERED` that an Accept-Encoding header names, or an empty string."""
    named = {entry.split(";")[0].strip() for entry in header.split(",")}
    return next((encoding for encoding in OFFERED if encoding in named), "")


class _Lz4Deflater:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._head: bytes = self._frame.begin()

    def compress(self, data: bytes, /) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.flush())


def _inflater(encoding: str) -> Callable[[], Inflater] | None:
    match encoding:
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return lambda: zlib.decompressobj(31)
        case "deflate":
            return zlib.decompressobj
        case "zstd":
            return zstd.ZstdDecompressor
        case "lz4":
            return lambda: _typed(lz4.frame.LZ4FrameDecompressor())
        case _:
            raise ClickHouseError.of(48, "NOT_IMPLEMENTED", f"Unknown HTTP content encoding: {encoding}")


def _typed(inflater: Inflater) -> Inflater:
    return inflater


def _deflater(encoding: str) -> Deflater | None:
    match encoding:
        case "gzip":
            return zlib.compressobj(FASTEST, zlib.DEFLATED, 31)
        case "zstd":
            return zstd.ZstdCompressor(level=FASTEST)
        case "lz4":
            return _Lz4Deflater()
        case _:
            return None
