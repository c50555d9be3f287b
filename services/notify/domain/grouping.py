"""Grouping of messages for people: the group of a delivery, how long a group waits, and which deliveries go along with
it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from schemas.alerts import ChannelName, Delivery, GroupKind
from schemas.primitives import Id, Instant
from services.notify.domain.ids import Destination, Recipient, delivery_id, transition_id
from services.notify.domain.routing import Addressee

BATCH_WAIT = timedelta(seconds=60)
"""Transitions of one cause come within a minute."""
BATCH_EVERY = timedelta(minutes=15)
"""Whoever gets a message of a programme and class looks at it before the next one comes."""
RESCORED_SPAN = timedelta(hours=49)
"""A new profile reaches every pair by the next midnight, and a rule may hold for a day before it fires; the extra hour
is for late clocks. By then everything is known, and is one message."""
HOUR = timedelta(hours=1)
PEOPLE: frozenset[ChannelName] = frozenset({"smtp", "slack", "teams"})
ALREADY_RESOLVED = "over before it was sent: its end is told"
REASSIGNED = "somebody else looks after it now"
NOT_OF_STORMS = frozenset({"resolved", "reminded"})


@dataclass
class Released:
    """`messages` may go now; `waiting` are new and may not; `ended` are single deliveries that are not sent by
    themselves, each with its reason; `gone`: ids whose records are deleted."""

    messages: list[Delivery] = field(default_factory=list)
    waiting: list[Delivery] = field(default_factory=list)
    ended: list[Delivery] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def written(self) -> list[Delivery]:
        return [*self.waiting, *self.ended, *self.messages]


class GroupKey(NamedTuple):
    """`about`: the programme and class of a batch, the programme of a storm; a digest covers everything."""

    recipient: Recipient
    tenant: Id
    kind: GroupKind
    about: str


Groups = Mapping[GroupKey, Mapping[str, Delivery]]
"""Waiting single deliveries, by id."""


def group_key(delivery: Delivery) -> GroupKey:
    assert delivery.group is not None, "it is one of a group"
    about = {"batch": f"{delivery.program} {delivery.alert.urgency}", "storm": delivery.program}
    recipient = Recipient(Destination(delivery.channel, delivery.recipient), delivery.person)
    return GroupKey(recipient, delivery.tenant, delivery.group, about.get(delivery.group, ""))


def recipient_order(key: GroupKey) -> tuple[str, str, str, str, str, str]:
    """Return a sort key."""
    to = key.recipient.destination
    return (to.channel, to.recipient, key.recipient.person or "", key.tenant, key.kind, key.about)


def redirect(delivery: Delivery, to: Addressee, now: Instant) -> Delivery:
    """Return the same delivery for another addressee."""
    event = transition_id(delivery.dedup_key, delivery.alert.seq, delivery.transition)
    id_ = delivery_id(event, to.destination.channel, to.destination.recipient)
    return delivery.model_copy(
        update={
            "delivery_id": id_,
            "channel": to.destination.channel,
            "recipient": to.destination.recipient,
            "person": to.person,
            "changed_at": now,
        }
    )


def related_deliveries(groups: Groups, keys: Sequence[GroupKey], members: Sequence[Delivery]) -> list[Delivery]:
    """Return waiting deliveries for the same recipients that go along: of the same episodes, which would otherwise
    arrive after later transitions; and of the same pairs, since rules of one pair are one message."""
    now = [one for one in members if one.transition != "resolved"]
    episodes = {one.dedup_key for one in members}
    pairs = {one.relationship for one in now} if any(key.kind != "digest" for key in keys) else set[str]()
    recipients = {(key.recipient, key.tenant) for key in keys}
    return [
        one
        for key, others in groups.items()
        if key not in keys and (key.recipient, key.tenant) in recipients
        for one in others.values()
        if (one.dedup_key in episodes and one.transition != "resolved")
        or (one.relationship in pairs and one.transition not in NOT_OF_STORMS)
    ]


def latest_transitions(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Keep the last transition of every episode: what has fired and resolved since is one line."""
    found: dict[str, Delivery] = {}
    for delivery in deliveries:
        previous = found.get(delivery.dedup_key)
        if previous is None or delivery.alert.seq >= previous.alert.seq:
            found[delivery.dedup_key] = delivery
    return list(found.values())
