"""`rapport demo`, twice on one data folder."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local.child import with_project
from tests.journeys.system import CACHE

SHOWN_WITHIN = 180
SECOND_RUN_WITHIN = 120


@pytest.mark.drill
def test_the_demo_shows_its_tables_and_a_second_run_shows_the_same(tmp_path: Path) -> None:
    (tmp_path / ".rapport").mkdir()
    (tmp_path / ".rapport" / "cache").symlink_to(CACHE)

    first, second = _demo(tmp_path, SHOWN_WITHIN), _demo(tmp_path, SECOND_RUN_WITHIN)

    assert "Events: 2245 new; 2245 accepted, 2245 rows in ClickHouse: equal" in first
    assert "Events: 0 new; 2245 accepted, 2245 rows in ClickHouse: equal" in second
    assert re.search(r"Scores recomputed from the log: equal, \d+ rows", first)
    assert _tables(first) == _tables(second)
    errors = [
        line
        for log in (tmp_path / ".rapport" / "demo" / "logs").glob("*.log")
        for line in log.read_text().splitlines()
        if re.search(r'"level": "(error|critical)"', line)
    ]
    assert errors == []


def _tables(said: str) -> str:
    shown = said.split("Relationships by band")[1].split("ClickHouse at", maxsplit=1)[0]
    return re.sub(r"Events: \d+ new", "Events", shown)


def _demo(folder: Path, seconds: float) -> str:
    """What it said until it had shown everything; then it is ended by Ctrl-C."""
    log = folder / f"demo-{time.monotonic()}.log"
    environment = {**os.environ, **with_project(), "PYTHONUNBUFFERED": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "demo"], cwd=folder, env=environment, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + seconds
        while "what were people told last?" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(40)
    assert process.returncode == 0, log.read_text()
    return log.read_text()
