"""After an import of old facts: scores of the past that are out already are told anew by `rapport scoring heal`, which
runs as a process of its own, since the services never import each other."""

import subprocess
import sys
import time
from collections.abc import Callable

from schemas.topics import EVENTS
from services.runtime.kafka import Reader
from services.runtime.settings import Settings

COMMAND = "rapport scoring heal"
# The group that reads the log for scoring; its committed offsets show how far it has come.
SCORING = "rapport-scoring"
LOOK_SECONDS = 0.5


def heal(settings: Settings, patience: float, tell: Callable[[str], None]) -> int:
    """Returns the exit code. Waits up to `patience` seconds for scoring to apply what was imported: what it has not
    applied cannot be healed. Raises KafkaError."""
    tell("waiting for scoring to apply what was imported")
    behind = _await_scoring(settings, patience)
    if behind:
        tell(f"scoring is {behind} events behind; is `rapport scoring serve` running? Later run: {COMMAND}")
        return 1
    tell(f"running: {COMMAND}")
    return subprocess.run([sys.executable, "-m", "services.cli", *COMMAND.split()[1:]], check=False).returncode  # noqa: S603 (the command line is ours)


def _await_scoring(settings: Settings, patience: float) -> int:
    """How many events of those on the log at the call it has not applied in the end."""
    until = time.monotonic() + patience
    reader = Reader(settings, SCORING)
    try:
        ends = reader.end_offsets(reader.assign([EVENTS.at(settings.log_epoch)]))
        while True:
            done = {partition: reader.committed(partition) for partition in ends}
            behind = sum(max(0, end - (found.offset if (found := done[p]) else 0)) for p, end in ends.items())
            if not behind or time.monotonic() > until:
                return behind
            time.sleep(LOOK_SECONDS)
    finally:
        reader.close()
