"""JSONL with the log: an event per line as it stands there, or a record `{"key": ..., "value": ...}`, perhaps with its
`partition` and `offset` (kcat -J says `payload` instead of `value`)."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from services.scoring.flow.replay.files import FileRecord
from services.scoring.flow.replay.source import ReplaySourceError

_KEY = re.compile(rb'"partitionkey"\s*:\s*"([^"\\]+)"')
VALUES = ("value", "payload")


def jsonl_records(file: Path) -> Iterator[FileRecord]:
    """Blank lines are passed over. Raises ReplaySourceError."""
    try:
        with _opened(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _record(line, f"{file}: line {number}")
    except (OSError, EOFError, zlib.error) as broken:
        raise ReplaySourceError(f"{file}: cannot be read: {broken}") from broken


def _opened(file: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(file) if file.suffix == ".gz" else file.open("rb"))


def _record(line: bytes, place: str) -> FileRecord:
    # As we write events ourselves: the key is all that is needed here, the rest is decoded later, by all cores.
    key = _KEY.search(line) if line.startswith(b'{"specversion"') else None
    if key:
        return FileRecord(key[1].decode(errors="replace"), line)
    try:
        said = json.loads(line)
    except ValueError as broken:
        raise ReplaySourceError(f"{place}: is no JSON: {broken}") from broken
    if not isinstance(said, dict):
        raise ReplaySourceError(f"{place}: must be an object")
    name = next((name for name in VALUES if name in said), None)
    return _event(said, line, place) if name is None else _wrapped(said, said[name], place)


def _event(said: dict[str, Any], line: bytes, place: str) -> FileRecord:
    key = _text(said.get("partitionkey"), f"{place}: partitionkey")
    if key is None and said.get("type") != "mentoring.clock.reached.v1":
        raise ReplaySourceError(f"{place}: has no partitionkey: events must be as they stand on the log")
    return FileRecord(key, line)


def _wrapped(said: dict[str, Any], value: object, place: str) -> FileRecord:
    raw = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    numbers = [said.get(number) for number in ("partition", "offset")]
    if not all(number is None or (isinstance(number, int) and number >= 0) for number in numbers):
        raise ReplaySourceError(f"{place}: partition and offset must be whole numbers")
    return FileRecord(_text(said.get("key"), f"{place}: key"), raw.encode(), *numbers)


def _text(value: object, place: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ReplaySourceError(f"{place}: must be text")
    return value or None
