"""Ports, locks and log tails: the basis of the parts."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.child import Child, ChildCommand
from deploy.local.folder_lock import FolderLock, FolderLockedError
from deploy.local.ports import HIGHEST, LOOPBACK, LOWEST, remembered_ports
from deploy.local.readiness import last_lines
from tests.receiver import eventually


def test_ports_are_remembered_unless_they_are_taken_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = remembered_ports(file, ("a", "b"))

    assert remembered_ports(file, ("a", "b")) == first
    assert all(LOWEST <= port < HIGHEST for port in first.values())
    with socket.create_server((LOOPBACK, first["a"])):
        later = remembered_ports(file, ("a", "b"))

    assert later["a"] != first["a"]
    assert later["b"] == first["b"]
    assert remembered_ports(file, ("a", "b")) == later


def test_a_lock_is_held_by_one_and_freed_by_death(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = "import sys; from pathlib import Path; from deploy.local.folder_lock import FolderLock\n"
    script += "held = FolderLock(Path(sys.argv[1])).__enter__(); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(FolderLockedError):
            FolderLock(lock).__enter__()
        holder.kill()

        with FolderLock(lock, wait_seconds=5):
            pass


def test_the_last_lines_of_a_log_are_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))

    assert last_lines(log, 2) == "line 99998\nline 99999"
    assert last_lines(tmp_path / "none") == ""


def test_a_child_that_ignores_sigterm_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); time.sleep(60)"
    )
    log = tmp_path / "child.log"
    child = Child(ChildCommand((sys.executable, "-c", script), log=log))
    child.launch()
    while not last_lines(log):
        assert child.running()
    grandchild = int(last_lines(log))

    child.stop(seconds=0.5)

    assert child.exit_code() == -9
    eventually(lambda: _is_gone(grandchild), seconds=30, what="the end of what it started")


def _is_gone(pid: int) -> bool:
    """The kernel removes killed processes with a delay; a zombie only has to be reaped."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
