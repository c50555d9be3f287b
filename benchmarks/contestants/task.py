"""What a contestant is asked, and how it answers. Standard library only: a contestant may live in an environment of
its own."""

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
    """`name` is new for every run: the consumer group, and the prefix of the topics that are written. `log` is a topic
    or a file, of `count` records. `folder` is scratch, and takes the answer. `project` is where another version of our
    code lies, empty for this one."""

    kafka: str
    log: str
    partitions: int
    count: int
    name: str
    variant: str
    folder: str
    project: str = ""


def asked() -> Task:
    return Task(**json.loads(sys.argv[1]))


def own_cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Meter:
    """CPU seconds, user and system, from the first record to the last: of the whole process and of the children that it
    waited for, unless `cpu` tells of another one."""

    def __init__(self, task: Task, cpu: Callable[[], float] = own_cpu) -> None:
        self._task, self._cpu = task, cpu
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """At the first record; later calls change nothing."""
        if self._began is None:
            self._began = self._cpu(), time.monotonic()

    def answer(self, count: int, **more: Any) -> None:  # noqa: ANN401 (whatever JSON takes)
        """At the last record. Raises RuntimeError if it is not the last one."""
        if self._began is None or count != self._task.count:
            raise RuntimeError(f"{count} of {self._task.count} records came")
        cpu, wall = self._cpu() - self._began[0], time.monotonic() - self._began[1]
        answer = {"count": count, "cpu": cpu, "wall": wall, **more}
        (Path(self._task.folder) / "answer.json").write_text(json.dumps(answer))
