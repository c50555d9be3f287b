"""One run of one contestant: a process of its own, with an end."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.contestants.task import Task
from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.readiness import last_lines

RUN_WITHIN = 900
"""Seconds that one run may take."""
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Run:
    """`cpu` and `wall` in seconds, from the first record to the last; `shares`: CPU seconds by what they went into;
    `latency`: milliseconds by quantile, of those that are sent at a steady pace."""

    count: int
    cpu: float
    wall: float
    shares: Mapping[str, float] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    reason: str


def race(module: str, task: Task, python: str = sys.executable) -> Run | Failure:
    """Raises nothing of what goes wrong in the contestant."""
    log = Path(task.folder) / "log"
    argv = (python, "-m", f"benchmarks.contestants.{module}", json.dumps(asdict(task)))
    child = Child(ChildCommand(argv, log, project_environment()))
    child.launch()
    try:
        ended = _ended(child)
    finally:
        child.kill()
    answer = Path(task.folder) / "answer.json"
    if ended and answer.exists():
        return Run(**json.loads(answer.read_text()))
    why = "" if ended else f"no end within {RUN_WITHIN} s; "
    return Failure(f"{why}it ended with {child.exit_code()}: {last_lines(log, 5)}")


def _ended(child: Child) -> bool:
    deadline = time.monotonic() + RUN_WITHIN
    while child.running():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
