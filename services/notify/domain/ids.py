"""The subject of an alert, and ids that are stable across crashes: derived from what they name, never random."""

from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from schemas.alerts import ChannelName, Delivery, SubjectKind
from schemas.events import partition_key
from schemas.primitives import Id

LONGEST_KEY = 257
"""The limit of the event schema."""

ProgrammeKey = tuple[Id, Id]
"""Tenant and programme."""


@dataclass(frozen=True, slots=True)
class AlertSubject:
    """A relationship, a programme, or a source of events of the programme."""

    tenant: Id
    kind: SubjectKind
    id: Id
    program: Id

    @property
    def key(self) -> str:
        """The key of its state and its events, at most LONGEST_KEY characters; of a relationship that of its scores."""
        if self.kind == "relationship":
            return partition_key(self.tenant, self.id)
        key = partition_key(self.tenant, f"{self.kind}/{self.id}")
        return key if len(key) <= LONGEST_KEY else partition_key(self.tenant, f"{self.kind}/{_hash(self.id)}")


@dataclass(frozen=True)
class Destination:
    """Where messages go: a channel and the recipient there."""

    channel: ChannelName
    recipient: str


class Recipient(NamedTuple):
    """A recipient at a destination; the person is None where the destination is one address."""

    destination: Destination
    person: Id | None = None


def subject_key(delivery: Delivery) -> str:
    """Return the key of the subject of its (first) alert."""
    kind = delivery.alert.subject_kind
    if kind == "relationship":
        return partition_key(delivery.tenant, delivery.relationship)
    return AlertSubject(delivery.tenant, kind, delivery.relationship, delivery.program).key


def alert_key(subject: AlertSubject, rule: str) -> str:
    """Identify a rule on a subject, over all its episodes."""
    kind = () if subject.kind == "relationship" else (subject.kind,)
    return _hash(subject.tenant, rule, *kind, subject.id)


def dedup_key(key: str, episode: int) -> str:
    """Identify one episode of an alert: all its transitions carry it."""
    return f"{key[:32]}-{episode}"


def transition_id(dedup: str, seq: int, transition: str) -> str:
    """Identify one transition: a second notice of the same kind has another id."""
    return f"{dedup}-{seq}-{transition}"


def list_id(first: str) -> str:
    """Identify a message that lists several transitions, by the first of them."""
    return f"{first}-list"


def delivery_id(transition: str, channel: str, recipient: str) -> str:
    """Identify one message of a transition to one recipient: a repeat carries the same id."""
    return _hash(transition, channel, recipient)


def address_delivery_id(whole: str, address: str) -> str:
    """Identify what one address still gets of the message with this id. `address`: its digest."""
    return _hash(whole, "address", address)


def _hash(*parts: str) -> str:
    # The separator occurs in no part: ("ab", "c") and ("a", "bc") hash differently.
    return sha256("\x00".join(parts).encode()).hexdigest()
