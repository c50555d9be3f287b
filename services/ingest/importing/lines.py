"""The lines of a file, plain or gzipped, or of standard input. However long a line is, little of it is in memory."""

import gzip
import json
import os
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Self

from services.ingest.importing.entry import ImportEntry
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


# A run that is killed repeats what it did since then, which is harmless.
SAVED_EVERY_SECONDS = 1.0


class Checkpoint:
    """Everything up to a line is dealt with. `file` None keeps nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._digest = blake2b(digest_size=16)
        self._saved = 0.0
        self.line = 0

    @property
    def is_known(self) -> bool:
        """Whether an earlier run left off somewhere."""
        return self._file is not None and self._file.exists()

    def skipped(self, lines: Iterable[Line]) -> Iterator[Line]:
        """The lines that are left. Raises ImportStoppedError when those before are not what they were."""
        ahead = iter(lines)
        until, digest = self._kept()
        while self.line < until and (line := next(ahead, None)):
            self._pass(line)
        if until and (self.line, self._digest.hexdigest()) != (until, digest):
            raise ImportStoppedError("the input has changed since: run it without --resume, a repeat is harmless")
        yield from ahead

    def reached(self, batch: Iterable[ImportEntry]) -> None:
        for entry in batch:
            self._pass(entry.line)
        if time.monotonic() - self._saved >= SAVED_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        if self._file is None or not self.line:
            return
        beside = self._file.with_name(f"{self._file.name}.new")
        beside.write_text(json.dumps({"line": self.line, "digest": self._digest.hexdigest()}) + "\n")
        os.replace(beside, self._file)  # noqa: PTH105 (whole or not at all)
        self._saved = time.monotonic()

    def forget(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _kept(self) -> tuple[int, str]:
        if self._file is None or not self._file.exists():
            return 0, ""
        try:
            kept = json.loads(self._file.read_text())
            return int(kept["line"]), str(kept["digest"])
        except (ValueError, KeyError, TypeError) as broken:
            raise ImportStoppedError(f"{self._file} cannot be read: run it without --resume") from broken

    def _pass(self, line: Line) -> None:
        self._digest.update(b"%d\0%d\0" % (line.number, len(line.text)))
        self._digest.update(line.text)
        self.line = line.number
