"""What all ways in share: the producer and its memory, the connections, counts and readiness."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.ingest.domain.admission import Clock
from services.ingest.domain.ids import Pseudonym, pseudonym_of
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.intake import Gate, clock_now
from services.ingest.flow.people.followers import ProjectionFollower
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.ingest.flow.supervise import Parts
from services.ingest.settings import IngestSettings
from services.ingest.sources.tool import Connection
from services.runtime.health import PartsReadiness
from services.runtime.kafka import Producer
from services.runtime.loop import BatchLoop

# Whose pseudonyms are at hand; those of others are made anew.
MOST_TENANTS = 1_000


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

    def gate(self, programs: ProgramLookup) -> Gate:
        key = self.settings.ingest_digest_key.get_secret_value()
        # Made once: hashing lets other threads run first, which may take longer than all else that an event needs.
        pseudonyms = lru_cache(MOST_TENANTS)(partial(pseudonym_of, key))
        return Gate(partial(clock_now, self.settings.clock), programs, pseudonyms)

    def clock(self) -> Clock:
        return clock_now(self.settings.clock)


WANTED_NOTICED_SECONDS = 0.2


@dataclass(frozen=True)
class ProjectionAccess:
    """Nothing is read before somebody asks: a gateway whose tokens are all of whole tenants follows nothing."""

    projection: Projection
    follower: ProjectionFollower
    wanted: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def programs(self) -> ProgramLookup:
        """One for all ways in."""
        return ProgramLookup(self._told, self.projection.roster.was_started, self.wanted.is_set)

    def _told(self, tenant: str, relationship: str) -> str | None:
        """The programme of a relationship. Raises UnavailableError while relationships are not known up to now."""
        self.wanted.set()
        if not self.follower.is_fresh:
            raise UnavailableError("relationships are still being read")
        found = self.projection.roster.relationship(tenant, relationship)
        return found.program if found else None

    def parts(self, stop: threading.Event) -> Parts:
        return {"knowledge": partial(self._follow, stop)}

    def _follow(self, stop: threading.Event) -> None:
        self.follower.rest()
        while not self.wanted.wait(WANTED_NOTICED_SECONDS):
            if stop.is_set():
                return
        self.follower.run(stop)

    def then(self, loop: BatchLoop, stop: threading.Event) -> None:
        """Nobody is judged before everybody is known: a pair would be strangers."""
        self.wanted.set()
        self.follower.caught_up(stop)
        if not stop.is_set():
            loop.run(stop)


@contextmanager
def projection(shared: Shared, *, roster_only: bool) -> Iterator[ProjectionAccess]:
    known = Projection(Roster(shared.settings.ingest_digest_key.get_secret_value()))
    health = shared.readiness.part("knowledge")
    yield ProjectionAccess(known, ProjectionFollower(shared.settings, known, health, roster_only=roster_only))
