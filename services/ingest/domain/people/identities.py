"""Under which tool ids and addresses the people of the directory are known. One identity belongs to one person: where
two claim it, it is nobody's, because a meeting must never count for the wrong person."""

from collections.abc import Iterator
from typing import NamedTuple

from schemas.directory import Participant
from services.ingest.domain.pseudonym import is_plain, pseudonym_of
from services.ingest.domain.tools.said import Person

Key = tuple[str, str, str]
ADDRESS = ""
"""Stands for the tool where any tool may know the address."""
NOBODY: frozenset[str] = frozenset()


class Conflict(NamedTuple):
    """An identity that several participants claim, by their ids; the identity itself is personal and is not told."""

    tenant: str
    tool: str
    participants: tuple[str, ...]


class Identities:
    """Sets are replaced, never changed, so that any thread may ask while one writes. With the installation's digest
    key, people are also known by the digests that stand in payloads for ids of theirs that may be text."""

    def __init__(self, digest_key: str = "") -> None:
        self._digest_key = digest_key
        self._known: dict[tuple[str, str], Participant] = {}
        self._owners: dict[Key, frozenset[str]] = {}

    def get(self, tenant: str, participant: str) -> Participant | None:
        return self._known.get((tenant, participant))

    def learn(self, participant: Participant) -> tuple[Conflict, ...]:
        """Replaces what was known of the participant. Returns the identities that others claim as well."""
        self.forget(participant.tenant, participant.id)
        self._known[participant.tenant, participant.id] = participant
        conflicts = []
        for key in set(self._keys(participant)):
            self._owners[key] = self._owners.get(key, NOBODY) | {participant.id}
            if len(claimed := self._claiming(key)) > 1:
                conflicts.append(Conflict(participant.tenant, key[1] or "address", tuple(sorted(claimed))))
        return tuple(conflicts)

    def forget(self, tenant: str, participant: str) -> None:
        known = self._known.pop((tenant, participant), None)
        for key in set(self._keys(known)) if known else ():
            left = self._owners[key] - {participant}
            if left:
                self._owners[key] = left
            else:
                del self._owners[key]

    def claiming(self, tenant: str, tool: str, person: Person) -> Iterator[frozenset[str]]:
        """For each thing that is known of the person, whom it points to, if to anybody."""
        for value in filter(None, (person.id, person.address)):
            found = self._claiming((tenant, tool, normal(value)))
            if "@" in value:
                found |= self._claiming((tenant, ADDRESS, normal(value)))
            if found:
                yield found

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
        staying = frozenset(owner for owner in owners if not self._has_left(key[0], owner))
        return staying or owners

    def _has_left(self, tenant: str, participant: str) -> bool:
        known = self._known.get((tenant, participant))
        return known is not None and known.status == "exited"


def normal(value: str) -> str:
    """Addresses are compared without regard to case, ids of tools exactly."""
    value = value.strip()
    return value.casefold() if "@" in value else value
