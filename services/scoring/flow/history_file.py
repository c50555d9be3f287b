"""A file with a history, plain or gzipped, as lines of text."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


class HistoryError(Exception):
    """The history cannot be used; the message names the place and the reason."""


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """Raises HistoryError where the file breaks off or is not what its name says."""
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8-sig")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8-sig") as lines
        ):
            yield lines
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as broken:
        raise HistoryError(f"{file}: cannot be read: {broken}") from broken
