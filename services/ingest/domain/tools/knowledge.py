"""All that is needed to tell which relationship a tool speaks of; each part is folded from the log."""

import threading
from dataclasses import dataclass, field

from schemas.directory import Participant
from schemas.events import MentoringEvent
from services.ingest.domain.meetings.bookings import Bookings
from services.ingest.domain.meetings.presence import Presence
from services.ingest.domain.people.identities import Conflict
from services.ingest.domain.people.projection import BookingsRecord, RosterRecord
from services.ingest.domain.people.roster import ERASED, Roster
from services.ingest.domain.tools.said import Joined, Left, Said
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.tools.spoken import Memory


@dataclass(frozen=True)
class Knowledge:
    """For any thread. To hear a repeat changes nothing, so that what was just written may be heard at once, and once
    more when it comes back on the log."""

    roster: Roster = field(default_factory=Roster)
    bookings: Bookings = field(default_factory=Bookings)
    presence: Presence = field(default_factory=Presence)
    memory: Memory = field(default_factory=Memory)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def hear(self, event: MentoringEvent) -> None:
        if event.type == "mentoring.clock.reached.v1":
            return
        with self._lock:
            self.roster.hear(event)
            # What comes after an erasure brings nothing back; the erasure itself is of bookings too.
            if event.type == ERASED or not self.roster.is_erased(event.tenant, event.subject):
                self.bookings.hear(event)
            self.memory.hear(event)

    def recall(self, event: MentoringEvent) -> None:
        """What tools said before; it changes nothing of who is paired and what is booked."""
        if event.type != "mentoring.clock.reached.v1":
            with self._lock:
                self.memory.hear(event)

    def apply_roster(self, tenant: str, relationship: str, record: RosterRecord) -> None:
        with self._lock:
            if record.erased:
                self.roster.erase(tenant, relationship)
                self.bookings.forget(tenant, relationship)
            else:
                self.roster.apply(tenant, relationship, record.history)

    def apply_bookings(self, tenant: str, relationship: str, record: BookingsRecord) -> None:
        with self._lock:
            if not self.roster.is_erased(tenant, relationship):
                self.bookings.apply(tenant, relationship, record.sessions)

    def learn(self, participant: Participant) -> tuple[Conflict, ...]:
        """Returns the identities that others claim as well: they are nobody's from now on."""
        with self._lock:
            return self.roster.learn(participant)

    def forget(self, tenant: str, participant: str) -> None:
        with self._lock:
            self.roster.forget(tenant, participant)

    def attend(self, said: Said, speaker: Speaker) -> None:
        """Who came to a meeting and who left, for what is said of that meeting next; to be told after `resolve`, and,
        after a restart, for what was said within the last day. Whatever else is said changes nothing."""
        who = None
        if isinstance(said, Joined | Left):
            who = self.roster.participant(speaker.tenant, speaker.tool, said.person)
        with self._lock:
            self.presence.hear(speaker.source, said, who)
