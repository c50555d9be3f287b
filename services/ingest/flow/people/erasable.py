"""What the log and the directory know of a tenant's people and relationships, read once, for an erasure."""

from dataclasses import dataclass, field

from pydantic import ValidationError

from schemas.events import partition_key
from schemas.topics import DIRECTORY, EVENTS
from services.ingest.domain.people.roster import Roster
from services.ingest.flow.log_events import event_at
from services.runtime.kafka import Record, partition_count, read_to_end
from services.runtime.log_place import Misplaced
from services.runtime.settings import Settings

# Of the others one per relationship is enough, to know its programme.
TELLING = (b'"mentoring.relationship.', b'"mentoring.event.retracted.')


@dataclass
class Erasable:
    """`programs`: of every relationship on the log, whatever is told of it. `people`: those in the directory."""

    tenant: str
    roster: Roster = field(default_factory=Roster)
    programs: dict[str, str] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)

    def of(self, participant: str) -> list[str]:
        """Their relationships that are not erased."""
        return sorted(self.roster.ever(self.tenant, participant))

    def is_erased(self, relationship: str) -> bool:
        return self.roster.is_erased(self.tenant, relationship)


def erasable(settings: Settings, tenant: str) -> Erasable:
    """Raises KafkaError."""
    known, beginning = Erasable(tenant), partition_key(tenant, "").encode()
    for record in read_to_end(settings, [DIRECTORY.name]):
        if (record.key or b"").startswith(beginning):
            _know_person(known, (record.key or b"")[len(beginning) :].decode(errors="replace"), record)
    events = EVENTS.at(settings.log_epoch)
    partitions = partition_count(settings, events)
    for record in read_to_end(settings, [events]):
        if (record.key or b"").startswith(beginning):
            _hear(known, (record.key or b"")[len(beginning) :].decode(errors="replace"), record, partitions)
    return known


def _know_person(known: Erasable, participant: str, record: Record) -> None:
    if record.value is None:
        known.people.discard(participant)
    else:
        known.people.add(participant)


def _hear(known: Erasable, relationship: str, record: Record, partitions: int) -> None:
    if relationship in known.programs and not any(words in (record.value or b"") for words in TELLING):
        return
    try:
        event = event_at(record, partitions)
    except ValidationError:
        return  # what is no event counts for nothing anywhere; scoring puts it aside
    if isinstance(event, Misplaced):
        return
    if event.type != "mentoring.clock.reached.v1":
        known.programs.setdefault(relationship, event.program)
        known.roster.hear(event)
