"""What the log and the directory know of a tenant's people and relationships, read once, for an erasure."""

from dataclasses import dataclass, field

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT, partition_key
from schemas.topics import DIRECTORY, EVENTS
from services.ingest.domain.people.roster import Roster
from services.runtime.kafka import Record, read_to_end
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
    for record in read_to_end(settings, [EVENTS.at(settings.log_epoch)]):
        if (record.key or b"").startswith(beginning):
            _hear(known, (record.key or b"")[len(beginning) :].decode(errors="replace"), record.value or b"")
    return known


def _know_person(known: Erasable, participant: str, record: Record) -> None:
    if record.value is None:
        known.people.discard(participant)
    else:
        known.people.add(participant)


def _hear(known: Erasable, relationship: str, value: bytes) -> None:
    if relationship in known.programs and not any(words in value for words in TELLING):
        return
    try:
        event = MENTORING_EVENT.validate_json(value)
    except ValidationError:
        return  # what is no event counts for nothing anywhere; scoring puts it aside
    if event.type != "mentoring.clock.reached.v1":
        known.programs.setdefault(relationship, event.program)
        known.roster.hear(event)
