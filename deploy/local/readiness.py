"""The readiness that a part of the stack reports, and the wait for it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

POLL_SECONDS = 0.05
TAIL_BYTES = 16_384


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Readiness:
    """`answered`: whether the part itself has reported the state; a part that does not answer counts as starting."""

    state: State
    detail: str = ""
    answered: bool = True


class StackPart(Protocol):
    """A process that the supervisor starts, watches, restarts and stops."""

    @property
    def name(self) -> str: ...
    @property
    def log(self) -> Path: ...
    @property
    def pid(self) -> int: ...
    def launch(self) -> None: ...
    def exit_code(self) -> int | None: ...
    def probe(self) -> Readiness: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class NotReadyError(Exception):
    pass


def wait_until_ready(
    parts: Sequence[StackPart],
    seconds: float,
    report: Callable[[StackPart, Readiness], None] = lambda _part, _readiness: None,
) -> None:
    """Raises `NotReadyError` with a part's last log lines when it ends or is not ready in time."""
    deadline = time.monotonic() + seconds
    waiting = list(parts)
    while waiting:
        for part in tuple(waiting):
            readiness = part.probe()
            report(part, readiness)
            if readiness.state is State.READY:
                waiting.remove(part)
        for part in waiting:
            code = part.exit_code()
            if code is not None:
                raise NotReadyError(_with_log(part, f"{part.name} ended with exit code {code}"))
        if waiting and time.monotonic() >= deadline:
            raise NotReadyError(_with_log(waiting[0], f"{waiting[0].name} was not ready after {seconds:.0f} s"))
        time.sleep(POLL_SECONDS if waiting else 0)


def _with_log(part: StackPart, what: str) -> str:
    return f"{what}; the end of {part.log}:\n{last_lines(part.log)}"


def last_lines(log: Path, count: int = 20) -> str:
    """Return the end of a log file, for error messages."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
