"""Parquet with the log: records with the columns `key` and `value`, perhaps `partition` and `offset`; or events, with a
column per attribute and `data` as JSON or as a structure. Needs the extra `parquet`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.primitives import to_rfc3339
from services.scoring.flow.replay.files import FileRecord
from services.scoring.flow.replay.source import ReplaySourceError

ROWS_AT_ONCE = 10_000
AS_RECORD, AS_EVENT = {"key", "value"}, {"source", "id", "type", "time", "recordedtime", "tenant", "data"}


def parquet_records(file: Path) -> Iterator[FileRecord]:
    """Raises ReplaySourceError."""
    try:
        with pq.ParquetFile(file) as opened:
            names = set(opened.schema_arrow.names)
            if not names >= AS_RECORD and not names >= AS_EVENT:
                raise ReplaySourceError(
                    f"{file}: has the columns {', '.join(sorted(names))}; it needs {', '.join(sorted(AS_RECORD))}, "
                    f"or {', '.join(sorted(AS_EVENT))}"
                )
            read = _as_record if names >= AS_RECORD else _as_event
            for batch in opened.iter_batches(ROWS_AT_ONCE):
                yield from map(read, batch.to_pylist())
    except (OSError, pa.ArrowException) as broken:
        raise ReplaySourceError(f"{file}: cannot be read: {broken}") from broken


def _as_record(row: dict[str, Any]) -> FileRecord:
    key, value = _bytes(row["key"]), _bytes(row["value"])
    return FileRecord(key.decode(errors="replace") or None, value, row.get("partition"), row.get("offset"))


def _bytes(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _as_event(row: dict[str, Any]) -> FileRecord:
    """Attributes that a row leaves empty are not there."""
    event = {name: _plain(value) for name, value in row.items() if value is not None}
    if isinstance(event["data"], str):
        event["data"] = json.loads(event["data"])
    return FileRecord(event.get("partitionkey"), json.dumps(event).encode())


def _plain(value: object) -> Any:  # noqa: ANN401 (JSON)
    """Structures of Parquet have all their fields in every row."""
    match value:
        case datetime():
            return to_rfc3339(value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
        case dict():
            return {name: _plain(item) for name, item in value.items() if item is not None}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
