"""The roster: who is known under which identities, and who is paired with whom. Folded from the relationship events of
the log and from the directory; every question names a tenant, and no answer leaves it."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from schemas import payloads as p
from schemas.directory import Participant
from schemas.events import OfRelationship
from services.ingest.domain.people.identities import NOBODY, Conflict, Identities
from services.ingest.domain.people.life import Life, Pause
from services.ingest.domain.people.relationship import Relationship
from services.ingest.domain.tools.said import Person

TOLD = "mentoring.relationship."
ERASED = "mentoring.relationship.erased.v1"
LATEST = datetime.max.replace(tzinfo=UTC)


class Roster:
    """One thread tells it at a time, any thread asks."""

    def __init__(self, digest_key: str = "") -> None:
        self._identities = Identities(digest_key)
        self._lives: dict[tuple[str, str], Life] = {}
        self._of: dict[tuple[str, str], frozenset[str]] = {}
        self._erased: set[tuple[str, str]] = set()

    def hear(self, event: OfRelationship) -> None:
        """Any event of the log; those that tell nothing of relationships change nothing."""
        if not _concerns(event):
            return
        key = event.tenant, event.subject
        if event.type == ERASED:
            self._erased.add(key)
            self._drop(key)
        elif key not in self._erased:
            self._keep(key, self._lives.get(key, Life()).told(event))

    def learn(self, participant: Participant) -> tuple[Conflict, ...]:
        return self._identities.learn(participant)

    def forget(self, tenant: str, participant: str) -> None:
        self._identities.forget(tenant, participant)

    def known(self, tenant: str, participant: str) -> Participant | None:
        """As the directory has them; somebody may be in a relationship and not in the directory."""
        return self._identities.get(tenant, participant)

    def identify(self, tenant: str, tool: str, person: Person) -> frozenset[str]:
        """Whom the tool means: nobody of ours, one, or several where what is known of the person contradicts itself."""
        claims = list(self._identities.claiming(tenant, tool, person))
        if person.participant and self._is_ours(tenant, person.participant):
            claims.append(frozenset({person.participant}))
        if not claims:
            return NOBODY
        return frozenset.intersection(*claims) or frozenset.union(*claims)

    def participant(self, tenant: str, tool: str, person: Person) -> str | None:
        """The one person whom the tool means, if it is one."""
        found = self.identify(tenant, tool, person)
        return next(iter(found)) if len(found) == 1 else None

    def relationship(self, tenant: str, relationship: str, at: datetime = LATEST) -> Relationship | None:
        life = self._lives.get((tenant, relationship))
        return life.at(tenant, relationship, at) if life else None

    def is_erased(self, tenant: str, relationship: str) -> bool:
        return (tenant, relationship) in self._erased

    def of(self, tenant: str, program: str | None, participant: str, at: datetime) -> tuple[Relationship, ...]:
        """The relationships of a person that are not over at that moment."""
        return _begun(self._open(tenant, program, {participant}, at), at)

    def pairs(
        self, tenant: str, program: str | None, participants: AbstractSet[str], at: datetime
    ) -> tuple[Relationship, ...]:
        """The relationships with one of each side among the participants; a group is one, however many came."""
        together = [one for one in self._open(tenant, program, participants, at) if one.meets(participants)]
        return _begun(together, at)

    def ever(self, tenant: str, participant: str) -> tuple[str, ...]:
        """The ids of all relationships that somebody was ever in and that are not erased."""
        return tuple(sorted(self._of.get((tenant, participant), NOBODY)))

    def pauses(self, tenant: str, relationship: str) -> tuple[Pause, ...]:
        life = self._lives.get((tenant, relationship))
        return life.pauses() if life else ()

    def _open(
        self, tenant: str, program: str | None, participants: AbstractSet[str], at: datetime
    ) -> Iterator[Relationship]:
        ids = frozenset().union(*(self._of.get((tenant, one), NOBODY) for one in participants))
        for relationship in sorted(ids):
            found = self.relationship(tenant, relationship, at)
            if found and not found.is_over(at) and found.people & participants and program in {None, found.program}:
                yield found

    def _is_ours(self, tenant: str, participant: str) -> bool:
        return self.known(tenant, participant) is not None or (tenant, participant) in self._of

    def _keep(self, key: tuple[str, str], life: Life) -> None:
        self._lives[key] = life
        for person in life.people():
            self._of[key[0], person] = self._of.get((key[0], person), NOBODY) | {key[1]}

    def _drop(self, key: tuple[str, str]) -> None:
        life = self._lives.pop(key, Life())
        for person in life.people():
            left = self._of[key[0], person] - {key[1]}
            if left:
                self._of[key[0], person] = left
            else:
                del self._of[key[0], person]


def _concerns(event: OfRelationship) -> bool:
    told = event.data.type if isinstance(event.data, p.EventRetracted) else event.type
    return told.startswith(TOLD)


def _begun(found: Iterable[Relationship], at: datetime) -> tuple[Relationship, ...]:
    """A tool may tell of a pair before its first day, but not of one that is to follow another one of the same two."""
    several = tuple(found)
    begun = [one for one in several if one.started <= at]
    return tuple(one for one in several if one.started <= at or not any(b.meets(one.people) for b in begun))
