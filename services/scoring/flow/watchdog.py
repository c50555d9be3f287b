"""Looks once a second whether the process is still to live, also before and between assignments."""

from collections.abc import Callable

import mode


class Watchdog(mode.Service):  # type: ignore[misc]
    """Ends the worker with what `check` raises."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        super().__init__()

    @mode.Service.timer(1.0)  # type: ignore[untyped-decorator]
    async def _look(self) -> None:
        self._check()
