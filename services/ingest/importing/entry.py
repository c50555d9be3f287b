"""The lines of the input, the entry that each line becomes (messages to send, how to report it), and the checkpoint of
an import."""

import gzip
import io
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Self, cast

from services.ingest.domain.cloudevents import read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.gateway.requests import STATUS, error_entries
from services.ingest.importing.sender import EVENTS_ENDPOINT, Endpoint, ImportAnswer, ImportStoppedError
from services.ingest.sources.tables import MAX_BYTES, NON_CSV_SIGNATURES, Line

STDIN = Path("-")
BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class LineReader:
    """A context manager that iterates over all lines, including blank ones. Lines in UTF-16, or in any `encoding` whose
    line break takes more than one byte, are converted to UTF-8; all others are yielded unchanged."""

    def __init__(self, file: Path, encoding: str | None = None) -> None:
        self._file, self._encoding = file, encoding
        self._open = ExitStack()
        self._raw: BinaryIO = sys.stdin.buffer
        self.size: int | None = None

    def __enter__(self) -> Self:
        """Raises ImportStoppedError when the file is not text."""
        if self._file != STDIN:
            opened = self._open.enter_context(self._file.open("rb"))
            head = opened.peek(8)
            if kind := next((words for mark, words in NON_CSV_SIGNATURES.items() if head.startswith(mark)), None):
                self._open.close()
                raise ImportStoppedError(f"{self._file} is {kind}")
            self._raw, self.size = opened, self._file.stat().st_size
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def position(self) -> int:
        """Return how many bytes of the file are read, at most `size`."""
        return self._raw.tell() if self.size is not None else 0

    def __iter__(self) -> Iterator[Line]:
        """Raises ImportStoppedError when the file is truncated, or when its content does not match its suffix."""
        unpacked = gzip.GzipFile(fileobj=self._raw) if self._file.suffix == ".gz" else self._raw
        number = 0
        try:
            for text in _raw_lines(unpacked, self._encoding):
                number += 1
                if number == 1 and text.startswith(GZIP):
                    raise ImportStoppedError("the file is gzipped: call it .gz")
                yield Line(number, (text.removeprefix(BOM) if number == 1 else text).rstrip(b"\r\n"))
        except UnicodeError as broken:
            raise ImportStoppedError(f"{self._file} cannot be read on after line {number}: {broken}") from broken
        except (OSError, EOFError, zlib.error) as broken:
            raise ImportStoppedError(f"{self._file} cannot be read on: {broken}") from broken


def _raw_lines(unpacked: BinaryIO | gzip.GzipFile, encoding: str | None) -> Iterator[bytes]:
    begin = unpacked.peek(len(GZIP))[: len(GZIP)] if isinstance(unpacked, io.BufferedReader | gzip.GzipFile) else b""
    wide = "utf-16" if begin in UTF_16 else encoding if encoding and "\n".encode(encoding) != b"\n" else None
    if wide is None:
        while text := (rest := unpacked.readline(MAX_BYTES + 1)):
            # Skip the rest of a line that exceeds the maximum.
            while len(rest) > MAX_BYTES and not rest.endswith(b"\n"):
                rest = unpacked.readline(MAX_BYTES + 1)
            yield text
        return
    # Only LF ends a line: the cells of a row may contain any other line break.
    read = io.TextIOWrapper(cast("BinaryIO", unpacked), wide, newline="\n")
    try:
        while line := read.readline(MAX_BYTES):
            yield line.encode()
    finally:
        read.detach()  # else it would close the file whose position others still read


MAX_MESSAGES = 200


@dataclass(frozen=True)
class ImportEntry:
    """What one input line becomes. `messages` are JSON texts; a line that cannot be sent has none, and a `refusal`
    instead. `times` are the event times as written. `column` maps a path of a message to the column of the table that
    it comes from, or to an empty string. `original` is the key under which the report holds the line. `relationship` is
    the relationship that the line refers to without declaring it. `input` is the index of the input file."""

    line: Line
    messages: tuple[bytes, ...] = ()
    refusal: ImportAnswer | None = None
    times: tuple[str, ...] = ()
    column: Callable[[str], str] = lambda _: ""
    original: str = "event"
    endpoint: Endpoint = EVENTS_ENDPOINT
    relationship: str = ""
    input: int = 0

    @property
    def size(self) -> int:
        return sum(len(message) + 1 for message in self.messages)


def rejection_answer(rejected: Rejected) -> ImportAnswer:
    """Return the answer that the gateway would give."""
    return ImportAnswer(STATUS[rejected.reason], rejected.reason, error_entries(rejected.errors))


def batches(entries: Iterable[ImportEntry]) -> Iterator[list[ImportEntry]]:
    """Yield batches in input order, each within the size limits of one request."""
    batch: list[ImportEntry] = []
    messages = size = 0
    for entry in entries:
        # A rejected line counts as well, so that a file of rejected lines only is reported in batches, too.
        weight = max(1, len(entry.messages))
        is_full = messages + weight > MAX_MESSAGES or size + entry.size > MAX_BYTES
        if batch and (is_full or entry.endpoint is not batch[0].endpoint):
            yield batch
            batch, messages, size = [], 0, 0
        batch.append(entry)
        messages += weight
        size += entry.size
    if batch:
        yield batch


def event_entry(line: Line) -> ImportEntry:
    """Parse one line of JSON, so that a line which would make the gateway refuse the whole request is rejected by
    itself."""
    text = line.text.strip()
    if len(text) > MAX_BYTES:
        words = f"an event has at most {MAX_BYTES} bytes"
        return ImportEntry(line, refusal=rejection_answer(rejected("too_large", "", words)))
    parsed = read_json(text)
    if isinstance(parsed, Rejected):
        return ImportEntry(line, refusal=rejection_answer(parsed))
    time = parsed.value.get("time") if isinstance(parsed.value, dict) else None
    return ImportEntry(line, (text,), times=(time,) if isinstance(time, str) else ())


# A killed run repeats what it did since the last save, which is harmless.
SAVED_EVERY_SECONDS = 1.0


class Checkpoint:
    """The last line up to which everything is processed. `file` None stores nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._digest = blake2b(digest_size=16)
        self._saved = 0.0
        self.line = 0

    @property
    def exists(self) -> bool:
        """Whether an earlier run stored a checkpoint."""
        return self._file is not None and self._file.exists()

    def remaining(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield the lines after the checkpoint. Raises ImportStoppedError when the lines before it have changed."""
        ahead = iter(lines)
        until, digest = self._load()
        while self.line < until and (line := next(ahead, None)):
            self._include(line)
        if until and (self.line, self._digest.hexdigest()) != (until, digest):
            raise ImportStoppedError("the input has changed since: run it without --resume, a repeat is harmless")
        yield from ahead

    def advance(self, batch: Iterable[ImportEntry]) -> None:
        for entry in batch:
            self._include(entry.line)
        if time.monotonic() - self._saved >= SAVED_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        if self._file is None or not self.line:
            return
        temporary = self._file.with_name(f"{self._file.name}.new")
        temporary.write_text(json.dumps({"line": self.line, "digest": self._digest.hexdigest()}) + "\n")
        os.replace(temporary, self._file)  # noqa: PTH105 (atomic)
        self._saved = time.monotonic()

    def delete(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _load(self) -> tuple[int, str]:
        if self._file is None or not self._file.exists():
            return 0, ""
        try:
            position = json.loads(self._file.read_text())
            return int(position["line"]), str(position["digest"])
        except (ValueError, KeyError, TypeError) as broken:
            raise ImportStoppedError(f"{self._file} cannot be read: run it without --resume") from broken

    def _include(self, line: Line) -> None:
        self._digest.update(b"%d\0%d\0" % (line.number, len(line.text)))
        self._digest.update(line.text)
        self.line = line.number
