"""How far an import came, kept beside its file."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from services.ingest.importing.entry import ImportEntry
from services.ingest.importing.lines import Line
from services.ingest.importing.sender import ImportStoppedError

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
