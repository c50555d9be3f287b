"""The sample history streamed slowly through the gateway, so that things can go wrong in the middle of it."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deploy.local.child import project_environment
from deploy.local.demo import sample
from deploy.local.demo.progress import wait_until_caught_up
from tests.journeys.system import System

SLICE = 10


@dataclass
class Streaming:
    """A running import. `events` are all that it sends, the clock event at its end aside; the last of them are kept
    back until `hurry` is set, so that the stream is in its middle however long things go wrong."""

    events: Sequence[dict[str, Any]]
    end: datetime
    process: subprocess.Popen[str]
    feeder: threading.Thread | None = None
    hurry: threading.Event = field(default_factory=threading.Event)
    said: list[str] = field(default_factory=list)

    @property
    def going_on(self) -> bool:
        return self.process.poll() is None


@contextmanager
def streaming(whole: System, seconds: float, every: int) -> Iterator[Streaming]:
    """Sends the pairs of the sample whose number divides by `every`, over about so many seconds."""
    chosen = [contact for contact in sample.contacts() if contact.pair % every == 0]
    shift = sample.shift_to(datetime.now(UTC).date(), chosen)
    events, end = list(sample.events(chosen, shift)), sample.end_of(chosen, shift)
    environment = {**os.environ, **project_environment(), **whole.stack.environment}
    environment["RAPPORT_INGEST_TOKEN"] = whole.token(sample.TENANT, sample.SOURCE)
    rejected = str(whole.stack.data / "rejected.jsonl")
    arguments = ["ingest", "import", "-", "--clock-reached", end.isoformat(), "--rejected", rejected]
    process = subprocess.Popen(
        [*whole.stack.rapport, *arguments, "--source", sample.SOURCE],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    stream = Streaming(events, end, process)
    stream.feeder = threading.Thread(target=_feed, args=(stream, seconds), daemon=True)
    stream.feeder.start()
    try:
        yield stream
    finally:
        process.kill()
        process.wait(10)
        stream.hurry.set()
        stream.feeder.join(10)


def finish(whole: System, stream: Streaming) -> None:
    """Until everything is streamed, scored, judged, told and stored."""
    assert stream.feeder is not None
    stream.hurry.set()
    stream.feeder.join(240)
    said, _ = stream.process.communicate(timeout=240)
    assert stream.process.returncode == 0, said
    wait_until_caught_up(stream.end.timestamp(), whole.stack.environment, lambda _: None)


def _feed(stream: Streaming, seconds: float) -> None:
    pipe = stream.process.stdin
    assert pipe is not None
    pause = seconds / (len(stream.events) / SLICE)
    try:
        for begin in range(0, len(stream.events), SLICE):
            end = begin + SLICE
            stream.hurry.wait(pause if end < len(stream.events) else None)
            pipe.write("".join(json.dumps(event) + "\n" for event in stream.events[begin:end]))
            pipe.flush()
    except BrokenPipeError:
        stream.said.append("the import ended before everything was fed")
