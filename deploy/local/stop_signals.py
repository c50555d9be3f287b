"""Ctrl-C and SIGTERM: the first asks for an orderly stop, the second ends everything at once."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequestedError(BaseException):
    """Like KeyboardInterrupt no `Exception`: whatever is under way is left."""


class StopSignals:
    """In the main thread only. The first signal raises `StopRequestedError` there, the second calls `kill`."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._asked = False

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._received) for number in SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            self._kill()
            return
        self._asked = True
        raise StopRequestedError
