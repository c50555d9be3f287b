"""What waits for people: messages of a group are folded into one when their time has come, and decided on again then.
Nothing is dropped: each single one ends with the message that told of it, or with the reason why none did.

All of it follows from the deliveries that are written down, so that it is the same after any crash."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from schemas.alerts import ChannelName, Delivery, GroupKind
from schemas.primitives import Id, Instant
from services.notify.domain.deliveries import dropped, latest, one_message
from services.notify.domain.guards import STORM_SPAN
from services.notify.domain.ids import Destination, Recipient, delivery_id, transition_id
from services.notify.domain.routing import Addressee, told_from

BATCH_WAIT = timedelta(seconds=60)
"""What one cause brings about comes within a minute."""
BATCH_EVERY = timedelta(minutes=15)
"""Whoever gets a message of a programme and class looks at it before the next one comes."""
RESCORED_SPAN = timedelta(hours=49)
"""A new profile reaches every pair by the next midnight, and a rule may hold for a day before it fires; the hour is for
clocks that come later. By then all of it is known, and is one message."""
HOUR = timedelta(hours=1)
PEOPLE: frozenset[ChannelName] = frozenset({"smtp", "slack", "teams"})
OVER = "over before it was sent: its end is told"
NOT_OF_STORMS = frozenset({"resolved", "reminded"})


class GroupKey(NamedTuple):
    """`about`: the programme and class of a batch, the programme of a storm; a digest is of everything."""

    recipient: Recipient
    tenant: Id
    kind: GroupKind
    about: str


@dataclass(frozen=True)
class World:
    """How things are now. `why_not`: why a held delivery is not to be sent any more, if so; `addressed`: to whom it
    goes; `is_behind`: whether scores are; `most_per_hour`: of messages to people at a destination;
    `is_known`: whether a delivery of this id has ended, or is being sent."""

    now: Instant
    why_not: Callable[[Delivery], str | None]
    addressed: Callable[[Delivery], Addressee | None]
    is_behind: Callable[[Delivery], bool]
    most_per_hour: Callable[[Destination], int]
    is_known: Callable[[Delivery], bool]


class Moved(NamedTuple):
    """A single that goes to somebody else than it was planned for."""

    before: Delivery
    after: Delivery


@dataclass
class Release:
    """`messages` are to be sent now. Of singles those in `folded` say which message told of them, those in `ended` why
    none does; `regrouped` wait with others than before."""

    messages: list[Delivery] = field(default_factory=list)
    folded: list[Delivery] = field(default_factory=list)
    ended: list[Delivery] = field(default_factory=list)
    regrouped: list[Delivery] = field(default_factory=list)
    unheard: list[Delivery] = field(default_factory=list)
    """Of those that ended what would have been the first that its destination heard of the episode."""
    moved: list[Moved] = field(default_factory=list)


class HeldDeliveries:
    """Singles by group, and what was sent to people of late."""

    def __init__(self) -> None:
        self._groups: dict[GroupKey, dict[str, Delivery]] = {}
        self._due: dict[GroupKey, Instant] = {}
        self._sent: dict[Recipient, deque[Instant]] = defaultdict(deque)
        self._batches: dict[GroupKey, Instant] = {}
        self._regrouped: list[Delivery] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __iter__(self) -> Iterator[Delivery]:
        for members in list(self._groups.values()):
            yield from list(members.values())

    def remember(self, delivery: Delivery) -> None:
        """One that was released, before the last start or now: it counts for what may be sent next."""
        if delivery.channel not in PEOPLE or delivery.state in {"held", "superseded"}:
            return
        recipient = Recipient(Destination(delivery.channel, delivery.recipient), delivery.person)
        sent = self._sent[recipient]
        sent.append(delivery.planned_at)
        while sent[0] <= delivery.planned_at - HOUR:
            sent.popleft()
        if delivery.group == "batch":
            key = _key(delivery)
            self._batches[key] = max(delivery.planned_at, self._batches.get(key, delivery.planned_at))

    def add(self, delivery: Delivery) -> None:
        """A single of a group. A storm takes along what waits for the same people of its programme."""
        if any(delivery.delivery_id in members for members in self._groups.values()):
            return
        key = _key(delivery)
        is_first = key not in self._groups
        self._groups.setdefault(key, {})[delivery.delivery_id] = delivery
        due = delivery.due_at
        if key.kind == "batch" and (last := self._batches.get(key)) is not None:
            due = max(due, last + BATCH_EVERY)
        self._due[key] = min(due, self._due.get(key, due))
        if key.kind == "storm" and is_first:
            self._gather(key, delivery)

    def release(self, world: World) -> Release:
        found = Release()
        for key in sorted((key for key, due in self._due.items() if due <= world.now), key=_order):
            found.moved += self._readdress(key, world)
        for recipient, keys in self._open_groups(world).items():
            most = world.most_per_hour(recipient.destination)
            for together in self._within_bucket(recipient, keys, most, world.now):
                taken = self._fold(together, world)
                found.messages += taken.messages
                found.folded += taken.folded
                found.ended += taken.ended
                found.unheard += taken.unheard
        found.regrouped, self._regrouped = self._regrouped, []
        return found

    def drop(self, delivery: Delivery) -> None:
        for key, members in list(self._groups.items()):
            if members.pop(delivery.delivery_id, None) is not None and not members:
                del self._groups[key]
                self._due.pop(key, None)

    def _gather(self, storm: GroupKey, of: Delivery) -> None:
        begun = of.alert.decided_at - STORM_SPAN
        for key, members in list(self._groups.items()):
            if key.recipient != storm.recipient or key.tenant != storm.tenant or key.kind not in {"batch", "digest"}:
                continue
            for one in list(members.values()):
                of_storm = one.program == of.program and one.transition not in NOT_OF_STORMS
                if of_storm and one.alert.decided_at >= begun:
                    self.drop(one)
                    self._regrouped.append(one.model_copy(update={"group": "storm", "due_at": of.due_at}))
                    self._groups[storm][one.delivery_id] = self._regrouped[-1]

    def _readdress(self, key: GroupKey, world: World) -> list[Moved]:
        """Whoever looks after a programme may have changed since."""
        found: list[Moved] = []
        for delivery in list(self._groups.get(key, {}).values()):
            to = world.addressed(delivery)
            if to is None or Recipient(to.destination, to.person) == key.recipient:
                continue
            self.drop(delivery)
            found.append(Moved(delivery, _to(delivery, to, world.now)))
            if not world.is_known(found[-1].after):
                self.add(found[-1].after)
        return found

    def _open_groups(self, world: World) -> dict[Recipient, list[GroupKey]]:
        """Those whose time has come, and that may be sent now."""
        found: dict[Recipient, list[GroupKey]] = defaultdict(list)
        for key in sorted((key for key, due in self._due.items() if due <= world.now), key=_order):
            members = self._groups[key].values()
            to = world.addressed(next(iter(members)))
            opens = told_from(to.receiving if to else None, world.now)
            if opens > world.now:
                self._due[key] = opens
            elif not any(map(world.is_behind, members)):
                found[key.recipient].append(key)
        return found

    def _within_bucket(
        self, recipient: Recipient, keys: list[GroupKey], most: int, now: Instant
    ) -> Iterator[list[GroupKey]]:
        """One message for each group, and one for all that comes with the digest; over the bucket one for all of a
        tenant, and where it is empty none yet."""
        sent = self._sent[recipient]
        while sent and sent[0] <= now - HOUR:
            sent.popleft()
        if recipient.destination.channel not in PEOPLE:
            yield from ([key] for key in keys)
            return
        by_tenant: dict[Id, list[GroupKey]] = defaultdict(list)
        for key in keys:
            by_tenant[key.tenant].append(key)
        for of_tenant in by_tenant.values():
            left = most - len(sent)
            if left <= 0:
                self._due |= dict.fromkeys(of_tenant, sent[-most] + HOUR)
            elif left < len(of_tenant) or any(key.kind == "digest" for key in of_tenant):
                yield of_tenant
            else:
                yield from ([key] for key in of_tenant)

    def _fold(self, keys: Sequence[GroupKey], world: World) -> Release:
        members = [delivery for key in keys for delivery in self._groups.get(key, {}).values()]
        members += self._companions(keys, members)
        found, lines = Release(), list[Delivery]()
        episodes: dict[str, list[Delivery]] = defaultdict(list)
        for one in members:
            episodes[one.dedup_key].append(one)
        # Episodes whose end waits for the same recipients.
        recipients = {key.recipient for key in keys}
        waiting = (one for key, of in self._groups.items() if key.recipient in recipients for one in of.values())
        over = {one.dedup_key for one in waiting if one.transition == "resolved"}
        for line in latest(members):
            episode = episodes[line.dedup_key]
            why = OVER if line.dedup_key in over else world.why_not(line)
            if line.transition != "resolved" and why is not None:
                found.ended += [dropped(one, why, world.now) for one in episode]
                found.unheard += [one for one in episode if one.transition in {"fired", "unstable"} and why != OVER]
                continue
            lines.append(line)
        if lines:
            message = one_message(lines, world.now)
            told = f"told in {message.delivery_id[:16]}, which lists {len(lines)} alerts"
            left_out = {message.delivery_id} | {one.delivery_id for one in found.ended}
            found.folded += [dropped(one, told, world.now) for one in members if one.delivery_id not in left_out]
            found.messages.append(message)
            self.remember(message)
        for delivery in members:
            self.drop(delivery)
        return found

    def _companions(self, keys: Sequence[GroupKey], members: Sequence[Delivery]) -> list[Delivery]:
        """What else waits for the same recipient comes along: of the same episodes, or it would be told after what came
        later; and of the same pairs, for rules of one pair are one message."""
        now = [one for one in members if one.transition != "resolved"]
        episodes = {one.dedup_key for one in members}
        pairs = {one.relationship for one in now} if any(key.kind != "digest" for key in keys) else set[str]()
        recipients = {(key.recipient, key.tenant) for key in keys}
        return [
            one
            for key, others in self._groups.items()
            if key not in keys and (key.recipient, key.tenant) in recipients
            for one in others.values()
            if (one.dedup_key in episodes and one.transition != "resolved")
            or (one.relationship in pairs and one.transition not in NOT_OF_STORMS)
        ]


def _key(delivery: Delivery) -> GroupKey:
    assert delivery.group is not None, "it is one of a group"
    about = {"batch": f"{delivery.program} {delivery.alert.urgency}", "storm": delivery.program}
    recipient = Recipient(Destination(delivery.channel, delivery.recipient), delivery.person)
    return GroupKey(recipient, delivery.tenant, delivery.group, about.get(delivery.group, ""))


def _order(key: GroupKey) -> tuple[str, str, str, str, str, str]:
    to = key.recipient.destination
    return (to.channel, to.recipient, key.recipient.person or "", key.tenant, key.kind, key.about)


def _to(delivery: Delivery, to: Addressee, now: Instant) -> Delivery:
    """The same single to somebody else."""
    event = transition_id(delivery.dedup_key, delivery.alert.seq, delivery.transition)
    named = delivery_id(event, to.destination.channel, to.destination.recipient)
    return delivery.model_copy(
        update={
            "delivery_id": named,
            "channel": to.destination.channel,
            "recipient": to.destination.recipient,
            "person": to.person,
            "changed_at": now,
        }
    )
