"""A data folder: one running stack at a time, one clock for good, and its secrets."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from deploy.local.folder_lock import FolderLock, FolderLockedError


class ClockMode(StrEnum):
    WALL = "wall"
    LOG = "log"


class DataFolderError(Exception):
    """The folder cannot be used; the message gives the reason and the remedy."""


@contextmanager
def locked_folder(folder: Path, clock: ClockMode) -> Iterator[None]:
    """Raises `DataFolderError` while another stack runs on the folder, or if the folder belongs to the other clock."""
    try:
        with FolderLock(folder / "lock"):
            # On the log's clock "now" lies in the sample's past: scores and alerts of both clocks must not mix.
            file = folder / "clock"
            if not file.exists():
                file.write_text(clock)
            elif file.read_text() != clock:
                raise DataFolderError(
                    f"{folder} was filled on the {file.read_text()} clock and cannot go on on the {clock} clock:"
                    " choose another folder with --data, or remove this one"
                )
            yield
    except FolderLockedError:
        raise DataFolderError(
            f"another stack is running on {folder}: stop it first, or choose another folder with --data"
        ) from None


def secret(file: Path) -> str:
    """Return the folder's secret, created at the first call and readable by its owner only. An interrupted creation
    leaves no file rather than an empty one."""
    if not file.exists() or not file.read_text():
        write_private(file, secrets.token_urlsafe(24))
    return file.read_text()


def write_private(file: Path, text: str) -> None:
    """Write the file atomically, readable by its owner only, whatever it was before."""
    temporary = file.with_name(f"{file.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    temporary.replace(file)
