"""Scoring as processes on the topics of one test: feed the log, start and kill workers, wait until all is applied."""

import os
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deploy.local.ports import free_port
from services.runtime.kafka import Producer
from services.runtime.settings import Settings
from services.scoring.topics import Topics
from tests import warm
from tests.receiver import eventually
from tests.scoring.flow.long_log import Keyed, clock_reached, slices

SCRIPT = Path(__file__).with_name("run_service.py")
PARTITIONS = 4
STARTS = 5
"""Until a fault is met."""
_GAUGE = re.compile(r'^rapport_scoring_(\w+)\{partition="(\d+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Service:
    """One process of the service."""

    process: warm.WarmProcess
    port: int
    log: Path

    def end(self, number: int = signal.SIGTERM, within: float = 90) -> tuple[int, float]:
        """The exit code after the signal, and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(within), time.monotonic() - began

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def output(self, event: str) -> int:
        return self.log.read_text().count(f'"event": "{event}"')

    def errors(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if '"level": "error"' in line]

    def gauges(self) -> dict[int, dict[str, float]]:
        """{partition: {name: value}} of the partitions it owns; nothing while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        found: dict[int, dict[str, float]] = {}
        for name, partition, value in _GAUGE.findall(text):
            found.setdefault(int(partition), {})[name] = float(value)
        return found

    def is_ready(self) -> bool:
        return self._answers("readyz")

    def detail(self) -> str:
        """What it says of its condition."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return str(answer.read())
        except urllib.error.HTTPError as not_ready:
            return str(not_ready.read())
        except OSError:
            return ""

    def answers(self) -> bool:
        return self._answers("healthz")

    def owns(self, *partitions: int) -> bool:
        return self.is_ready() and set(self.gauges()) == set(partitions)

    def _answers(self, page: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{page}", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass
class Scoring:
    """The topics of one test and the processes on them; whatever still runs at its end is killed."""

    settings: Settings
    topics: Topics
    folder: Path
    services: list[Service] = field(default_factory=list)
    partitions: int = PARTITIONS
    told_before: tuple[str, ...] = ()
    """Topics of scores of earlier epochs of the log."""

    def start(self, **environ: str) -> Service:
        number = len(self.services)
        log = self.folder / f"scoring-{number}.log"
        port = free_port({service.port for service in self.services})
        with log.open("wb") as stderr:
            process = warm.start(SCRIPT, [self.topics.group], self._environ(port) | environ, stderr.fileno())
        self.services.append(Service(process, port, log))
        return self.services[-1]

    def met(self, fault: str) -> tuple[Service, int]:
        """A process that met its fault, and the code it ended with. On a machine that is busy with other things the
        session of one may pass before, or its broker say nothing for a minute: it ends as it must, and is started
        again, as a supervisor does."""
        for _ in range(STARTS):
            service = self.start(DRILL_FAULT=fault)
            code = service.process.wait(90)
            if not service.output("not_alive") and "NotAliveError" not in service.log.read_text():
                return service, code
        raise AssertionError(f"each of {STARTS} processes has ended before its fault")

    def feed(self, records: Sequence[Keyed], count: int = 10_000, pauses: Callable[[], object] = lambda: None) -> None:
        """So many at a time, with a pause after each."""
        producer = Producer(self.settings)
        for some in slices(records, count):
            sent = [producer.send(self.topics.events, key, value) for key, value in some]
            producer.flush()
            for acknowledgement in sent:
                acknowledgement.get(60)
            pauses()
        producer.close()

    @contextmanager
    def feeding(self, records: Sequence[Keyed], count: int, pause: float) -> Iterator[None]:
        """Feeds so many at a time while the block runs, and the rest before it ends."""
        hurry = threading.Event()
        thread = threading.Thread(target=self.feed, args=(records, count, lambda: hurry.wait(pause)))
        thread.start()
        try:
            yield
        finally:
            hurry.set()
            thread.join(60)

    def reach(self, clock: datetime) -> None:
        """Ends the log on every partition."""
        producer = Producer(self.settings)
        sent = [
            producer.send(self.topics.events, None, clock_reached(clock), partition=n) for n in range(self.partitions)
        ]
        producer.flush()
        for acknowledgement in sent:
            acknowledgement.get(60)
        producer.close()

    def await_clock(self, clock: datetime, seconds: float = 120) -> None:
        """Returns when every partition is applied up to this end of the log."""
        reached = {number: clock.timestamp() for number in range(self.partitions)}
        eventually(lambda: self._clocks() == reached, seconds, f"the clock {clock}")

    def stop(self) -> None:
        for service in self.services:
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGKILL)
            service.process.wait(60)

    def _clocks(self) -> dict[int, float]:
        gauges = [service.gauges() for service in self.services if service.process.poll() is None]
        return {
            number: values["clock_seconds"]
            for assigned in gauges
            for number, values in assigned.items()
            if values.get("lag") == 0 and "clock_seconds" in values
        }

    def _environ(self, port: int) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(warm.ROOT),
            "RAPPORT_KAFKA": self.settings.kafka,
            "RAPPORT_CLOCK": "log",
            "RAPPORT_LOG_EPOCH": str(self.topics.epoch),
            "RAPPORT_LOG_FORMAT": "json",
            "RAPPORT_INSTANCE": "one",
            "RAPPORT_SCORING_SESSION_SECONDS": "3",
            "RAPPORT_SCORING_HEALTH_PORT": str(port),
            "RAPPORT_SCORING_DATADIR": str(self.folder / "faust"),
            "DRILL_RUN_LENGTH": "20",
        }
