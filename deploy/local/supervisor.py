"""Keeps the parts of the stack running: starts, watches and restarts them, gives up after repeated crashes, and stops
them in reverse order."""

import contextlib
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from deploy.local.display import Display, Status
from deploy.local.readiness import Readiness, StackPart, State, last_lines, wait_until_ready

TICK_SECONDS = 0.25
CRASHES_TO_GIVE_UP = 3  # two may be accidental; three in a minute are persistent
WINDOW_SECONDS = 60.0
PROBE_EVERY_TICKS = 4
SILENT_SECONDS = 10.0
"""On a busy machine a healthy part may answer this late."""


@dataclass
class _Watched:
    part: StackPart
    crashes: tuple[float, ...] = ()
    restarts: int = 0
    was_ready: bool = True
    answered_at: float = 0.0

    def effective_readiness(self, readiness: Readiness, now: float) -> Readiness:
        """A part that was ready and does not answer is not starting: it keeps its state, and becomes degraded if that
        lasts. `now` in seconds."""
        if readiness.answered or not self.was_ready:
            self.was_ready = self.was_ready or readiness.state is State.READY
            self.answered_at = now
            return readiness
        if now - self.answered_at < SILENT_SECONDS:
            return Readiness(State.READY, readiness.detail)
        return Readiness(State.DEGRADED, f"no answer for {now - self.answered_at:.0f} s")


class PartFailedError(Exception):
    """A part crashed repeatedly; everything else was stopped."""


class Supervisor:
    """A context manager: leaving it stops all parts.

    A separate thread watches them, and stops them too: children that it restarted would die with it (parent_death).
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._launched: list[StackPart] = []
        self._watched: list[_Watched] = []
        self._stop_asked = threading.Event()
        # Not `Thread.join`: if a signal's exception interrupts it, Python 3.11 considers the thread ended.
        self._all_stopped = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, parts: Sequence[StackPart], ready_seconds: float) -> None:
        """Launch the parts in order and return when all are ready; from then on they are watched.

        Raises `NotReadyError`, after which none of them runs.
        """
        try:
            for part in parts:
                self._display.show(Status(part.name, Readiness(State.STARTING)))
                self._launched.append(part)
                part.launch()
            wait_until_ready(
                parts, ready_seconds, lambda part, readiness: self._display.show(Status(part.name, readiness))
            )
        except BaseException:
            for part in reversed(parts):
                part.stop()
            raise
        self._watched += [_Watched(part, answered_at=time.monotonic()) for part in parts]

    def wait(self) -> None:
        """Returns after `stop`; raises `PartFailedError` with the part's last log lines."""
        self._all_stopped.wait()
        if self._failure is not None:
            raise PartFailedError(self._failure)

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def stop(self) -> None:
        self._stop_asked.set()
        self._all_stopped.wait()

    def kill(self) -> None:
        """Kill all parts at once, for a second Ctrl-C."""
        self._stop_asked.set()
        for part in reversed(self._launched):
            part.kill()

    def _watch(self) -> None:
        tick = 0
        try:
            while self._failure is None and not self._stop_asked.wait(TICK_SECONDS):
                tick += 1
                for watched in tuple(self._watched):
                    self._check(watched, probe=tick % PROBE_EVERY_TICKS == 0)
        except Exception as broken:  # noqa: BLE001 - parts must not go on unwatched, whatever broke
            self._failure = f"the supervisor failed: {broken!r}"
        finally:
            for watched in reversed(self._watched):
                watched.part.stop()
                with contextlib.suppress(OSError):  # a closed terminal must not keep the rest running
                    self._display.show(Status(watched.part.name, Readiness(State.STOPPED), watched.restarts))
            self._all_stopped.set()

    def _check(self, watched: _Watched, *, probe: bool) -> None:
        code = watched.part.exit_code()
        if code is not None and not self._stop_asked.is_set():
            self._after_crash(watched, code)
        elif probe:
            readiness = watched.effective_readiness(watched.part.probe(), time.monotonic())
            self._display.show(Status(watched.part.name, readiness, watched.restarts))

    def _after_crash(self, watched: _Watched, code: int) -> None:
        part = watched.part
        self._display.report(f"{part.name} ended with {_exit_reason(code)}; log: {part.log}")
        decision = after_crash(watched.crashes, time.monotonic())
        if isinstance(decision, GiveUp):
            self._failure = f"{part.name} {decision.reason}; the end of {part.log}:\n{last_lines(part.log)}"
            return
        watched.crashes = decision.crashes
        watched.restarts += 1
        watched.was_ready = False
        self._display.show(Status(part.name, Readiness(State.STARTING, "restarted"), watched.restarts))
        part.launch()


def _exit_reason(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


@dataclass(frozen=True)
class StartAgain:
    """`crashes` are those within the window, including this one."""

    crashes: tuple[float, ...]


@dataclass(frozen=True)
class GiveUp:
    reason: str


def after_crash(earlier: tuple[float, ...], now: float) -> StartAgain | GiveUp:
    """Decide whether a crashed part is started again, or the whole stack is given up. `earlier` and `now` are seconds
    on one clock."""
    recent = (*(at for at in earlier if now - at < WINDOW_SECONDS), now)
    if len(recent) < CRASHES_TO_GIVE_UP:
        return StartAgain(recent)
    return GiveUp(f"crashed {len(recent)} times in {now - recent[0]:.0f} s")
