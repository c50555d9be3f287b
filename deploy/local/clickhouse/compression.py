"""Compression of HTTP bodies with gzip, deflate, zstd and lz4, in both directions."""

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
from backports import zstd

from deploy.local.clickhouse.errors import EngineError

OFFERED = ("lz4", "zstd", "gzip")  # fastest first
PIECE_BYTES = 1 << 20
WINDOW_LOG = 23  # 8 MiB: what RFC 8878 recommends that every decoder accepts; a frame may ask for 2 GiB
FASTEST = 1  # level: on loopback the CPU is the bottleneck


class Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Deflater(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Unpacker:
    """Decompresses a request body piece by piece; it may consist of several frames, as clients send one per block of
    rows."""

    def __init__(self, encoding: str) -> None:
        """`encoding` is empty for a plain body. Raises `EngineError` for an unknown one."""
        self._encoding = encoding
        self._make = _inflater(encoding)
        self._inflater = self._make() if self._make else None

    @property
    def plain(self) -> bool:
        return self._make is None

    def unpack(self, chunk: bytes) -> tuple[bytes, bytes | None]:
        """Return at most PIECE_BYTES of the decompressed `chunk`, and what to pass next to get more; None when there is
        no more.

        98 KB of zstd can hold 6.5 GB: the caller must be able to stop after each piece.
        """
        if self._make is None or self._inflater is None:
            return chunk, None
        try:
            piece = self._inflater.decompress(chunk, PIECE_BYTES)
        except (zlib.error, zstd.ZstdError, RuntimeError, EOFError, MemoryError) as broken:
            text = f"Cannot decompress a {self._encoding} body: {broken}"
            raise EngineError.of(271, "CANNOT_DECOMPRESS", text) from None
        if self._inflater.eof:
            rest = self._inflater.unused_data or b""
            self._inflater = self._make()
            return piece, rest or None
        return piece, None if self._inflater.needs_input else b""


class _ZlibInflater:
    """zlib keeps unprocessed input in a separate attribute."""

    def __init__(self, window: int) -> None:
        self._object = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._full and not self._object.unconsumed_tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        piece = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        self._full = len(piece) == max_length
        return piece


class Packer:
    """Compresses a response body chunk by chunk; `finish` returns the end."""

    def __init__(self, encoding: str) -> None:
        """`encoding` as `accepted` returns it: empty for a plain body."""
        self.encoding = encoding
        self._deflater = _deflater(encoding)

    def pack(self, chunk: bytes) -> bytes:
        return chunk if self._deflater is None else self._deflater.compress(chunk)

    def finish(self) -> bytes:
        return b"" if self._deflater is None else self._deflater.flush()


def accepted(header: str) -> str:
    """Return the first of `OFFERED` that an Accept-Encoding header names, or an empty string."""
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
            return lambda: _ZlibInflater(zlib.MAX_WBITS | 16)
        case "deflate":
            return lambda: _ZlibInflater(zlib.MAX_WBITS)
        case "zstd":
            return lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})
        case "lz4":
            make: Callable[[], Inflater] = lz4.frame.LZ4FrameDecompressor
            return make
        case _:
            raise EngineError.of(48, "NOT_IMPLEMENTED", f"Unknown HTTP content encoding: {encoding[:40]}")


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
