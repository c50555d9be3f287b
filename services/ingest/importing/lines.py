"""The lines of a file, plain or gzipped, or of standard input. However long a line is, little of it is in memory."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from services.ingest.importing.sender import ImportStoppedError

STDIN = Path("-")
BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A request of the gateway has at most 1 MiB; half of it keeps requests short.
MOST_BYTES = 512 * 1024


@dataclass(frozen=True)
class Line:
    """`number` counts from 1; `text` is without the line's end, and cut if it has more than MOST_BYTES. A row of a
    table whose cells hold line breaks is one Line of several."""

    number: int
    text: bytes


class LinesFile:
    """A context manager; iterates over all lines, blank ones too."""

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
        number = 0
        try:
            while text := _bounded(unpacked):
                number += 1
                yield Line(number, (_begin(text) if number == 1 else text).rstrip(b"\r\n"))
        except (OSError, EOFError, zlib.error) as broken:
            raise ImportStoppedError(f"{self._file} cannot be read on: {broken}") from broken


def _bounded(unpacked: BinaryIO | gzip.GzipFile) -> bytes:
    """The next line; of a longer one than MOST_BYTES the rest is read over."""
    text = rest = unpacked.readline(MOST_BYTES + 1)
    while len(rest) > MOST_BYTES and not rest.endswith(b"\n"):
        rest = unpacked.readline(MOST_BYTES + 1)
    return text


def _begin(text: bytes) -> bytes:
    if text.startswith(UTF_16):
        raise ImportStoppedError("the file is UTF-16: save it as UTF-8")
    if text.startswith(GZIP):
        raise ImportStoppedError("the file is gzipped: call it .gz")
    return text.removeprefix(BOM)
