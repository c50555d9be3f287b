"""The lines of a JSONL file, plain or gzipped, or of standard input, and batches of them."""

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from services.ingest.importing.stopped import ImportStoppedError

STDIN = Path("-")
BOM = b"\xef\xbb\xbf"
# A request of the gateway has at most 1 MiB; half of it keeps requests short.
MOST_EVENTS = 200
MOST_BYTES = 512 * 1024


@dataclass(frozen=True)
class Line:
    """`number` counts from 1; `text` is without the line's end."""

    number: int
    text: bytes


class LinesFile:
    """A context manager; iterates over the lines that are not blank."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open = ExitStack()
        self._raw: BinaryIO = sys.stdin.buffer
        self.size: int | None = None

    def __enter__(self) -> Self:
        if self._file != STDIN:
            self._raw = self._open.enter_context(self._file.open("rb"))
            self.size = self._file.stat().st_size
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def position(self) -> int:
        """Bytes of the file that are read, of at most `size`."""
        return self._raw.tell() if self.size is not None else 0

    def __iter__(self) -> Iterator[Line]:
        """Raises ImportStoppedError when the file breaks off or is not what its name says."""
        unpacked = gzip.GzipFile(fileobj=self._raw) if self._file.suffix == ".gz" else self._raw
        try:
            for number, text in enumerate(unpacked, 1):
                stripped = (text.removeprefix(BOM) if number == 1 else text).strip()
                if stripped:
                    yield Line(number, stripped)
        except (OSError, EOFError, zlib.error) as broken:
            raise ImportStoppedError(f"{self._file} cannot be read on: {broken}") from broken


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """In order; each within what one request may hold, as long as every line is."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == MOST_EVENTS or size + len(line.text) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.text) + 1
    if batch:
        yield batch
