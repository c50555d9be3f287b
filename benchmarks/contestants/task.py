"""What a contestant is asked, and how it answers. Standard library only: a contestant may live in an environment of
its own."""

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """`name` is new for every run: the consumer group, and the prefix of the topics that are written. `log` is a topic
    or a file, of `count` records. `folder` is scratch, and takes the answer."""

    kafka: str
    log: str
    partitions: int
    count: int
    name: str
    variant: str
    folder: str


def asked() -> Task:
    return Task(**json.loads(sys.argv[1]))


class Meter:
    """CPU seconds, user and system, of the whole process and of the children that it waited for, from the first record
    to the last."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """At the first record; later calls change nothing."""
        if self._began is None:
            self._began = _cpu(), time.monotonic()

    def answer(self, count: int, **more: Any) -> None:  # noqa: ANN401 (whatever JSON takes)
        """At the last record. Raises RuntimeError if it is not the last one."""
        if self._began is None or count != self._task.count:
            raise RuntimeError(f"{count} of {self._task.count} records came")
        cpu, wall = _cpu() - self._began[0], time.monotonic() - self._began[1]
        answer = {"count": count, "cpu": cpu, "wall": wall, **more}
        (Path(self._task.folder) / "answer.json").write_text(json.dumps(answer))


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
