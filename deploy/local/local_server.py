"""A server that the stack runs itself: one child process on one data folder, which keeps its data over restarts."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from deploy.local.child import STOP_SECONDS, Child
from deploy.local.readiness import Readiness, wait_until_ready

READY_SECONDS = 60.0


class LocalServer(ABC):
    """A context manager, or `start` and `stop`; `start` after `stop` or `kill` continues with the same data. A subclass
    defines `name` and launches its child."""

    name: str

    def __init__(self, data: Path, port: int) -> None:
        self._data, self._port = data.absolute(), port
        self._child: Child | None = None
        self.log = self._data / f"{self.name}.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._child is not None, "not launched"
        return self._child.pid

    def start(self) -> None:
        """Return when clients are served. Raises `NotReadyError`, and what `launch` raises."""
        self.launch()
        try:
            wait_until_ready([self], READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def launch(self) -> None:
        """Start the server without waiting for it."""

    @abstractmethod
    def probe(self) -> Readiness:
        """Report whether clients are served."""

    def exit_code(self) -> int | None:
        return None if self._child is None else self._child.exit_code()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        if self._child is not None:
            self._child.stop(seconds)

    def kill(self) -> None:
        """SIGKILL: for drills, and for a second Ctrl-C."""
        if self._child is not None:
            self._child.kill()
