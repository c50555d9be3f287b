"""`rapport demo`, twice on one data folder."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from deploy.local.child import project_environment
from tests.journeys.system import CACHE

SHOWN_WITHIN = 180
SECOND_RUN_WITHIN = 120


@pytest.mark.drill
def test_the_demo_shows_its_tables_and_a_second_run_shows_the_same(tmp_path: Path) -> None:
    (tmp_path / ".rapport").mkdir()
    (tmp_path / ".rapport" / "cache").symlink_to(CACHE)

    first, second = _demo(tmp_path, SHOWN_WITHIN), _demo(tmp_path, SECOND_RUN_WITHIN, _note_a_meeting)

    assert "Events: 3,083 new; 3,083 accepted, 3,083 stored: equal" in first
    assert "Events: 0 new; 3,083 accepted, 3,083 stored: equal" in second
    assert re.search(r"from the events alone:\n +equal, [\d,]+ scores", first)
    assert re.search(r"learnt from [\d,]+ cases, for the last year", first)
    assert "The risk in the last year, learnt from the years before, and what happened" in " ".join(first.split())
    assert max(map(len, first.splitlines())) <= 80
    assert not set(first) & {"\r", "\x1b"}
    assert _tables(first) == _tables(second)
    errors = [
        line
        for log in (tmp_path / ".rapport" / "demo" / "logs").glob("*.log")
        for line in log.read_text().splitlines()
        if re.search(r'"level": "(error|critical)"', line)
    ]
    assert errors == []


def _tables(said: str) -> str:
    shown = said.split("How the pairs are")[1].split("Next, in a browser", maxsplit=1)[0]
    return re.sub(r"Events: [\d,]+ new", "Events", shown)


def _note_a_meeting(said: str) -> None:
    """On the board, as a coordinator does who knows better than the tools."""
    board = said.partition("  the board")[0].split()[-1]
    pair = re.findall(r"scoring explain (\S+)", said)[0]
    page = f"{board}/relationships/demo/{pair}"
    with httpx.Client(follow_redirects=True, timeout=30) as browser:
        shown = browser.get(page).text
        form = shown[shown.index(f"/relationships/demo/{pair}/met") :].partition("</form>")[0]
        fields = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', form))
        answered = browser.post(f"{page}/met", data=fields, headers={"origin": board})
    assert answered.status_code == 200, answered.text
    assert 'class="notice good"' in answered.text, answered.text


def _demo(folder: Path, seconds: float, then: Callable[[str], None] = lambda _: None) -> str:
    """What it said until it had shown everything; after `then`, with that, it is ended by Ctrl-C."""
    log = folder / f"demo-{time.monotonic()}.log"
    environment = {**os.environ, **project_environment(), "PYTHONUNBUFFERED": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "demo"], cwd=folder, env=environment, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + seconds
        while "continues from here." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        then(log.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(40)
    assert process.returncode == 0, log.read_text()
    return log.read_text()
