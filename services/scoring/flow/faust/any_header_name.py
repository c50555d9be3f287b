"""Reads records whose header names are no UTF-8. The broker takes them from any client, and aiokafka (0.14) then raises
at every fetch, for ever: one such record on the log or in the changelog would stop all scoring."""

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from services.scoring.flow.faust.scheduler import Untyped

_LENGTH = struct.Struct(">i")
_LENGTH_AT, _AFTER_LENGTH = 8, 12


def read_any_header_name() -> None:
    """For every consumer of this process, from the next fetch on: aiokafka has no setting for it."""
    fetcher.MemoryRecords = AnyRecords


class AnyRecords:
    """What a fetch brought, batch by batch, as aiokafka's fetcher asks for it."""

    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0
        self._fast = MemoryRecords(octets)

    def size_in_bytes(self) -> int:
        return int(self._fast.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._fast.has_next())

    def next_batch(self) -> "AnyBatch":
        (length,) = _LENGTH.unpack_from(self._octets, self._at + _LENGTH_AT)
        begin, self._at = self._at, self._at + _AFTER_LENGTH + length
        return AnyBatch(self._fast.next_batch(), memoryview(self._octets)[begin : self._at])


class AnyBatch:
    """aiokafka's own compiled batch; another one where that cannot read a header's name."""

    def __init__(self, fast: Untyped, octets: memoryview) -> None:
        self._fast, self._octets = fast, octets

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a batch of aiokafka has)
        return getattr(self._fast, name)

    def __iter__(self) -> Iterator[Untyped]:
        try:
            yield from self._fast
        except UnicodeDecodeError:
            # From its beginning: the fetcher passes over the offsets that it has seen.
            yield from BatchWithoutHeaders(self._octets)


class BatchWithoutHeaders(_DefaultRecordBatchPy):  # type: ignore[misc]  # there is no other way to its structure
    """Of a record whose headers cannot be read there are none: nothing here looks at headers."""

    def _read_msg(self, decode_varint: Any = decode_varint) -> _DefaultRecordPy:  # noqa: ANN401
        try:
            return super()._read_msg(decode_varint)
        except UnicodeDecodeError:
            return self._read_without()

    def _read_without(self) -> _DefaultRecordPy:
        length, start = decode_varint(self._buffer, self._pos)  # type: ignore[has-type]
        _attributes, at = decode_varint(self._buffer, start)
        ahead, at = decode_varint(self._buffer, at)
        delta, at = decode_varint(self._buffer, at)
        key, at = self._field(at)
        value, _ = self._field(at)
        self._pos = start + length
        time = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else self.first_timestamp + ahead
        return _DefaultRecordPy(self.base_offset + delta, time, self.timestamp_type, key, value, [])

    def _field(self, at: int) -> tuple[bytes | None, int]:
        length, at = decode_varint(self._buffer, at)
        return (None, at) if length < 0 else (bytes(self._buffer[at : at + length]), at + length)
