"""The command that computes all rows of a log and stores none. Variant: how many processes work at once."""

import json
import subprocess
import sys

from benchmarks.contestants.task import Meter, Task, asked


def measure(task: Task) -> None:
    """The start of the command is part of it, as it is for whoever runs it."""
    command = (sys.executable, "-m", "services.cli", "scoring", "replay", "--from", task.log, "--dry-run")
    meter = Meter(task)
    meter.begin()
    told = subprocess.run((*command, "--processes", task.variant, "--json"), check=True, stdout=subprocess.PIPE)
    found = json.loads(told.stdout)
    meter.answer(found["records"] - found["refused_records"])


if __name__ == "__main__":
    measure(asked())
