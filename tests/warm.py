"""Processes of ours that begin with everything imported. To import a service takes a second of CPU, most of what its
process takes in a test: per script one process imports all of it, and forks whenever the script is started.

What is started is a process like any other, with an id, an environment and an exit code of its own, and it is killed,
frozen and awaited like any other. Only what its script imports is there already: nothing of ours happens at import.
What it shares with the others of its script is the order of sets of texts: that two lives of a service may differ in it
is left to the journeys, which start the services themselves."""

import atexit
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from services.runtime.gc_tuning import freeze_imports

ROOT = Path(__file__).parents[1]
SCORING = ROOT / "services" / "scoring" / "__main__.py"
"""`rapport scoring`."""
RAPPORT = ROOT / "services" / "cli.py"
"""`rapport` itself, for commands that end."""
AHEAD = {
    RAPPORT: (
        "services.ingest.commands.programs",
        "services.ingest.commands.token_command",
        "services.scoring.__main__",
        "services.topics.__main__",
        "services.warehouse.__main__",
    )
}
"""What a script imports only when it is asked for it."""
REQUEST_BYTES = 2**16
STATUS_BYTES, PID_BYTES = 4, 8


class WarmProcess:
    """One that was started: as much of `subprocess.Popen` as tests ask for."""

    def __init__(self, pid: int, status: int) -> None:
        """`status`: where its exit code is told, when it has ended."""
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        found = self._ended_within(timeout)
        if found is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return found

    def send_signal(self, number: int) -> None:
        """Nothing happens to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], seconds)[0]:
            told = os.read(self._status, STATUS_BYTES)
            assert len(told) == STATUS_BYTES, "the process that forks has ended before what it has forked"
            os.close(self._status)
            self.returncode = int.from_bytes(told, "big", signed=True)
        return self.returncode


def start(script: Path, arguments: Sequence[str], environment: Mapping[str, str], log: int) -> WarmProcess:
    """`python SCRIPT ARGUMENTS` in the project's folder; `log`: the open file that it writes to."""
    return _started(script, arguments, environment, (log, log))


def run(
    script: Path, arguments: Sequence[str], environment: Mapping[str, str], seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """The same, when it has ended. Raises subprocess.TimeoutExpired."""
    with TemporaryFile() as out, TemporaryFile() as errors:
        process = _started(script, arguments, environment, (out.fileno(), errors.fileno()))
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        said = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (out, errors)]
    return subprocess.CompletedProcess([str(script), *arguments], code, *said)


def _started(
    script: Path, arguments: Sequence[str], environment: Mapping[str, str], outputs: tuple[int, int]
) -> WarmProcess:
    return _parent(script).fork({"arguments": list(arguments), "environment": dict(environment)}, outputs)


@cache
def _parent(script: Path) -> "_Parent":
    return _Parent(script)


class _Parent:
    """The test's end of the process that has imported a script."""

    def __init__(self, script: Path) -> None:
        self._script = script
        self._asks, served = socket.socketpair()
        with served:
            # As in every process of ours (services/cli.py), before anything imports numpy.
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(script), str(served.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[served.fileno()],
            )
        self._asking = threading.Lock()
        atexit.register(self._close)

    def fork(self, request: Mapping[str, object], outputs: tuple[int, int]) -> WarmProcess:
        status, told = os.pipe()
        answer = b""
        try:
            # Broken where it has ended: what its script imports may be at fault.
            with self._asking, suppress(ConnectionError):
                socket.send_fds(self._asks, [json.dumps(request).encode() + b"\n"], [*outputs, told])
                answer = self._asks.recv(PID_BYTES, socket.MSG_WAITALL)
        finally:
            os.close(told)
        assert len(answer) == PID_BYTES, f"the process that forks has ended, see what it said: {self._script}"
        return WarmProcess(int.from_bytes(answer, "big"), status)

    def _close(self) -> None:
        self._asks.close()
        self._process.wait(10)


def _forked(asked: socket.socket) -> list[str] | None:
    """Forks for each request. Returns in what was forked, with its arguments, and when nobody can ask any more: then
    None, and nothing that was forked is left."""
    statuses: dict[int, int] = {}
    ended, wakeup = _woken_by_ends()
    while True:
        ready, _, _ = select.select([asked, ended], [], [])
        if ended in ready:
            ended.recv(REQUEST_BYTES)
            _tell_who_ended(statuses)
        if asked not in ready:
            continue
        line, files, _, _ = socket.recv_fds(asked, REQUEST_BYTES, 3)
        if not line:
            for pid in statuses:
                os.kill(pid, signal.SIGKILL)
            return None
        while not line.endswith(b"\n"):
            line += asked.recv(REQUEST_BYTES)
        *outputs, status = files
        pid = os.fork()
        if pid == 0:
            parents = [one.detach() for one in (asked, ended, wakeup)]
            return _began(json.loads(line), outputs, [*parents, status, *statuses.values()])
        for file in outputs:
            os.close(file)
        statuses[pid] = status
        asked.sendall(pid.to_bytes(PID_BYTES, "big"))


def _woken_by_ends() -> tuple[socket.socket, socket.socket]:
    """The first can be read when a child has ended; the second is to be kept."""
    ended, wakeup = socket.socketpair()
    wakeup.setblocking(False)  # noqa: FBT003 (as the signal wants it)
    signal.set_wakeup_fd(wakeup.fileno())
    # A signal that nobody handles wakes nobody. Ctrl-C is for the tests, after which nobody can ask any more.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return ended, wakeup


def _began(request: dict[str, Any], outputs: Sequence[int], parents: Sequence[int]) -> list[str]:
    """`parents`: the open files that are not this process's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for file in parents:
        os.close(file)
    for standard, file in enumerate(outputs, 1):
        os.dup2(file, standard)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    # Else all would draw the same random numbers.
    random.seed()
    arguments: list[str] = request["arguments"]
    return arguments


def _tell_who_ended(statuses: dict[int, int]) -> None:
    for pid in list(statuses):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            told = statuses.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            # Broken where the test has ended and waits for nobody.
            with suppress(BrokenPipeError):
                os.write(told, code.to_bytes(STATUS_BYTES, "big", signed=True))
            os.close(told)


def _serve(script: str, number: str) -> None:
    with freeze_imports():
        runpy.run_path(script, run_name="imported")
        for module in AHEAD.get(Path(script), ()):
            import_module(module)
    arguments = _forked(socket.socket(fileno=int(number)))
    if arguments is not None:
        sys.argv = [script, *arguments]
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _serve(*sys.argv[1:])
