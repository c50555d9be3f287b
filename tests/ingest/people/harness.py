"""The attendance worker and the follower with a log of their own, on the real broker."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from prometheus_client import CollectorRegistry

from schemas.events import MENTORING_EVENT, OfPartition, OfRelationship, to_json
from schemas.topics import BOOKINGS, EVENTS, ROSTER
from services.ingest.domain.meetings.attendance_fold import ATTENDANCE
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.attendance import attendance
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.people.followers import ProjectionFollower
from services.ingest.flow.people.projector import projector
from services.ingest.flow.shared import IngestMetrics, ProjectionAccess, Shared
from services.ingest.flow.supervise import supervise
from services.ingest.settings import IngestSettings
from services.runtime.health import Health, PartsReadiness
from services.runtime.kafka import Producer, create_topics, read_to_end
from services.runtime.settings import Settings
from tests.receiver import eventually

PARTITIONS = 4
_epochs = count(20_000)


@dataclass
class OwnLog:
    """An epoch of the log that no other test has."""

    bootstrap: str
    clock: str = "wall"
    epoch: int = field(default_factory=lambda: next(_epochs))
    instance: str = ""

    def __post_init__(self) -> None:
        topics = (EVENTS, ROSTER, BOOKINGS)
        create_topics(
            Settings(kafka=self.bootstrap), {one.at(self.epoch): one.options(PARTITIONS, 1) for one in topics}
        )
        self.producer = Producer(self.settings)

    @property
    def topic(self) -> str:
        return EVENTS.at(self.epoch)

    @property
    def settings(self) -> IngestSettings:
        changed = {"kafka": self.bootstrap, "clock": self.clock, "log_epoch": self.epoch, "instance": self.instance}
        return IngestSettings.model_validate(changed)

    def write(self, *events: OfRelationship) -> None:
        for sent in [self.producer.send(self.topic, one.partitionkey.encode(), to_json(one)) for one in events]:
            sent.get(60)

    def write_everywhere(self, value: bytes) -> None:
        for sent in [self.producer.send(self.topic, None, value, partition=n) for n in range(PARTITIONS)]:
            sent.get(60)

    def events(self) -> list[OfRelationship]:
        values = [record.value or b"" for record in read_to_end(self.settings, [self.topic])]
        found = [MENTORING_EVENT.validate_json(value) for value in values if value.startswith(b'{"specversion')]
        return [one for one in found if not isinstance(one, OfPartition)]

    def outcomes(self) -> list[OfRelationship]:
        return [one for one in self.events() if one.source == ATTENDANCE]

    def shared(self, readiness: PartsReadiness) -> Shared:
        event_writer = EventWriter(self.producer, 1_000, self.topic)
        return Shared(self.settings, self.producer, event_writer, IngestMetrics(CollectorRegistry()), readiness, {})

    @contextmanager
    def projected(self) -> Iterator[None]:
        """A projector of its own, on a thread."""
        stop, failures = threading.Event(), Failures()
        with projector(self.settings, Health(), stop) as parts:
            thread = threading.Thread(target=failures.of, args=(parts, stop))
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(30)
        assert not failures.raised, failures.raised

    @contextmanager
    def worker(self) -> Iterator[Health]:
        """As the service composes it, on threads."""
        stop, health = threading.Event(), Health()
        readiness = PartsReadiness(health)
        shared = self.shared(readiness)
        projection = Projection()
        known = ProjectionAccess(projection, ProjectionFollower(self.settings, projection, readiness.part("knowledge")))
        with (
            projector(self.settings, readiness.part("projector"), stop, known.follower.snapshots) as projecting,
            attendance(shared, known, stop) as concluding,
        ):
            parts = {**projecting, **concluding}
            failures = Failures()
            thread = threading.Thread(target=failures.of, args=({**known.parts(stop), **parts}, stop))
            thread.start()
            try:
                yield health
            finally:
                stop.set()
                thread.join(30)
        assert not failures.raised, failures.raised


@dataclass
class Failures:
    raised: list[BaseException] = field(default_factory=list)

    def of(self, parts: dict[str, object], stop: threading.Event) -> None:
        try:
            supervise(parts, stop)  # type: ignore[arg-type]
        except BaseException as failure:  # noqa: BLE001 (told by the assertion on the test's thread)
            self.raised.append(failure)


def await_outcomes(log: OwnLog, ids: Sequence[str] | int) -> list[OfRelationship]:
    """Those that are on the log, when there are so many different ones."""
    wanted = ids if isinstance(ids, int) else len(ids)
    eventually(lambda: len({one.id for one in log.outcomes()}) >= wanted, what=f"{wanted} outcomes")
    return log.outcomes()
