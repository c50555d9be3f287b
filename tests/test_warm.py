"""Processes that begin with everything imported are processes like any other."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm
from tests.receiver import eventually

SCRIPT = """
import os
import sys
import time

if __name__ == "__main__":
    print(sys.argv[1:], os.environ.get("ASKED"), "HOME" in os.environ, flush=True)
    if sys.argv[1] == "waits":
        time.sleep(60)
    if sys.argv[1] == "fails":
        raise RuntimeError("on purpose")
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    return file


def started(script: Path, log: Path, word: str) -> warm.WarmProcess:
    with log.open("wb") as file:
        return warm.start(script, [word], {"ASKED": word}, file.fileno())


def test_each_has_its_own_arguments_environment_log_and_exit_code(script: Path, tmp_path: Path) -> None:
    logs = {word: tmp_path / word for word in ("0", "3", "fails")}

    running = {word: started(script, log, word) for word, log in logs.items()}

    assert {word: process.wait(30) for word, process in running.items()} == {"0": 0, "3": 3, "fails": 1}
    assert len({process.pid for process in running.values()}) == 3
    for word, log in logs.items():
        assert log.read_text().splitlines()[0] == f"['{word}'] {word} False"
    assert "RuntimeError: on purpose" in logs["fails"].read_text()


def test_one_is_awaited_for_so_long_and_killed_like_any_other(script: Path, tmp_path: Path) -> None:
    process = started(script, tmp_path / "log", "waits")
    eventually((tmp_path / "log").read_text, what="its word")

    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    process.kill()

    assert process.wait(30) == process.returncode == -signal.SIGKILL
    assert not Path(f"/proc/{process.pid}").exists()
    process.terminate()


def test_a_script_that_cannot_be_imported_fails_every_start_in_words(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import no_such_module")

    for _ in range(2):
        with pytest.raises(AssertionError, match=f"the process that forks has ended, .*{script}"):
            started(script, tmp_path / "log", "0")


TEST = """
import os, signal
from pathlib import Path
from tests import warm

process = warm.start(Path({script!r}), ["waits"], {{}}, os.open(os.devnull, os.O_WRONLY))
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_test_run_that_was_killed(script: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", TEST.format(script=str(script))],
        cwd=warm.ROOT,
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
    )

    assert killed.returncode == -signal.SIGKILL
    eventually(lambda: not is_running(int(killed.stdout)), 30, "its end")


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # Who takes the place of its parent may come by later.
    return "\nState:\tZ" not in status
