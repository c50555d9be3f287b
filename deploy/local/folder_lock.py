"""An exclusive lock file, released by the kernel when the process ends."""

import fcntl
import time
from pathlib import Path
from typing import Self

POLL_SECONDS = 0.1


class FolderLockedError(Exception):
    pass


class FolderLock:
    def __init__(self, file: Path, wait_seconds: float = 0.0) -> None:
        """Waits at most `wait_seconds` for another holder, then raises `FolderLockedError`."""
        self._path = file
        self._wait_seconds = wait_seconds

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a")
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    self._file.close()
                    raise FolderLockedError(f"{self._path} is held by another process") from None
                time.sleep(POLL_SECONDS)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
