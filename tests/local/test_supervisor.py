"""The supervisor with small real processes."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.child import STOP_SECONDS, ChildCommand, project_environment
from deploy.local.display import LiveTable, PlainLines, Status, display_on
from deploy.local.readiness import NotReadyError, Readiness, State
from deploy.local.services import Service
from deploy.local.supervisor import GiveUp, PartFailedError, StartAgain, Supervisor, after_crash
from tests.local.supervised import small_service

READY_SECONDS = 60.0


def test_parts_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    printed = io.StringIO()
    parts = [small_service(name, tmp_path) for name in ("a", "b", "c")]

    with Supervisor(PlainLines(Console(file=printed))) as supervisor:
        for part in parts:
            supervisor.start([part], READY_SECONDS)

    assert journal(tmp_path) == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]
    assert printed.getvalue().splitlines() == [
        *("a: starting", "a: ready", "b: starting", "b: ready", "c: starting", "c: ready"),
        *("c: stopped", "b: stopped", "a: stopped"),
    ]
    assert not any(exists(part.pid) for part in parts)


def test_a_killed_part_is_started_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    printed = io.StringIO()
    first, second = small_service("first", tmp_path), small_service("second", tmp_path)
    with Supervisor(PlainLines(Console(file=printed))) as supervisor:
        supervisor.start([first, second], READY_SECONDS)
        pids = first.pid, second.pid

        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: first.pid != pids[0] and first.probe().state is State.READY)

        assert second.pid == pids[1]
        assert not supervisor.failed
    assert f"first ended with signal SIGKILL; log: {tmp_path / 'first.log'}" in printed.getvalue()


def test_a_part_that_was_ready_and_answers_late_does_not_start_again_in_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.StringIO()
    part = small_service("busy", tmp_path)
    with Supervisor(PlainLines(Console(file=printed))) as supervisor:
        supervisor.start([part], READY_SECONDS)
        with frozen(part.pid):
            time.sleep(3)
        monkeypatch.setattr("deploy.local.supervisor.SILENT_SECONDS", 1.0)
        with frozen(part.pid):
            wait_for(lambda: "degraded" in printed.getvalue())
        wait_for(lambda: printed.getvalue().splitlines()[-1] == "busy: ready")

    starting, ready, degraded, again, stopped = printed.getvalue().splitlines()
    assert [starting, ready, again, stopped] == ["busy: starting", "busy: ready", "busy: ready", "busy: stopped"]
    assert degraded.startswith("busy: degraded no answer for ")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_after_three_crashes_everything_stops_and_the_last_lines_are_shown(tmp_path: Path) -> None:
    good, bad = small_service("good", tmp_path), small_service("bad", tmp_path, "--crash")
    with Supervisor(PlainLines(Console(file=io.StringIO()))) as supervisor:
        supervisor.start([good, bad], READY_SECONDS)

        with pytest.raises(PartFailedError, match=r"(?s)bad crashed 3 times in \d+ s; .*bad.log:.*bad has had enough"):
            supervisor.wait()

        assert supervisor.failed
        assert not exists(good.pid)
    assert journal(tmp_path).count("start bad") == 3


def test_a_part_that_ends_while_it_starts_is_reported_with_its_log_and_stops_those_before(tmp_path: Path) -> None:
    good = small_service("good", tmp_path)
    command = ChildCommand((sys.executable, "-c", "raise SystemExit('no table events')"), log=tmp_path / "bad.log")
    bad = Service("bad", command, health_port=1)

    with Supervisor(PlainLines(Console(file=io.StringIO()))) as supervisor:
        with pytest.raises(NotReadyError, match=r"(?s)bad ended with exit code 1; .*no table events"):
            supervisor.start([good, bad], READY_SECONDS)

        assert not exists(good.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_reverse_order(tmp_path: Path, number: signal.Signals) -> None:
    with small_stack(tmp_path) as (stack, pids):
        stack.send_signal(number)

        assert stack.wait(timeout=60) == 0
    assert journal(tmp_path)[-2:] == ["stop second", "stop first"]
    assert not any(exists(pid) for pid in pids)


def test_a_second_signal_does_not_wait_for_a_deaf_part(tmp_path: Path) -> None:
    with small_stack(tmp_path, "--deaf") as (stack, pids):
        stack.send_signal(signal.SIGINT)
        wait_for(lambda: "stop second" in journal(tmp_path))
        began = time.monotonic()
        stack.send_signal(signal.SIGINT)

        stack.wait(timeout=60)
    assert time.monotonic() - began < STOP_SECONDS, "so long is waited for a deaf part"
    assert not any(exists(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    with small_stack(tmp_path, "--deaf") as (stack, pids):
        stack.kill()

        wait_for(lambda: not any(exists(pid) for pid in pids))


def test_three_crashes_within_a_minute_are_given_up_and_older_ones_are_forgotten() -> None:
    assert after_crash((), 100.0) == StartAgain((100.0,))
    assert after_crash((100.0,), 159.0) == StartAgain((100.0, 159.0))
    assert after_crash((100.0, 130.0), 159.0) == GiveUp("crashed 3 times in 59 s")
    assert after_crash((100.0, 130.0), 160.0) == StartAgain((130.0, 160.0))


def test_a_terminal_gets_a_table_and_a_file_gets_lines() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)

    table = display_on(terminal)
    with table.suspended():
        table.report("not in the table")
    table.show(Status("scoring", Readiness(State.DEGRADED, "lag 3"), restarts=1))
    table.close()

    assert isinstance(table, LiveTable)
    assert isinstance(display_on(Console(file=io.StringIO())), PlainLines)
    shown = terminal.file
    assert isinstance(shown, io.StringIO)
    assert all(
        word in shown.getvalue() for word in ("not in the table", "scoring", "degraded", "restarted 1x", "lag 3")
    )


@contextmanager
def small_stack(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    script = Path(__file__).with_name("small_stack.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), *options],
        env={**os.environ, **project_environment()},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("pids "))
        yield process, [int(pid) for pid in line.split()[1:]]


def journal(folder: Path) -> list[str]:
    return (folder / "journal").read_text().splitlines()


def exists(pid: int) -> bool:
    """A zombie that is not reaped counts as gone."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)
