"""The lines of the input, what one asks for (the messages to send, how to tell of them), and how far a run came."""

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
from services.ingest.sources.tables import MOST_BYTES, NO_TEXT, Line

STDIN = Path("-")
BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class LinesFile:
    """A context manager; iterates over all lines, blank ones too. Lines of UTF-16, and of every `encoding` whose line
    breaks are longer than a byte, come as UTF-8; all others as they are."""

    def __init__(self, file: Path, encoding: str | None = None) -> None:
        self._file, self._encoding = file, encoding
        self._open = ExitStack()
        self._raw: BinaryIO = sys.stdin.buffer
        self.size: int | None = None

    def __enter__(self) -> Self:
        """Raises ImportStoppedError when it is no text."""
        if self._file != STDIN:
            opened = self._open.enter_context(self._file.open("rb"))
            head = opened.peek(8)
            if kind := next((words for mark, words in NO_TEXT.items() if head.startswith(mark)), None):
                self._open.close()
                raise ImportStoppedError(f"{self._file} is {kind}")
            self._raw, self.size = opened, self._file.stat().st_size
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
            for text in _texts(unpacked, self._encoding):
                number += 1
                if number == 1 and text.startswith(GZIP):
                    raise ImportStoppedError("the file is gzipped: call it .gz")
                yield Line(number, (text.removeprefix(BOM) if number == 1 else text).rstrip(b"\r\n"))
        except UnicodeError as broken:
            raise ImportStoppedError(f"{self._file} cannot be read on after line {number}: {broken}") from broken
        except (OSError, EOFError, zlib.error) as broken:
            raise ImportStoppedError(f"{self._file} cannot be read on: {broken}") from broken


def _texts(unpacked: BinaryIO | gzip.GzipFile, encoding: str | None) -> Iterator[bytes]:
    begin = unpacked.peek(len(GZIP))[: len(GZIP)] if isinstance(unpacked, io.BufferedReader | gzip.GzipFile) else b""
    wide = "utf-16" if begin in UTF_16 else encoding if encoding and "\n".encode(encoding) != b"\n" else None
    if wide is None:
        while text := (rest := unpacked.readline(MOST_BYTES + 1)):
            # Of a line that is longer than any may be the rest is read over.
            while len(rest) > MOST_BYTES and not rest.endswith(b"\n"):
                rest = unpacked.readline(MOST_BYTES + 1)
            yield text
        return
    # No other line break than LF: the cells of a row may hold any.
    read = io.TextIOWrapper(cast("BinaryIO", unpacked), wide, newline="\n")
    try:
        while line := read.readline(MOST_BYTES):
            yield line.encode()
    finally:
        read.detach()  # it would close what others still ask for its position


MOST_MESSAGES = 200


@dataclass(frozen=True)
class ImportEntry:
    """`messages` are JSON texts; one that cannot be sent at all has none, and its `refusal` instead. `times`: when what
    it tells happened, as it is written. `column` says from which column of a table a path of a message comes; empty if
    from none. `original` is how the report calls the line. `relationship` that it speaks of, and that others have
    declared. `input` is which of the files it comes from."""

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


def refusal(rejected: Rejected) -> ImportAnswer:
    """As the gateway would answer."""
    return ImportAnswer(STATUS[rejected.reason], rejected.reason, error_entries(rejected.errors))


def batches(entries: Iterable[ImportEntry]) -> Iterator[list[ImportEntry]]:
    """In order; each within what one request may hold."""
    batch: list[ImportEntry] = []
    messages = size = 0
    for entry in entries:
        # One that is refused weighs too: a file of nothing else is told of in portions as well.
        weight = max(1, len(entry.messages))
        is_full = messages + weight > MOST_MESSAGES or size + entry.size > MOST_BYTES
        if batch and (is_full or entry.endpoint is not batch[0].endpoint):
            yield batch
            batch, messages, size = [], 0, 0
        batch.append(entry)
        messages += weight
        size += entry.size
    if batch:
        yield batch


def event_entry(line: Line) -> ImportEntry:
    """Tells lines that can be sent together from those that would break the request for the others."""
    text = line.text.strip()
    if len(text) > MOST_BYTES:
        words = f"an event has at most {MOST_BYTES} bytes"
        return ImportEntry(line, refusal=refusal(rejected("too_large", "", words)))
    parsed = read_json(text)
    if isinstance(parsed, Rejected):
        return ImportEntry(line, refusal=refusal(parsed))
    time = parsed.value.get("time") if isinstance(parsed.value, dict) else None
    return ImportEntry(line, (text,), times=(time,) if isinstance(time, str) else ())


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
