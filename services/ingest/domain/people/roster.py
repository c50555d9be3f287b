"""Identities and relationships of participants. A tool's id or an address identifies one participant of the directory.
If two claim it, it identifies nobody, because a meeting must never count for the wrong person."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime
from hashlib import sha1
from typing import NamedTuple

from schemas import payloads as p
from schemas.directory import Participant
from schemas.events import OfRelationship
from services.ingest.domain.activity import Person
from services.ingest.domain.ids import Subject, is_plain, pseudonym_of
from services.ingest.domain.people.relationship_history import (
    LATEST,
    Pause,
    Relationship,
    RelationshipHistory,
    bounded_history,
    exceeds_bounds,
)
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Ignored, Rejected, rejected

Key = tuple[str, str, str]
ADDRESS = ""
"""In place of the tool in the key of an address, which any tool may use."""
NOBODY: frozenset[str] = frozenset()
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
SHA1 = re.compile(r"[0-9a-f]{40}", re.ASCII)
"""Digest of `mailto:` and the address, which xAPI may use in place of an address."""


class Conflict(NamedTuple):
    """The ids of several participants that claim one identity. The identity itself is personal and not included."""

    tenant: str
    tool: str
    participants: tuple[str, ...]


Sets = dict[tuple[str, ...], frozenset[str]]
"""Sets are replaced and never mutated, so that any thread may read while one writes."""


def add(sets: Sets, key: tuple[str, ...], one: str) -> None:
    sets[key] = sets.get(key, NOBODY) | {one}


def remove(sets: Sets, key: tuple[str, ...], one: str) -> None:
    """Removes the key with its last element."""
    left = sets.get(key, NOBODY) - {one}
    if left:
        sets[key] = left
    else:
        sets.pop(key, None)


_WEB_PAGE = re.compile(r"(https?)://([^/?#@\s:]+)(:[0-9]+)?(/(?=[?#]|$))?(.*)", re.IGNORECASE | re.DOTALL)
_DEFAULT_PORTS = frozenset({("http", ":80"), ("https", ":443")})


def normal_page(value: str) -> str:
    """Writes a web page, or an id on it, as RFC 3986 (6.2) normalises it: scheme and host in lower case, without the
    scheme's own port and the slash of an empty path. http and https stay different: they may be two systems."""
    found = _WEB_PAGE.fullmatch(value.strip())
    if found is None:
        return value
    scheme, port = found[1].lower(), found[3] or ""
    return f"{scheme}://{found[2].lower()}{'' if (scheme, port) in _DEFAULT_PORTS else port}{found[5]}"


def normal(value: str) -> str:
    """Normalises an identity for comparison. Addresses ignore case and the encoding of their letters (`bücher.example`
    is `xn--bcher-kva.example`), UUIDs ignore case, web pages are as in `normal_page`, other ids of tools are compared
    exactly."""
    value = normal_page(value.strip())
    if "@" not in value or value.isascii():
        return value.casefold() if "@" in value or UUID.fullmatch(value) else value
    local, _, domain = unicodedata.normalize("NFC", value.casefold()).rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return f"{local}@{domain}"


RELATIONSHIP_TYPES = "mentoring.relationship."
ERASED = "mentoring.relationship.erased.v1"


class Roster:
    """One thread writes at a time, any thread reads. With the installation's digest key, participants are also found by
    the digests that replace ids that may be text in payloads."""

    def __init__(self, digest_key: str = "") -> None:
        self._digest_key = digest_key
        self._participants: dict[tuple[str, str], Participant] = {}
        self._owners: Sets = {}
        self._hashed: dict[tuple[str, bytes], str] = {}
        self._histories: dict[tuple[str, str], RelationshipHistory] = {}
        self._relationships: Sets = {}
        self._erased: set[tuple[str, str]] = set()

    def apply(self, event: OfRelationship) -> None:
        """Applies any event of the log. Events that are not about relationships change nothing."""
        stated = event.data.type if isinstance(event.data, p.EventRetracted) else event.type
        if not stated.startswith(RELATIONSHIP_TYPES):
            return
        key = event.tenant, event.subject
        if event.type == ERASED:
            self.erase(*key)
        elif key not in self._erased:
            self._store(key, self._histories.get(key, RelationshipHistory()).with_event(event))

    def restore(self, tenant: str, relationship: str, history: RelationshipHistory) -> None:
        """Merges a projected history. Events that were applied before stay."""
        key = tenant, relationship
        if key not in self._erased:
            self._store(key, self._histories.get(key, RelationshipHistory()).merge(history))

    def erase(self, tenant: str, relationship: str) -> None:
        """Erases permanently: later events of the relationship are not stored."""
        key = tenant, relationship
        self._erased.add(key)
        for person in self._histories.pop(key, RelationshipHistory()).people():
            remove(self._relationships, (tenant, person), relationship)

    def history(self, tenant: str, relationship: str) -> RelationshipHistory:
        """Empty for an unknown relationship."""
        return self._histories.get((tenant, relationship), RelationshipHistory())

    def upsert(self, participant: Participant) -> tuple[Conflict, ...]:
        """Replaces the participant. Returns the identities that others claim as well."""
        self.forget(participant.tenant, participant.id)
        self._participants[participant.tenant, participant.id] = participant
        self._hashed.update({(participant.tenant, digest): address for digest, address in _hashes(participant)})
        conflicts = []
        for key in set(self._keys(participant)):
            add(self._owners, key, participant.id)
            if len(claimed := self._claiming(key)) > 1:
                conflicts.append(Conflict(participant.tenant, key[1] or "address", tuple(sorted(claimed))))
        return tuple(conflicts)

    def forget(self, tenant: str, participant: str) -> None:
        before = self._participants.pop((tenant, participant), None)
        if before is None:
            return
        for key in set(self._keys(before)):
            remove(self._owners, key, participant)
        for digest, address in _hashes(before):
            if (tenant, ADDRESS, normal(address)) not in self._owners:
                self._hashed.pop((tenant, digest), None)

    def registered(self, tenant: str, participant: str) -> Participant | None:
        """The participant as in the directory. Somebody may be in a relationship and not in the directory."""
        return self._participants.get((tenant, participant))

    def identify(self, tenant: str, tool: str, person: Person) -> frozenset[str]:
        """The participants whom the tool may mean: none, one, or several if the person's identities contradict each
        other."""
        claims: list[frozenset[str]] = []
        hashed = self._hashed.get((tenant, bytes.fromhex(person.id)), "") if SHA1.fullmatch(person.id) else ""
        for value in filter(None, (person.id, person.address, hashed)):
            found = self._claiming((tenant, tool, normal(value)))
            if "@" in value:
                found |= self._claiming((tenant, ADDRESS, normal(value)))
            claims += [found] if found else []
        key = tenant, person.participant
        if person.participant and (key in self._participants or key in self._relationships):
            claims.append(frozenset({person.participant}))
        if not claims:
            return NOBODY
        return frozenset.intersection(*claims) or frozenset.union(*claims)

    def participant(self, tenant: str, tool: str, person: Person) -> str | None:
        """The participant whom the tool means, if it is exactly one."""
        found = self.identify(tenant, tool, person)
        return next(iter(found)) if len(found) == 1 else None

    def relationship(self, tenant: str, relationship: str, at: datetime = LATEST) -> Relationship | None:
        history = self._histories.get((tenant, relationship))
        return history.at(tenant, relationship, at) if history else None

    def was_started(self, tenant: str, relationship: str) -> bool:
        """Whether a start was ever applied, including one that was retracted or erased since."""
        history = self._histories.get((tenant, relationship))
        return self.is_erased(tenant, relationship) or (history is not None and bool(history.people()))

    def is_erased(self, tenant: str, relationship: str) -> bool:
        return (tenant, relationship) in self._erased

    def ongoing(self, tenant: str, program: str | None, participant: str, at: datetime) -> tuple[Relationship, ...]:
        """The relationships of a person that are not over at that moment."""
        return _begun(self._open(tenant, program, {participant}, at), at)

    def ongoing_or_later(
        self, tenant: str, program: str | None, participant: str, at: datetime
    ) -> Iterator[tuple[Relationship, datetime]]:
        """As `ongoing`, and as each later start states them, in the order of the starts; each with the time of the next
        start, which replaces it."""
        for one in self.all_relationships(tenant, participant):
            for found, replaced_at in self.history(tenant, one).from_then_on(tenant, one, at):
                if participant in found.people and not found.is_over(at) and program in {None, found.program}:
                    yield found, replaced_at

    def pairs(
        self, tenant: str, program: str | None, participants: AbstractSet[str], at: datetime
    ) -> tuple[Relationship, ...]:
        """The relationships with a mentor and a mentee among the participants. A group is one relationship,
        however many of its members came."""
        found = [one for one in self._open(tenant, program, participants, at) if one.meets(participants)]
        return _begun(found, at)

    def all_relationships(self, tenant: str, participant: str) -> tuple[str, ...]:
        """The ids of all relationships that somebody was ever in and that are not erased."""
        return tuple(sorted(self._relationships.get((tenant, participant), NOBODY)))

    def pauses(self, tenant: str, relationship: str) -> tuple[Pause, ...]:
        history = self._histories.get((tenant, relationship))
        return history.pauses() if history else ()

    def _open(
        self, tenant: str, program: str | None, participants: AbstractSet[str], at: datetime
    ) -> Iterator[Relationship]:
        ids = frozenset().union(*(self._relationships.get((tenant, one), NOBODY) for one in participants))
        for relationship in sorted(ids):
            found = self.relationship(tenant, relationship, at)
            if found and not found.is_over(at) and found.people & participants and program in {None, found.program}:
                yield found

    def _store(self, key: tuple[str, str], history: RelationshipHistory) -> None:
        tenant, relationship = key
        if exceeds_bounds(history):
            for person in history.people():
                remove(self._relationships, (tenant, person), relationship)
            history = bounded_history(history)
        self._histories[key] = history
        for person in history.people():
            add(self._relationships, (tenant, person), relationship)

    def _keys(self, participant: Participant) -> Iterator[Key]:
        for address in participant.addresses:
            yield participant.tenant, ADDRESS, normal(address)
        for identity in participant.identities:
            yield participant.tenant, identity.tool, normal(identity.id)
            if self._digest_key and not is_plain(identity.id):
                pseudonym, written = pseudonym_of(self._digest_key, participant.tenant), identity.id.strip()
                for one in {written, normal_page(written)}:
                    yield participant.tenant, identity.tool, pseudonym(one)

    def _claiming(self, key: Key) -> frozenset[str]:
        """Participants who have left release their addresses for others."""
        owners = self._owners.get(key, NOBODY)
        entries = ((owner, self._participants.get((key[0], owner))) for owner in owners)
        return frozenset(owner for owner, one in entries if one is None or one.status != "exited") or owners


STRANGERS = Ignored("strangers")


def identify_participants(
    people: Iterable[Person], scope: ConnectionScope, roster: Roster
) -> frozenset[str] | Rejected:
    """The participants among the people; others are ignored. Rejected if one person could be several participants:
    then it is unknown which pairs met."""
    participants: set[str] = set()
    for index, person in enumerate(people):
        found = roster.identify(scope.tenant, scope.tool, person)
        if len(found) > 1:
            return reject_ambiguous(f"people.{index}", found)
        participants |= found
    return frozenset(participants)


def reject_ambiguous(path: str, found: frozenset[str]) -> Rejected:
    names = ", ".join(sorted(found)[:5])
    return rejected("unresolved", path, f"this person's identities belong to several participants: {names}")


def pairs(
    present: frozenset[str], scope: ConnectionScope, roster: Roster, at: datetime
) -> tuple[Relationship, ...] | Ignored | Rejected:
    """The relationships of which both sides are present; never an empty tuple."""
    found = roster.pairs(scope.tenant, scope.program, present, at)
    if found:
        return found
    return reject_no_pair(present, scope) if len(present) > 1 else STRANGERS


def reject_no_pair(present: frozenset[str], scope: ConnectionScope) -> Rejected:
    where = f"in programme {scope.program!r}" if scope.program else "in any programme"
    return rejected("unresolved", "people", f"{len(present)} participants are there, and no pair of them {where} yet")


def subject(scope: ConnectionScope, relationship: Relationship) -> Subject:
    return Subject(scope.source, scope.tenant, relationship.program, relationship.id)


def _hashes(participant: Participant) -> Iterator[tuple[bytes, str]]:
    """Of addresses as in the directory and in lower case, which other systems use."""
    for address in participant.addresses:
        for variant in {address, address.casefold()}:
            yield sha1(f"mailto:{variant}".encode(), usedforsecurity=False).digest(), address


def _begun(found: Iterable[Relationship], at: datetime) -> tuple[Relationship, ...]:
    """A tool may report a pair before its first day, but not a pair that follows another one of the same people."""
    relationships = tuple(found)
    begun = [one for one in relationships if one.started <= at]
    return tuple(one for one in relationships if one.started <= at or not any(b.meets(one.people) for b in begun))
