"""What follows an import on the log's clock: the clock is told to the log, and late rows are healed."""

import json
import subprocess
import sys
import time
from collections.abc import Callable

from schemas.topics import EVENTS
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.importing.lines import Line
from services.ingest.importing.sender import EVENTS_ENDPOINT, ImportStoppedError, Recipient
from services.runtime.kafka import Reader
from services.runtime.settings import Settings

ACCEPTED = 202


def report_clock(recipient: Recipient, time: str, source: str) -> None:
    """Raises ImportStoppedError when the gateway refuses it: it needs an admin token and RAPPORT_CLOCK=log."""
    event = {
        "specversion": "1.0",
        "type": "mentoring.clock.reached.v1",
        "source": source,
        "id": "clock-reached",
        "time": time,
        "data": {"time": time},
    }
    (answer,) = recipient.send([json.dumps(event).encode()], EVENTS_ENDPOINT)
    if answer.status != ACCEPTED:
        reasons = "; ".join(f"{error['path']}: {error['reason']}" for error in answer.errors)
        raise ImportStoppedError(f"the clock event is refused, {answer.reason}: {reasons}")


def source_of(line: Line | None) -> str:
    """Raises ImportStoppedError when the line names none."""
    parsed = read_json(line.text.strip()) if line else None
    if isinstance(parsed, Parsed) and isinstance(parsed.value, dict):
        source = parsed.value.get("source")
        if isinstance(source, str):
            return source
    raise ImportStoppedError("the clock event needs a source: name it with --source")


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
