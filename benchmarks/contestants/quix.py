"""Quix Streams with the same keyed state update: state in RocksDB, changelog in Kafka, default settings. Runs in a
separate environment (benchmarks/requirements-quix.txt)."""

from pathlib import Path
from typing import Any

from quixstreams import Application, State

from benchmarks.contestants.keyed_state import updated_state
from benchmarks.contestants.task import Meter, Task, read_task

IDLE_TIMEOUT_SECONDS = 30


def run(task: Task) -> None:
    app = Application(
        broker_address=task.kafka,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        state_dir=Path(task.folder) / "state",
        loglevel="WARNING",
    )
    meter, counted = Meter(task), [0]

    def touch(event: dict[str, Any], state: State) -> None:
        meter.begin()
        state.set("touched", updated_state(state.get("touched"), event))
        counted[0] += 1

    events = app.topic(task.log, key_deserializer="bytes", value_deserializer="json")
    app.dataframe(events).update(touch, stateful=True)
    # Ends with a checkpoint: the changelog is written and acknowledged.
    app.run(count=task.count, timeout=IDLE_TIMEOUT_SECONDS, collect=False)
    meter.answer(counted[0])


if __name__ == "__main__":
    run(read_task())
