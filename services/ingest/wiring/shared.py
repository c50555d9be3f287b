"""What all ways in share: the producer and its memory, the connections, counts and readiness."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.ingest.domain.clock import Clock
from services.ingest.domain.pseudonym import Pseudonym, pseudonym_of
from services.ingest.flow.intake import Gate
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.people.programs import ProgramLookup
from services.ingest.flow.readiness import Readiness
from services.ingest.flow.recorder import Recorder
from services.ingest.settings import IngestSettings
from services.ingest.sources.connection import Connection
from services.runtime.kafka import Producer

Parts = Mapping[str, Callable[[], None]]
"""What runs, each on a thread of its own, by name."""


@dataclass(frozen=True)
class Shared:
    settings: IngestSettings
    producer: Producer
    recorder: Recorder
    metrics: Metrics
    readiness: Readiness
    connections: Mapping[str, Connection]

    def pseudonym(self, tenant: str) -> Pseudonym:
        return pseudonym_of(self.settings.ingest_digest_key.get_secret_value(), tenant)

    def gate(self, programs: ProgramLookup) -> Gate:
        return Gate(self.clock, programs, self.pseudonym)

    def clock(self) -> Clock:
        return Clock(datetime.now(UTC), self.settings.clock)
