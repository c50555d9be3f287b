"""The topics of one test, and notify as a process on them."""

import os
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from schemas.alerts import ALERT_EVENT, AlertEvent, Delivery
from schemas.events import partition_key, to_json
from schemas.scores import ScoreEvent
from services.notify.flow.restore import read_deliveries
from services.notify.topics import NotifyTopics
from services.runtime.kafka import Partition, Producer, Reader, create_topics, read_to_end
from services.runtime.settings import Settings
from tests import warm
from tests.notify.run_service import names
from tests.receiver import SECRET, Receiver, receiving

PARTITIONS = 2


@dataclass
class Notify:
    """Topics of one test; `start` starts a process, and whatever still runs at the end of the test is killed.
    `script`: what is started, beside this file."""

    settings: Settings
    names: NotifyTopics
    receiver: Receiver
    logs: Path
    script: str = "run_service.py"
    processes: list[warm.WarmProcess] = field(default_factory=list)

    def start(self, *arguments: str, **environ: str) -> warm.WarmProcess:
        script = Path(__file__).with_name(self.script)
        with (self.logs / f"notify-{len(self.processes)}.log").open("wb") as log:
            given = [self.names.identity, *arguments]
            process = warm.start(script, given, self._environ() | environ, log.fileno())
        self.processes.append(process)
        return process

    def log(self, number: int = 0) -> str:
        return (self.logs / f"notify-{number}.log").read_text()

    def write(self, *events: ScoreEvent) -> None:
        """All on partition 0, as if every relationship hashed there."""
        self.write_bytes([(_key(event), to_json(event)) for event in events])

    def write_bytes(self, records: Sequence[tuple[bytes | None, bytes]]) -> None:
        producer = Producer(self.settings)
        sent = [producer.send(self.names.scores, key, value, partition=0) for key, value in records]
        producer.flush()
        for acknowledgement in sent:
            acknowledgement.get(60)
        producer.close()

    def deliveries(self, relationship: str, channel: str = "webhook") -> list[Delivery]:
        found = read_deliveries(self.settings, self.names)
        return [d for d in found if (d.relationship, d.channel) == (relationship, channel)]

    def states(self, relationship: str, channel: str = "webhook") -> list[str]:
        return [delivery.state for delivery in self.deliveries(relationship, channel)]

    def alerts(self) -> list[AlertEvent]:
        read = read_to_end(self.settings, [self.names.alerts], isolation_level="read_committed")
        return [ALERT_EVENT.validate_json(record.value or b"") for record in read]

    def committed(self, topic: str) -> int:
        """How many records of a topic of one partition it has taken."""
        reader = Reader(self.settings, self.names.identity)
        try:
            found = reader.committed(Partition(topic, 0))
        finally:
            reader.close()
        return 0 if found is None else found.offset

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(warm.ROOT),
            "RAPPORT_KAFKA": self.settings.kafka,
            "RAPPORT_CLOCK": "log",
            "RAPPORT_LOG_FORMAT": "json",
            "RAPPORT_NOTIFY_WEBHOOK_URL": self.receiver.url,
            "RAPPORT_NOTIFY_WEBHOOK_SECRET": SECRET,
            "RAPPORT_NOTIFY_WEBHOOK_ALLOW_PRIVATE": "true",
        }


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def notify(local_kafka: LocalKafka, receiver: Receiver, tmp_path: Path) -> Iterator[Notify]:
    with notify_on(local_kafka, receiver, tmp_path) as found:
        yield found


@contextmanager
def notify_on(kafka: LocalKafka, receiver: Receiver, folder: Path) -> Iterator[Notify]:
    settings = Settings(kafka=kafka.bootstrap)
    found = Notify(settings, names(f"notify-{uuid.uuid4().hex[:8]}"), receiver, folder)
    create_topics(settings, _topics(found.names))
    try:
        yield found
    finally:
        for process in found.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(60)


def _topics(of: NotifyTopics) -> dict[str, dict[str, object]]:
    compacted = {
        *(of.alert_state, of.deliveries, of.directory, of.programs, of.roster, of.shared_state),
        *(of.subject_state, of.sources, of.board_tokens),
    }
    single = (of.commands, of.shared_state, of.leader, of.sources, of.rules, of.subject_state, of.board_tokens)
    return {
        topic: {
            "num_partitions": 1 if topic in single else PARTITIONS,
            "replication_factor": 1,
            "configs": {"cleanup.policy": "compact" if topic in compacted else "delete"},
        }
        for topic in sorted({of.scores, of.alerts, *compacted, *single})
    }


def _key(event: ScoreEvent) -> bytes | None:
    if event.type == "mentoring.clock.advanced.v1":
        return None
    return partition_key(event.tenant, event.subject).encode()
