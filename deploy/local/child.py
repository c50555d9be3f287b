"""One child process: its own session and log file; it dies with its parent, and is stopped by SIGTERM, then SIGKILL."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 10.0
PROJECT = Path(__file__).parents[2]
PARENT_DEATH = Path(__file__).with_name("parent_death.py")


@dataclass(frozen=True)
class ChildCommand:
    """`inherited` names the variables that the child inherits from its parent (None: all), to which `env` is added;
    output is appended to `log`."""

    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    inherited: frozenset[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if self.inherited is None or name in self.inherited}
        return {**kept, **self.env}


def project_environment() -> dict[str, str]:
    """Return the environment in which `python -m` finds this project's modules, even where it is not installed."""
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(PROJECT), before] if before else [str(PROJECT)])}


class Child:
    """At most one running process of a command; after it has ended, `launch` starts another."""

    def __init__(self, command: ChildCommand) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        assert self.exit_code() is not None or self._process is None, "already running"
        self._command.log.parent.mkdir(parents=True, exist_ok=True)
        with self._command.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command line is ours
                [sys.executable, "-I", "-S", str(PARENT_DEATH), str(os.getpid()), *self._command.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._command.environment,
                start_new_session=True,  # a terminal's Ctrl-C reaches only the parent, which stops in order
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, "not launched"
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while running and before the first launch; negative: the signal that ended it."""
        return None if self._process is None else self._process.poll()

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        if self.running():
            os.kill(self.pid, signal.SIGTERM)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, at most `seconds` to end, then SIGKILL."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the process and its process group; return when it has ended."""
        if self._process is not None and self.running():
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
