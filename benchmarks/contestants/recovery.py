"""The scoring service as it starts on a changelog: from the first record that recovery reads until all partitions are
taken. Nothing is on the log itself."""

import os
from dataclasses import replace
from typing import Any

from benchmarks.contestants.ours import names, serve
from benchmarks.contestants.task import Meter, Task, asked
from services.scoring.flow.faust.configured_app import StateTable
from services.scoring.flow.worker import Worker


def measure(task: Task) -> None:
    meter, counted, taken = Meter(task), [0], [0]
    apply, take = StateTable.apply_changelog_batch, Worker.restore

    def applying(self: StateTable, batch: Any) -> None:  # noqa: ANN401 (Faust publishes no types)
        meter.begin()
        events = list(batch)
        counted[0] += sum(len(event.value) for event in events)
        apply(self, events)

    async def taking(self: Worker, *assigned: Any) -> Any:  # noqa: ANN401
        answer = await take(self, *assigned)
        taken[0] += 1
        if taken[0] == task.partitions:
            meter.answer(counted[0])
            os._exit(0)
        return answer

    for (owner, name), value in {(StateTable, "apply_changelog_batch"): applying, (Worker, "restore"): taking}.items():
        setattr(owner, name, value)
    serve(task, replace(names(task), state=task.log))


if __name__ == "__main__":
    measure(asked())
