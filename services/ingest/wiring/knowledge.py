"""What is known of people, relationships and bookings: one for all who ask in this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

from services.ingest.domain.people.roster import Roster
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.flow.people.followers import KnowledgeFollower
from services.ingest.flow.people.programs import ProgramLookup
from services.ingest.flow.room import UnavailableError
from services.ingest.wiring.shared import Parts, Shared
from services.runtime.loop import BatchLoop

WANTED_NOTICED_SECONDS = 0.2


@dataclass(frozen=True)
class Known:
    """Nothing is read before somebody asks: a gateway whose tokens are all of whole tenants follows nothing."""

    knowledge: Knowledge
    follower: KnowledgeFollower
    wanted: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def programs(self) -> ProgramLookup:
        """One for all ways in."""
        return ProgramLookup(self._told, self.knowledge.roster.was_started, self.wanted.is_set)

    def _told(self, tenant: str, relationship: str) -> str | None:
        """The programme of a relationship. Raises UnavailableError while relationships are not known up to now."""
        self.wanted.set()
        if not self.follower.is_fresh:
            raise UnavailableError("relationships are still being read")
        found = self.knowledge.roster.relationship(tenant, relationship)
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
def knowledge(shared: Shared) -> Iterator[Known]:
    known = Knowledge(Roster(shared.settings.ingest_digest_key.get_secret_value()))
    yield Known(known, KnowledgeFollower(shared.settings, known, shared.readiness.part("knowledge")))
