"""Attributes the CPU seconds of one thread: every moment counts once, for the innermost active function."""

import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Shares:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = 0.0

    def timed(self, name: str, function: Callable[P, T]) -> Callable[P, T]:
        self.seconds[name] = 0.0

        def measured(*args: P.args, **named: P.kwargs) -> T:
            self._begin(name)
            try:
                return function(*args, **named)
            finally:
                self._end()

        return measured

    def timed_steps(self, name: str, function: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
        """For a generator: time each of its steps, not what the caller does in between."""
        self.seconds[name] = 0.0

        def measured(*args: P.args, **named: P.kwargs) -> Iterator[T]:
            steps = function(*args, **named)
            while True:
                self._begin(name)
                try:
                    step = next(steps, None)
                finally:
                    self._end()
                if step is None:
                    return
                yield step

        return measured

    def _begin(self, name: str) -> None:
        self._account()
        self._stack.append(name)

    def _end(self) -> None:
        self._account()
        self._stack.pop()

    def _account(self) -> None:
        now = time.thread_time()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now
