"""What all parts of a process share: producer, event writer, connections, metrics, readiness and the projection."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.ingest.domain.admission import Clock, EventAdmission
from services.ingest.domain.ids import Pseudonym, pseudonym_of
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.people.followers import ProjectionFollower
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.ingest.flow.supervise import Parts
from services.ingest.settings import IngestSettings
from services.ingest.sources.tool import Connection
from services.runtime.health import PartsReadiness
from services.runtime.kafka import Producer
from services.runtime.loop import BatchLoop

# Tenants whose pseudonym functions are cached.
MAX_TENANTS = 1_000


class IngestMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "rapport_ingest_events",
            "Events handed in, by way (http, raw) and outcome (recorded, duplicate, or the reason of a rejection)",
            ["way", "outcome"],
            registry=registry,
        )
        self.dropped = Counter(
            "rapport_ingest_dropped_attributes",
            "Attributes of events that are not on the log because we do not know them, by way (http, raw)",
            ["way"],
            registry=registry,
        )
        self.payloads = Counter(
            "rapport_ingest_payloads",
            "Of tools, by tool, place (http: requests; log: payloads of the raw topic) and outcome",
            ["tool", "place", "outcome"],
            registry=registry,
        )
        self.requests = Histogram(
            "rapport_ingest_request_seconds",
            "From the head of a request to its answer, which waits for the broker",
            ["status"],
            registry=registry,
        )
        self.fetches = Gauge(
            "rapport_ingest_waiting_fetches",
            "What notifications of tools point to and is not fetched yet",
            registry=registry,
        )
        self.outstanding = Gauge(
            "rapport_ingest_outstanding_bytes", "Of requests that wait for the broker", registry=registry
        )
        self.connections = Gauge("rapport_ingest_connections", "Open to the gateway", registry=registry)
        self.connections_cut = Counter(
            "rapport_ingest_connections_cut",
            "Connections that the gateway ended by itself, by why",
            ["why"],
            registry=registry,
        )


@dataclass(frozen=True)
class Shared:
    settings: IngestSettings
    producer: Producer
    event_writer: EventWriter
    metrics: IngestMetrics
    readiness: PartsReadiness
    connections: Mapping[str, Connection]

    def pseudonym(self, tenant: str) -> Pseudonym:
        return pseudonym_of(self.settings.ingest_digest_key.get_secret_value(), tenant)

    def admission(self, programs: ProgramLookup) -> EventAdmission:
        key = self.settings.ingest_digest_key.get_secret_value()
        # Cached: hashing releases the interpreter lock, and waiting for it may take longer than admitting an event.
        pseudonyms = lru_cache(MAX_TENANTS)(partial(pseudonym_of, key))
        return EventAdmission(partial(datetime.now, UTC), self.settings.clock, programs, pseudonyms)

    def clock(self) -> Clock:
        return Clock(datetime.now(UTC), self.settings.clock)


WANTED_NOTICED_SECONDS = 0.2


@dataclass(frozen=True)
class ProjectionAccess:
    """The projection, which is followed from the first time it is needed: a gateway whose tokens are all of whole
    tenants never follows it."""

    projection: Projection
    follower: ProjectionFollower
    wanted: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def programs(self) -> ProgramLookup:
        """One for all parts."""
        return ProgramLookup(self._projected_program, self.projection.roster.was_started, self.wanted.is_set)

    def _projected_program(self, tenant: str, relationship: str) -> str | None:
        """Raises UnavailableError while the projection is behind the log."""
        self.wanted.set()
        if not self.follower.is_fresh:
            raise UnavailableError("relationships are still being read")
        found = self.projection.roster.relationship(tenant, relationship)
        return found.program if found else None

    def parts(self, stop: threading.Event) -> Parts:
        return {"knowledge": partial(self._follow, stop)}

    def _follow(self, stop: threading.Event) -> None:
        self.follower.mark_idle()
        while not self.wanted.wait(WANTED_NOTICED_SECONDS):
            if stop.is_set():
                return
        self.follower.run(stop)

    def run_caught_up(self, loop: BatchLoop, stop: threading.Event) -> None:
        """Runs the loop after the projection has caught up: before, a pair would not be recognised as one."""
        self.wanted.set()
        self.follower.wait_until_caught_up(stop)
        if not stop.is_set():
            loop.run(stop)


@contextmanager
def projection_access(shared: Shared, *, roster_only: bool) -> Iterator[ProjectionAccess]:
    projection = Projection(Roster(shared.settings.ingest_digest_key.get_secret_value()))
    health = shared.readiness.part("knowledge")
    follower = ProjectionFollower(shared.settings, projection, health, roster_only=roster_only)
    yield ProjectionAccess(projection, follower)
