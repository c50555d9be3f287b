"""The scoring service starting on a changelog, from the first record of recovery until all partitions are restored. The
log itself is empty."""

import os
from dataclasses import replace
from typing import Any

from benchmarks.contestants.ours import names, serve
from benchmarks.contestants.task import Meter, Task, read_task
from services.scoring.flow.faust.configured_app import StateTable
from services.scoring.flow.worker import Worker


def measure(task: Task) -> None:
    meter, counted, restored = Meter(task), [0], [0]
    apply, take = StateTable.apply_changelog_batch, Worker.restore

    def apply_measured(self: StateTable, batch: Any) -> None:  # noqa: ANN401 (Faust publishes no types)
        meter.begin()
        events = list(batch)
        counted[0] += sum(len(event.value) for event in events)
        apply(self, events)

    async def restoring(self: Worker, *assigned: Any) -> Any:  # noqa: ANN401
        answer = await take(self, *assigned)
        restored[0] += 1
        if restored[0] == task.partitions:
            meter.answer(counted[0])
            os._exit(0)
        return answer

    for (owner, name), value in {
        (StateTable, "apply_changelog_batch"): apply_measured,
        (Worker, "restore"): restoring,
    }.items():
        setattr(owner, name, value)
    serve(task, replace(names(task), state=task.log))


if __name__ == "__main__":
    measure(read_task())
