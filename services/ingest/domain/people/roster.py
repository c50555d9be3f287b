"""Who is who, and who is paired with whom. Under a tool's id or an address one person of the directory is known: where
two claim it, it is nobody's, because a meeting must never count for the wrong person."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from hashlib import sha1
from typing import NamedTuple

from schemas import payloads as p
from schemas.directory import Participant
from schemas.events import OfRelationship
from services.ingest.domain.activity import Person
from services.ingest.domain.ids import Subject, is_plain, pseudonym_of
from services.ingest.domain.people.relationship_history import (
    Pause,
    Relationship,
    RelationshipHistory,
    bounded_history,
    is_overgrown,
)
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Ignored, Rejected, rejected

Key = tuple[str, str, str]
ADDRESS = ""
"""Stands for the tool where any tool may know the address."""
NOBODY: frozenset[str] = frozenset()
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
SHA1 = re.compile(r"[0-9a-f]{40}", re.ASCII)
"""In place of an address, as xAPI may tell of somebody: that of `mailto:` and the address."""


class Conflict(NamedTuple):
    """An identity that several participants claim, by their ids; the identity itself is personal and is not told."""

    tenant: str
    tool: str
    participants: tuple[str, ...]


Sets = dict[tuple[str, ...], frozenset[str]]
"""Sets are replaced, never changed, so that any thread may ask while one writes."""


def add(sets: Sets, key: tuple[str, ...], one: str) -> None:
    sets[key] = sets.get(key, NOBODY) | {one}


def take(sets: Sets, key: tuple[str, ...], one: str) -> None:
    """The set goes with its last one."""
    left = sets.get(key, NOBODY) - {one}
    if left:
        sets[key] = left
    else:
        sets.pop(key, None)


def normal(value: str) -> str:
    """Addresses are compared without regard to case and to how their letters are spelt (`bücher.example` is
    `xn--bcher-kva.example`), UUIDs without regard to case, other ids of tools exactly."""
    value = value.strip()
    if "@" not in value or value.isascii():
        return value.casefold() if "@" in value or UUID.fullmatch(value) else value
    local, _, domain = unicodedata.normalize("NFC", value.casefold()).rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return f"{local}@{domain}"


TOLD = "mentoring.relationship."
ERASED = "mentoring.relationship.erased.v1"
LATEST = datetime.max.replace(tzinfo=UTC)


class Roster:
    """One thread tells it at a time, any thread asks. With the installation's digest key, people are also known by the
    digests that stand in payloads for ids of theirs that may be text."""

    def __init__(self, digest_key: str = "") -> None:
        self._digest_key = digest_key
        self._known: dict[tuple[str, str], Participant] = {}
        self._owners: Sets = {}
        self._hashed: dict[tuple[str, bytes], str] = {}
        self._histories: dict[tuple[str, str], RelationshipHistory] = {}
        self._of: Sets = {}
        self._erased: set[tuple[str, str]] = set()

    def apply(self, event: OfRelationship) -> None:
        """Any event of the log; those that tell nothing of relationships change nothing."""
        told = event.data.type if isinstance(event.data, p.EventRetracted) else event.type
        if not told.startswith(TOLD):
            return
        key = event.tenant, event.subject
        if event.type == ERASED:
            self.erase(*key)
        elif key not in self._erased:
            self._keep(key, self._histories.get(key, RelationshipHistory()).told(event))

    def restore(self, tenant: str, relationship: str, history: RelationshipHistory) -> None:
        """What the projection holds of a relationship; what was heard besides stays."""
        key = tenant, relationship
        if key not in self._erased:
            self._keep(key, self._histories.get(key, RelationshipHistory()).merged(history))

    def erase(self, tenant: str, relationship: str) -> None:
        """For good: whatever is heard of it later is not kept."""
        key = tenant, relationship
        self._erased.add(key)
        for person in self._histories.pop(key, RelationshipHistory()).people():
            take(self._of, (tenant, person), relationship)

    def history(self, tenant: str, relationship: str) -> RelationshipHistory:
        """Empty where nothing is known."""
        return self._histories.get((tenant, relationship), RelationshipHistory())

    def upsert(self, participant: Participant) -> tuple[Conflict, ...]:
        """Replaces what was known of the participant. Returns the identities that others claim as well."""
        self.forget(participant.tenant, participant.id)
        self._known[participant.tenant, participant.id] = participant
        self._hashed.update({(participant.tenant, digest): address for digest, address in _hashes(participant)})
        conflicts = []
        for key in set(self._keys(participant)):
            add(self._owners, key, participant.id)
            if len(claimed := self._claiming(key)) > 1:
                conflicts.append(Conflict(participant.tenant, key[1] or "address", tuple(sorted(claimed))))
        return tuple(conflicts)

    def forget(self, tenant: str, participant: str) -> None:
        known = self._known.pop((tenant, participant), None)
        for key in set(self._keys(known)) if known else ():
            take(self._owners, key, participant)
        for digest, address in _hashes(known) if known else ():
            if (tenant, ADDRESS, normal(address)) not in self._owners:
                self._hashed.pop((tenant, digest), None)

    def known(self, tenant: str, participant: str) -> Participant | None:
        """As the directory has them; somebody may be in a relationship and not in the directory."""
        return self._known.get((tenant, participant))

    def identify(self, tenant: str, tool: str, person: Person) -> frozenset[str]:
        """Whom the tool means: nobody of ours, one, or several where what is known of the person contradicts itself."""
        claims: list[frozenset[str]] = []
        hashed = self._hashed.get((tenant, bytes.fromhex(person.id)), "") if SHA1.fullmatch(person.id) else ""
        for value in filter(None, (person.id, person.address, hashed)):
            found = self._claiming((tenant, tool, normal(value)))
            if "@" in value:
                found |= self._claiming((tenant, ADDRESS, normal(value)))
            claims += [found] if found else []
        key = tenant, person.participant
        if person.participant and (key in self._known or key in self._of):
            claims.append(frozenset({person.participant}))
        if not claims:
            return NOBODY
        return frozenset.intersection(*claims) or frozenset.union(*claims)

    def participant(self, tenant: str, tool: str, person: Person) -> str | None:
        """The one person whom the tool means, if it is one."""
        found = self.identify(tenant, tool, person)
        return next(iter(found)) if len(found) == 1 else None

    def relationship(self, tenant: str, relationship: str, at: datetime = LATEST) -> Relationship | None:
        life = self._histories.get((tenant, relationship))
        return life.at(tenant, relationship, at) if life else None

    def was_started(self, tenant: str, relationship: str) -> bool:
        """Whether a start was ever told of, also one that was retracted or erased since."""
        life = self._histories.get((tenant, relationship))
        return self.is_erased(tenant, relationship) or (life is not None and bool(life.people()))

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
        life = self._histories.get((tenant, relationship))
        return life.pauses() if life else ()

    def _open(
        self, tenant: str, program: str | None, participants: AbstractSet[str], at: datetime
    ) -> Iterator[Relationship]:
        ids = frozenset().union(*(self._of.get((tenant, one), NOBODY) for one in participants))
        for relationship in sorted(ids):
            found = self.relationship(tenant, relationship, at)
            if found and not found.is_over(at) and found.people & participants and program in {None, found.program}:
                yield found

    def _keep(self, key: tuple[str, str], life: RelationshipHistory) -> None:
        tenant, relationship = key
        if is_overgrown(life):
            for person in life.people():
                take(self._of, (tenant, person), relationship)
            life = bounded_history(life)
        self._histories[key] = life
        for person in life.people():
            add(self._of, (tenant, person), relationship)

    def _keys(self, participant: Participant) -> Iterator[Key]:
        for address in participant.addresses:
            yield participant.tenant, ADDRESS, normal(address)
        for identity in participant.identities:
            yield participant.tenant, identity.tool, normal(identity.id)
            if self._digest_key and not is_plain(identity.id):
                digest = pseudonym_of(self._digest_key, participant.tenant)(identity.id.strip())
                yield participant.tenant, identity.tool, digest

    def _claiming(self, key: Key) -> frozenset[str]:
        """Who has left gives an address free for somebody else."""
        owners = self._owners.get(key, NOBODY)
        known = ((owner, self._known.get((key[0], owner))) for owner in owners)
        return frozenset(owner for owner, one in known if one is None or one.status != "exited") or owners


STRANGERS = Ignored("strangers")


def company(people: Iterable[Person], scope: ConnectionScope, roster: Roster) -> frozenset[str] | Rejected:
    """The participants among the people; the others are none of our business. Rejected where one of them could be
    several participants: it is not known then which pairs are together."""
    known: set[str] = set()
    for place, person in enumerate(people):
        found = roster.identify(scope.tenant, scope.tool, person)
        if len(found) > 1:
            return several(f"people.{place}", found)
        known |= found
    return frozenset(known)


def several(path: str, found: frozenset[str]) -> Rejected:
    names = ", ".join(sorted(found)[:5])
    return rejected("unresolved", path, f"what the tool knows of this person points to several participants: {names}")


def pairs(
    present: frozenset[str], scope: ConnectionScope, roster: Roster, at: datetime
) -> tuple[Relationship, ...] | Ignored | Rejected:
    """The relationships whose two sides are present; never an empty tuple."""
    found = roster.pairs(scope.tenant, scope.program, present, at)
    if found:
        return found
    return no_pair(present, scope) if len(present) > 1 else STRANGERS


def no_pair(present: frozenset[str], scope: ConnectionScope) -> Rejected:
    where = f"in programme {scope.program!r}" if scope.program else "in any programme"
    return rejected("unresolved", "people", f"{len(present)} participants are there, and no pair of them {where} yet")


def subject(scope: ConnectionScope, relationship: Relationship) -> Subject:
    return Subject(scope.source, scope.tenant, relationship.program, relationship.id)


def _hashes(participant: Participant) -> Iterator[tuple[bytes, str]]:
    """Of addresses as the directory has them and in lower case: others write them so."""
    for address in participant.addresses:
        for written in {address, address.casefold()}:
            yield sha1(f"mailto:{written}".encode(), usedforsecurity=False).digest(), address


def _begun(found: Iterable[Relationship], at: datetime) -> tuple[Relationship, ...]:
    """A tool may tell of a pair before its first day, but not of one that is to follow another one of the same two."""
    several = tuple(found)
    begun = [one for one in several if one.started <= at]
    return tuple(one for one in several if one.started <= at or not any(b.meets(one.people) for b in begun))
