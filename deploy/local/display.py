"""Shows the state of the stack: a live table on a terminal, else one line per change."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.local.readiness import Readiness, State

COLORS = {State.READY: "green", State.STARTING: "yellow", State.DEGRADED: "red"}
OTHER_COLOR = "dim"


@dataclass(frozen=True)
class Status:
    name: str
    readiness: Readiness
    restarts: int = 0


class Display(Protocol):
    """Safe to call from any thread."""

    def show(self, status: Status) -> None: ...
    def report(self, text: str) -> None: ...
    def suspended(self) -> AbstractContextManager[None]:
        """Frees the terminal for other output for the duration of the block."""
        ...

    def close(self) -> None: ...


def display_on(console: Console) -> Display:
    return LiveTable(console) if console.is_terminal else PlainLines(console)


class PlainLines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, State] = {}

    def show(self, status: Status) -> None:
        """Print a line only when the state changes: details change often, and matter only when something is wrong."""
        state = status.readiness.state
        if self._shown.get(status.name) is state:
            return
        self._shown[status.name] = state
        detail = status.readiness.detail if state is State.DEGRADED or status.restarts else ""
        self.report(f"{status.name}: {state} {detail}".strip())

    def report(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def suspended(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        """Nothing to do."""


class LiveTable:
    def __init__(self, console: Console) -> None:
        self._statuses: dict[str, Status] = {}
        self._console = console
        self._live = self._started()

    def show(self, status: Status) -> None:
        self._statuses[status.name] = status

    def report(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            # A restarted Live would overwrite as many lines as it had before, which are now other output.
            self._live = self._started()

    def close(self) -> None:
        self._live.stop()

    def _started(self) -> Live:
        live = Live(console=self._console, get_renderable=self.table, refresh_per_second=4)
        live.start()
        return live

    def table(self) -> Table:
        """Return the table as it is now."""
        table = Table.grid(padding=(0, 2), expand=True)
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # one line per part, however long the detail
        for status in tuple(self._statuses.values()):
            state = status.readiness.state
            restarts = f"restarted {status.restarts}x" if status.restarts else ""
            detail = "" if state is State.READY else status.readiness.detail
            table.add_row(status.name, Text(state, style=COLORS.get(state, OTHER_COLOR)), restarts, Text(detail))
        return table
