"""Holds back what is planned: while scores lag behind the wall clock, for the next may already say that all is well;
and what is for people until they work. Messages of a group are folded into one when their time has come, and decided on
again then. Nothing is dropped: each single one ends with the message that told of it, or with the reason why none did.

All of it follows from the deliveries that are written down, so that it is the same after any crash."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.primitives import Id, Instant
from services.notify.domain.deliveries import as_held, drop_held, fold_messages, latest_transitions
from services.notify.domain.grouping import (
    ALREADY_RESOLVED,
    BATCH_EVERY,
    HOUR,
    NOT_OF_STORMS,
    PEOPLE,
    REASSIGNED,
    GroupKey,
    Released,
    companions,
    group_key,
    recipient_order,
    redirect,
)
from services.notify.domain.guards import STORM_SPAN, is_behind, lag
from services.notify.domain.handling import UNTOUCHED
from services.notify.domain.ids import Destination, Recipient, subject_key
from services.notify.domain.name_book import Erased
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import matching_silence
from services.notify.domain.routing import Addressee, DecisionContext, RoutingKey, deliverable_from
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.wording import instant


@dataclass(frozen=True)
class _Turn:
    """One look at what waits. `fresh`: ids of what was planned since the last one."""

    now: Instant
    silences: tuple[AlertSilence, ...]
    fresh: frozenset[str]
    released: Released = field(default_factory=Released)


class Hold:
    """Singles by group, and what was sent to people of late. `is_known`: whether a delivery of this id has ended, or is
    being sent."""

    def __init__(
        self,
        partition_alerts_by_number: Mapping[int, PartitionAlerts],
        shared: SharedAlerts,
        context: DecisionContext,
        is_known: Callable[[Delivery], bool],
    ) -> None:
        self._stores: Sequence[PartitionAlerts | SharedAlerts] = (*partition_alerts_by_number.values(), shared)
        self._context, self._is_known = context, is_known
        self._behind: list[Delivery] = []
        self._groups: dict[GroupKey, dict[str, Delivery]] = {}
        self._due: dict[GroupKey, Instant] = {}
        self._sent: dict[Recipient, deque[Instant]] = defaultdict(deque)
        self._batches: dict[GroupKey, Instant] = {}
        self._erased: set[Erased] = set()
        # Ids of what waits, and is to be written down anew.
        self._rewritten: set[str] = set()

    def __len__(self) -> int:
        return len(self._behind) + sum(map(len, self._groups.values()))

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """What was released, before the last start or now, counts for what may be sent next."""
        for delivery in sorted(deliveries, key=lambda one: one.planned_at):
            if delivery.channel not in PEOPLE or delivery.state in {"held", "superseded"}:
                continue
            sent = self._sent[Recipient(Destination(delivery.channel, delivery.recipient), delivery.person)]
            sent.append(delivery.planned_at)
            while sent[0] <= delivery.planned_at - HOUR:
                sent.popleft()
            if delivery.group == "batch":
                key = group_key(delivery)
                self._batches[key] = max(delivery.planned_at, self._batches.get(key, delivery.planned_at))

    def restore_held(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Of those of the last run without an outcome: what waited waits on, the others are returned."""
        messages: list[Delivery] = []
        for delivery in deliveries:
            if delivery.group is None:
                self._behind.append(delivery)
            elif delivery.state == "held":
                self._add(delivery)
            else:
                messages.append(delivery)
        return messages

    def release(self, planned: Sequence[Delivery], silences: Sequence[AlertSilence] = ()) -> Released:
        """Those of the waiting and the new ones that may go now, in their order."""
        fresh = frozenset(delivery.delivery_id for delivery in planned)
        turn = _Turn(self._context.now(), tuple(silences), fresh)
        now, found = turn.now, turn.released
        # 1. What is told alone waits for the scores only.
        alone = [*self._behind, *(delivery for delivery in planned if delivery.group is None)]
        self._behind = [delivery for delivery in alone if self._waits(delivery, now)]
        behind = {delivery.delivery_id for delivery in self._behind}
        alone = [delivery for delivery in alone if delivery.delivery_id not in behind]
        found.messages += alone
        # 2. What is told with others waits for its time, and is decided on again.
        for delivery in planned:
            if delivery.group is not None:
                self._add(as_held(delivery))
        for key in sorted((key for key, due in self._due.items() if due <= now), key=recipient_order):
            self._readdress(key, turn)
        for recipient, keys in self._open_groups(now).items():
            for together in self._within_bucket(recipient, keys, now):
                self._fold(together, turn)
        self.remember(alone)
        found.gone = [one.delivery_id for one in found.ended if self._is_erased(one)]
        found.ended = [one for one in found.ended if not self._is_erased(one)]
        # 3. What is new and waits is written down.
        changed, self._rewritten = self._rewritten | fresh, set()
        if changed:
            waiting = {one.delivery_id: one for one in (*self._behind, *self._held())}
            found.waiting = [as_held(one) for named, one in waiting.items() if named in changed]
        return found

    def forget(self, erased: Sequence[Erased]) -> list[str]:
        """Nothing waits any more that is about a relationship that was erased, but its end, and nothing for a person
        who was. Returns whose records are to go."""
        self._erased |= set(erased)
        found: list[str] = []
        for delivery in self._held() if erased else ():
            if delivery.person is not None and Erased("person", delivery.tenant, delivery.person) in self._erased:
                # To nobody by name: who it goes to is asked when it is sent.
                self._drop(delivery)
                self._add(delivery.model_copy(update={"person": None}))
                self._rewritten.add(delivery.delivery_id)
        for delivery in (*self._held(), *self._behind) if erased else ():
            if not self._is_erased(delivery) or delivery.transition == "resolved":
                continue
            self._drop(delivery)
            self._behind = [one for one in self._behind if one.delivery_id != delivery.delivery_id]
            found.append(delivery.delivery_id)
        return found

    def _add(self, delivery: Delivery) -> None:
        """A single of a group. A storm takes along what waits for the same people of its programme."""
        if any(delivery.delivery_id in members for members in self._groups.values()):
            return
        key = group_key(delivery)
        is_first = key not in self._groups
        self._groups.setdefault(key, {})[delivery.delivery_id] = delivery
        due = delivery.due_at
        if key.kind == "batch" and (last := self._batches.get(key)) is not None:
            due = max(due, last + BATCH_EVERY)
        self._due[key] = min(due, self._due.get(key, due))
        if key.kind == "storm" and is_first:
            self._gather(key, delivery)

    def _drop(self, delivery: Delivery) -> None:
        for key, members in list(self._groups.items()):
            if members.pop(delivery.delivery_id, None) is not None and not members:
                del self._groups[key]
                self._due.pop(key, None)

    def _held(self) -> list[Delivery]:
        return [one for members in self._groups.values() for one in members.values()]

    def _gather(self, storm: GroupKey, of: Delivery) -> None:
        begun = of.alert.decided_at - STORM_SPAN
        for key, members in list(self._groups.items()):
            if key.recipient != storm.recipient or key.tenant != storm.tenant or key.kind not in {"batch", "digest"}:
                continue
            for one in list(members.values()):
                of_storm = one.program == of.program and one.transition not in NOT_OF_STORMS
                if of_storm and one.alert.decided_at >= begun:
                    self._drop(one)
                    self._rewritten.add(one.delivery_id)
                    self._groups[storm][one.delivery_id] = one.model_copy(
                        update={"group": "storm", "due_at": of.due_at}
                    )

    def _readdress(self, key: GroupKey, turn: _Turn) -> None:
        """Whoever looks after a programme may have changed since."""
        for before in list(self._groups.get(key, {}).values()):
            to = self._addressed(before)
            if to is None or Recipient(to.destination, to.person) == key.recipient:
                continue
            after = redirect(before, to, turn.now)
            self._drop(before)
            if not self._is_known(after):
                self._add(after)
            self._rewritten.add(after.delivery_id)
            self._unhear(before)
            holder, alert = self._holder(after), after.alert
            if holder is not None and holder.last_notified_episode(subject_key(after), alert.rule) == alert.episode:
                told = Recipient(Destination(after.channel, after.recipient), after.person)
                holder.mark_notified(subject_key(after), alert.rule, alert.episode, [told])
            if before.delivery_id != after.delivery_id and before.delivery_id not in turn.fresh:
                turn.released.ended.append(drop_held(before, REASSIGNED, turn.now))

    def _open_groups(self, now: Instant) -> dict[Recipient, list[GroupKey]]:
        """Those whose time has come, and that may be sent now."""
        found: dict[Recipient, list[GroupKey]] = defaultdict(list)
        for key in sorted((key for key, due in self._due.items() if due <= now), key=recipient_order):
            members = self._groups[key].values()
            to = self._addressed(next(iter(members)))
            opens = deliverable_from(to.receiving if to else None, now)
            if opens > now:
                self._due[key] = opens
            elif not any(self._waits(one, now) for one in members):
                found[key.recipient].append(key)
        return found

    def _within_bucket(self, recipient: Recipient, keys: list[GroupKey], now: Instant) -> Iterator[list[GroupKey]]:
        """One message for each group, and one for all that comes with the digest; over the bucket one for all of a
        tenant, and where it is empty none yet."""
        sent = self._sent[recipient]
        while sent and sent[0] <= now - HOUR:
            sent.popleft()
        if recipient.destination.channel not in PEOPLE:
            yield from ([key] for key in keys)
            return
        most = self._context.addressing.most_per_hour(recipient.destination)
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

    def _fold(self, keys: Sequence[GroupKey], turn: "_Turn") -> None:
        """One message of these groups. Of thousands that came to light late and were folded at once the message stands,
        and the decision of each."""
        found, now = turn.released, turn.now
        members = [delivery for key in keys for delivery in self._groups.get(key, {}).values()]
        members += companions(self._groups, keys, members)
        lines, left_out = list[Delivery](), set[str]()
        episodes: dict[str, list[Delivery]] = defaultdict(list)
        for one in members:
            episodes[one.dedup_key].append(one)
        # Episodes whose end waits for the same recipients.
        recipients = {key.recipient for key in keys}
        waiting = (one for key, of in self._groups.items() if key.recipient in recipients for one in of.values())
        over = {one.dedup_key for one in waiting if one.transition == "resolved"}
        for line in latest_transitions(members):
            episode = episodes[line.dedup_key]
            why = ALREADY_RESOLVED if line.dedup_key in over else self._suppression_reason(line, turn.silences, now)
            if line.transition != "resolved" and why is not None:
                found.ended += [drop_held(one, why, now) for one in episode]
                left_out |= {one.delivery_id for one in episode}
                for one in episode:
                    # It would have been the first that its destination hears of the episode.
                    if one.transition in {"fired", "unstable"} and why != ALREADY_RESOLVED:
                        self._unhear(one)
                continue
            lines.append(line)
        if lines:
            message = fold_messages(lines, now)
            told = f"told in {message.delivery_id[:16]}, which lists {len(lines)} alerts"
            left_out.add(message.delivery_id)
            left_out |= {one.delivery_id for one in members if one.group == "late"} & turn.fresh
            found.ended += [drop_held(one, told, now) for one in members if one.delivery_id not in left_out]
            found.messages.append(message)
            self.remember([message])
        for delivery in members:
            self._drop(delivery)

    def _is_erased(self, delivery: Delivery) -> bool:
        return Erased("relationship", delivery.tenant, delivery.relationship) in self._erased

    def _unhear(self, delivery: Delivery) -> None:
        holder = self._holder(delivery)
        if holder is not None:
            to = Destination(delivery.channel, delivery.recipient)
            holder.unmark_notified(subject_key(delivery), delivery.alert.rule, to)

    def _addressed(self, delivery: Delivery) -> Addressee | None:
        about = RoutingKey(delivery.tenant, delivery.program, delivery.alert.rule, delivery.alert.urgency)
        found = self._context.current_addressees([Recipient(Destination(delivery.channel, delivery.recipient))], about)
        return found[0] if found else None

    def _suppression_reason(self, delivery: Delivery, silences: tuple[AlertSilence, ...], now: Instant) -> str | None:
        """Why nobody needs to be told of it any more."""
        holder = self._holder(delivery)
        watch = holder.watch(subject_key(delivery)) if holder else None
        handling = watch.handling.get(delivery.alert.rule, UNTOUCHED) if watch else UNTOUCHED
        if handling.state != "open" and handling.until is not None:
            # Without saying by whom: that is known where it can be erased.
            return f"{handling.state} until {instant(handling.until)}"
        silence = matching_silence(silences, delivery, now)
        if silence is not None:
            return f"silence {silence.id[:64]} until {instant(silence.until)}"
        return self._context.addressing.preferences.suppression_reason(delivery)

    def _waits(self, delivery: Delivery, now: Instant) -> bool:
        """Nothing waits that was started once, and no call for support."""
        if delivery.started_at is not None or delivery.alert.urgency == "P1":
            return False
        holder = self._holder(delivery)
        if not isinstance(holder, PartitionAlerts):
            # That scores are behind may be the very thing that is told of a programme.
            return False
        return is_behind(lag(holder.clock, now, self._context.clock))

    def _holder(self, delivery: Delivery) -> PartitionAlerts | SharedAlerts | None:
        key = subject_key(delivery)
        return next((alerts for alerts in self._stores if alerts.has_watch(key)), None)
