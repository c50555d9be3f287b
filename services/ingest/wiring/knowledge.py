"""What is known of people, relationships and bookings: one for all who ask in this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.flow.people.followers import KnowledgeFollower
from services.ingest.flow.people.programs import ProgramLookup
from services.ingest.flow.room import UnavailableError
from services.ingest.wiring.shared import Parts, Shared
from services.runtime.loop import BatchLoop


@dataclass(frozen=True)
class Known:
    knowledge: Knowledge
    follower: KnowledgeFollower

    @cached_property
    def programs(self) -> ProgramLookup:
        """One for all ways in."""
        return ProgramLookup(self._told, self.knowledge.roster.was_started)

    def _told(self, tenant: str, relationship: str) -> str | None:
        """The programme of a relationship. Raises UnavailableError while the log is not read yet."""
        if not self.follower.is_caught_up:
            raise UnavailableError("relationships are still being read")
        found = self.knowledge.roster.relationship(tenant, relationship)
        return found.program if found else None

    def parts(self, stop: threading.Event) -> Parts:
        return {"knowledge": partial(self.follower.run, stop)}

    def then(self, loop: BatchLoop, stop: threading.Event) -> None:
        """Nobody is judged before everybody is known: a pair would be strangers."""
        self.follower.caught_up(stop)
        if not stop.is_set():
            loop.run(stop)


@contextmanager
def knowledge(shared: Shared) -> Iterator[Known]:
    known = Knowledge()
    yield Known(known, KnowledgeFollower(shared.settings, known, shared.readiness.part("knowledge")))
