"""Reads records whose header names are no UTF-8. The broker takes them from any client, and kafka-python (3.0.12) then
raises at every poll, for ever: one such record would stop its partition."""

from typing import Any

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint


class TolerantBatch(DefaultRecordBatch):  # type: ignore[misc]
    r"""Bytes of a header's name that are no UTF-8 are shown as \xNN. All else is kafka-python's own."""

    __slots__ = ()

    def _read_msg(self, decode_varint: Any = decode_varint) -> Any:  # noqa: ANN401 (kafka-python's, which has no types)
        try:
            return super()._read_msg(decode_varint)
        except UnicodeDecodeError:
            return self._read_escaped()

    def _read_escaped(self) -> DefaultRecord:
        """The same record once more; the position has not moved, and its structure has been found to be sound up to
        the name."""
        length, start = decode_varint(self._buffer, self._pos)  # type: ignore[has-type]
        _attributes, at = decode_varint(self._buffer, start)
        ahead, at = decode_varint(self._buffer, at)
        delta, at = decode_varint(self._buffer, at)
        key, at = self._octets(at)
        value, at = self._octets(at)
        count, at = decode_varint(self._buffer, at)
        headers = []
        for _ in range(count):
            name, at = self._octets(at)
            said, at = self._octets(at)
            headers.append(((name or b"").decode("utf-8", "backslashreplace"), said))
        if at - start != length:
            raise ValueError(f"a record of {length} bytes has {at - start}")
        self._pos = at  # type: ignore[misc]  # a slot of the base class
        time = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else self.first_timestamp + ahead
        return DefaultRecord(length, self.base_offset + delta, time, self.timestamp_type, key, value, headers)

    def _octets(self, at: int) -> tuple[bytes | None, int]:
        length, at = decode_varint(self._buffer, at)
        return (None, at) if length < 0 else (bytes(self._buffer[at : at + length]), at + length)


def read_any_header_name() -> None:
    """For every consumer of this process, from the next fetch on: kafka-python has no setting for it."""
    memory_records.DefaultRecordBatch = TolerantBatch
