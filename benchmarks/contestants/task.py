"""The task of a contestant, and its answer. Standard library only, because a contestant may run in a separate
environment."""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """`name` is unique per run: the consumer group, and the prefix of its topics. `log` is a topic or a file, of
    `count` records. `folder` is scratch and receives the answer. `project` is the folder of another version of the
    code, empty for this one."""

    kafka: str
    log: str
    partitions: int
    count: int
    name: str
    variant: str
    folder: str
    project: str = ""


def read_task() -> Task:
    return Task(**json.loads(sys.argv[1]))


def own_cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Meter:
    """CPU seconds, user and system, from the first record to the last: of this process and the children that it waited
    for, unless `cpu` measures another process."""

    def __init__(self, task: Task, cpu: Callable[[], float] = own_cpu) -> None:
        self._task, self._cpu = task, cpu
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """Call at the first record; further calls have no effect."""
        if self._began is None:
            self._began = self._cpu(), time.monotonic()

    def answer(self, count: int, **more: Any) -> None:  # noqa: ANN401 (whatever JSON takes)
        """Call at the last record. Raises RuntimeError if records are missing."""
        if self._began is None or count != self._task.count:
            raise RuntimeError(f"{count} of {self._task.count} records arrived")
        cpu, wall = self._cpu() - self._began[0], time.monotonic() - self._began[1]
        answer = {"count": count, "cpu": cpu, "wall": wall, **more}
        (Path(self._task.folder) / "answer.json").write_text(json.dumps(answer))
