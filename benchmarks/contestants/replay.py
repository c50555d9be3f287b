"""`rapport scoring replay` in a dry run over a log. The variant is the number of processes."""

import json
import subprocess
import sys

from benchmarks.contestants.task import Meter, Task, read_task


def measure(task: Task) -> None:
    """Include the start of the command, as its users experience it."""
    command = (sys.executable, "-m", "services.cli", "scoring", "replay", "--from", task.log, "--dry-run")
    meter = Meter(task)
    meter.begin()
    output = subprocess.run((*command, "--processes", task.variant, "--json"), check=True, stdout=subprocess.PIPE)
    result = json.loads(output.stdout)
    meter.answer(result["records"] - result["refused_records"])


if __name__ == "__main__":
    measure(read_task())
