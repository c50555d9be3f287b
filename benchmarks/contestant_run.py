"""One run of one contestant, in a separate process with a time limit."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.contestants.task import Task
from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.readiness import last_lines

RUN_TIMEOUT = 900
"""Seconds."""
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Run:
    """`cpu` and `wall` in seconds, from the first record to the last; `shares`: CPU seconds by activity; `latency`:
    milliseconds by quantile, for requests sent at a steady pace."""

    count: int
    cpu: float
    wall: float
    shares: Mapping[str, float] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    reason: str


def run_contestant(module: str, task: Task, python: str = sys.executable) -> Run | Failure:
    """Returns a Failure for any error of the contestant; never raises."""
    log = Path(task.folder) / "log"
    argv = (python, "-m", f"benchmarks.contestants.{module}", json.dumps(asdict(task)))
    child = Child(ChildCommand(argv, log, project_environment()))
    child.launch()
    try:
        has_ended = _wait_for_end(child)
    finally:
        child.kill()
    answer = Path(task.folder) / "answer.json"
    if has_ended and answer.exists():
        return Run(**json.loads(answer.read_text()))
    why = "" if has_ended else f"no end within {RUN_TIMEOUT} s; "
    return Failure(f"{why}it ended with {child.exit_code()}: {last_lines(log, 5)}")


def _wait_for_end(child: Child) -> bool:
    deadline = time.monotonic() + RUN_TIMEOUT
    while child.running():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
