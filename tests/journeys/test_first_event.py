"""The README's "Your first event", run to the letter against `rapport up`."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.child import with_project
from tests.journeys.system import CACHE

PROJECT = Path(__file__).parents[2]
READY_WITHIN = 120
# The promise is 5 s; beside other tests, which start whole systems too, it takes longer.
SCORED_WITHIN = 20 if "PYTEST_XDIST_WORKER" in os.environ else 5


def test_the_first_event_of_the_readme_has_a_score_within_5_seconds_and_a_second_up_has_it_still(
    tmp_path: Path,
) -> None:
    send, ask = _blocks("Your first event")
    with _rapport_up(tmp_path) as first:
        sent = _shell(send, tmp_path)
        began = time.monotonic()

        answer = _shell(ask, tmp_path)
        while "health" not in answer and time.monotonic() - began < SCORED_WITHIN:
            time.sleep(0.1)
            answer = _shell(ask, tmp_path)
    left = _children_of(tmp_path)
    with _rapport_up(tmp_path) as second:
        again = _shell(ask, tmp_path)

    assert '"status":202' in sent.replace(" ", ""), sent
    assert re.search(r"relationship_id: +ann-and-ben", answer), answer
    assert re.search(r"band: +thriving", answer)
    assert re.search(r"relationship_id: +ann-and-ben", again), again
    assert first.returncode == second.returncode == 0
    assert left == _children_of(tmp_path) == [], "up leaves no process behind"


def _blocks(heading: str) -> list[str]:
    """The shell blocks of one section of the README."""
    section = (PROJECT / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@contextmanager
def _rapport_up(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    (folder / ".rapport").mkdir(exist_ok=True)
    if not (folder / ".rapport" / "cache").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        (folder / ".rapport" / "cache").symlink_to(CACHE)
    log = folder / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["rapport", "up"], cwd=folder, env=_environment(), stdout=out, stderr=out, text=True, start_new_session=True
        )
    try:
        _await_ready(process, log)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"rapport up did not stop:\n{log.read_text()[-2000:]}")


def _await_ready(process: "subprocess.Popen[str]", log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while "Ctrl-C stops everything" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _shell(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    """As in a shell of a newcomer, `rapport` being this environment's."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAPPORT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), plain.get("PATH", "")])
    return {**plain, **with_project(), "PATH": path}


def _children_of(folder: Path) -> list[str]:
    """Processes whose command line names the folder."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=10).stdout
    return [line for line in found.splitlines() if str(folder) in line and "pytest" not in line]
