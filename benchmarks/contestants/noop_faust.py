"""A plain Faust agent that decodes JSON and does nothing else, with Faust's default settings."""

import logging
import os
from typing import Any

import faust

from benchmarks.contestants.task import Meter, Task, read_task


def application(task: Task) -> faust.App:
    app = faust.App(
        task.name,
        broker=f"kafka://{task.kafka}",
        store="memory://",
        datadir=task.folder,
        web_enabled=False,
        topic_partitions=task.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        key_serializer="raw",
        value_serializer="json",
    )
    meter = Meter(task)

    async def ignore(stream: Any) -> None:  # noqa: ANN401 (Faust publishes no types)
        count = 0
        async for _ in stream:
            meter.begin()
            count += 1
            if count == task.count:
                meter.answer(count)
                os._exit(0)

    app.agent(app.topic(task.log))(ignore)
    return app


if __name__ == "__main__":
    # Passing the level stops Faust from drawing a spinner.
    faust.Worker(
        application(read_task()), loglevel=logging.INFO, quiet=True, redirect_stdouts=False
    ).execute_from_commandline()
