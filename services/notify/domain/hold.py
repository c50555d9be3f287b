"""The hold stage: it delays planned deliveries while scores lag behind the wall clock, since the next score may say
that all is well, and delays messages for people until they work. Messages of a group are folded into one when due, and
decided again then. Nothing is dropped silently: each single delivery ends with the message that contains it, or with
the reason why none does.

All of it follows from the written deliveries, so that it is the same after any crash."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.primitives import Id, Instant
from services.notify.domain.deliveries import as_held, drop_held, fold_messages
from services.notify.domain.grouping import (
    ALREADY_RESOLVED,
    BATCH_EVERY,
    HOUR,
    NOT_OF_STORMS,
    PEOPLE,
    REASSIGNED,
    GroupKey,
    Released,
    group_key,
    latest_transitions,
    recipient_order,
    redirect,
    related_deliveries,
)
from services.notify.domain.guards import STORM_SPAN, is_behind, lag
from services.notify.domain.handling import UNTOUCHED
from services.notify.domain.ids import Destination, Recipient, subject_key
from services.notify.domain.name_book import Erased
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import matching_silence
from services.notify.domain.routing import Addressee, DecisionContext, RoutingKey, deliverable_from
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.wording import format_instant


@dataclass(frozen=True)
class _HoldPass:
    """One pass over the waiting deliveries. `fresh`: ids of those planned since the last pass."""

    now: Instant
    silences: tuple[AlertSilence, ...]
    fresh: frozenset[str]
    released: Released = field(default_factory=Released)


class Hold:
    """Holds single deliveries by group, and the times of recent messages to people. `is_known`: whether a delivery of
    this id has ended, or is being sent."""

    def __init__(
        self,
        partition_alerts_by_number: Mapping[int, PartitionAlerts],
        shared: SharedAlerts,
        context: DecisionContext,
        is_known: Callable[[Delivery], bool],
    ) -> None:
        self._stores: Sequence[PartitionAlerts | SharedAlerts] = (*partition_alerts_by_number.values(), shared)
        self._context, self._is_known = context, is_known
        self._lagging: list[Delivery] = []
        self._groups: dict[GroupKey, dict[str, Delivery]] = {}
        self._due: dict[GroupKey, Instant] = {}
        self._sent_at: dict[Recipient, deque[Instant]] = defaultdict(deque)
        self._batches: dict[GroupKey, Instant] = {}
        self._erased: set[Erased] = set()
        # Ids of waiting deliveries that are to be written again.
        self._rewritten: set[str] = set()

    def __len__(self) -> int:
        return len(self._lagging) + sum(map(len, self._groups.values()))

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """Restore or record released deliveries: they count against the rate limit."""
        for delivery in sorted(deliveries, key=lambda one: one.planned_at):
            is_part = delivery.address is not None  # of a message that counts
            if is_part or delivery.channel not in PEOPLE or delivery.state in {"held", "superseded"}:
                continue
            sent = self._sent_at[Recipient(Destination(delivery.channel, delivery.recipient), delivery.person)]
            sent.append(delivery.planned_at)
            while sent[0] <= delivery.planned_at - HOUR:
                sent.popleft()
            if delivery.group == "batch":
                key = group_key(delivery)
                self._batches[key] = max(delivery.planned_at, self._batches.get(key, delivery.planned_at))

    def restore_held(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Take back held deliveries of the previous run; returns the others."""
        messages: list[Delivery] = []
        for delivery in deliveries:
            if delivery.group is None:
                self._lagging.append(delivery)
            elif delivery.state == "held":
                self._add(delivery)
            else:
                messages.append(delivery)
        return messages

    def release(self, planned: Sequence[Delivery], silences: Sequence[AlertSilence] = ()) -> Released:
        """Return the waiting and new deliveries that may go now, in order."""
        fresh = frozenset(delivery.delivery_id for delivery in planned)
        hold_pass = _HoldPass(self._context.now(), tuple(silences), fresh)
        now, released = hold_pass.now, hold_pass.released
        # 1. A delivery without a group waits for the scores only.
        alone = [*self._lagging, *(delivery for delivery in planned if delivery.group is None)]
        self._lagging = [delivery for delivery in alone if self._waits(delivery, now)]
        behind = {delivery.delivery_id for delivery in self._lagging}
        alone = [delivery for delivery in alone if delivery.delivery_id not in behind]
        released.messages += alone
        # 2. A grouped delivery waits until its group is due, and is decided again then.
        for delivery in planned:
            if delivery.group is not None:
                self._add(as_held(delivery))
        for key in sorted((key for key, due in self._due.items() if due <= now), key=recipient_order):
            self._redirect_group(key, hold_pass)
        for recipient, keys in self._open_groups(now).items():
            for group_keys in self._within_rate_limit(recipient, keys, now):
                self._fold(group_keys, hold_pass)
        self.remember(alone)
        released.gone = [one.delivery_id for one in released.ended if self._is_erased(one)]
        released.ended = [one for one in released.ended if not self._is_erased(one)]
        # 3. Write new deliveries that wait.
        changed, self._rewritten = self._rewritten | fresh, set()
        if changed:
            waiting = {one.delivery_id: one for one in (*self._lagging, *self._held())}
            released.waiting = [as_held(one) for delivery_id, one in waiting.items() if delivery_id in changed]
        return released

    def forget(self, erased: Sequence[Erased]) -> list[str]:
        """Drop waiting deliveries about erased relationships, except their ends, and the person of those for erased
        people. Returns the ids of the records to delete."""
        self._erased |= set(erased)
        removed: list[str] = []
        for delivery in self._held() if erased else ():
            if delivery.person is not None and Erased("person", delivery.tenant, delivery.person) in self._erased:
                # To nobody by name: the recipient is resolved when it is sent.
                self._drop(delivery)
                self._add(delivery.model_copy(update={"person": None}))
                self._rewritten.add(delivery.delivery_id)
        for delivery in (*self._held(), *self._lagging) if erased else ():
            if not self._is_erased(delivery) or delivery.transition == "resolved":
                continue
            self._drop(delivery)
            self._lagging = [one for one in self._lagging if one.delivery_id != delivery.delivery_id]
            removed.append(delivery.delivery_id)
        return removed

    def _add(self, delivery: Delivery) -> None:
        """Add a single delivery to its group. A storm takes along what waits for the same people of its programme."""
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
            self._collect_for_storm(key, delivery)

    def _drop(self, delivery: Delivery) -> None:
        for key, members in list(self._groups.items()):
            if members.pop(delivery.delivery_id, None) is not None and not members:
                del self._groups[key]
                self._due.pop(key, None)

    def _held(self) -> list[Delivery]:
        return [one for members in self._groups.values() for one in members.values()]

    def _collect_for_storm(self, storm: GroupKey, first: Delivery) -> None:
        begun = first.alert.decided_at - STORM_SPAN
        for key, members in list(self._groups.items()):
            if key.recipient != storm.recipient or key.tenant != storm.tenant or key.kind not in {"batch", "digest"}:
                continue
            for one in list(members.values()):
                of_storm = one.program == first.program and one.transition not in NOT_OF_STORMS
                if of_storm and one.alert.decided_at >= begun:
                    self._drop(one)
                    self._rewritten.add(one.delivery_id)
                    self._groups[storm][one.delivery_id] = one.model_copy(
                        update={"group": "storm", "due_at": first.due_at}
                    )

    def _redirect_group(self, key: GroupKey, hold_pass: _HoldPass) -> None:
        """Redirect waiting deliveries where the owner of the programme has changed."""
        for before in list(self._groups.get(key, {}).values()):
            to = self._current_addressee(before)
            if to is None or Recipient(to.destination, to.person) == key.recipient:
                continue
            after = redirect(before, to, hold_pass.now)
            self._drop(before)
            if not self._is_known(after):
                self._add(after)
            self._rewritten.add(after.delivery_id)
            self._unmark_notified(before)
            store, alert = self._store_of(after), after.alert
            if store is not None and store.last_notified_episode(subject_key(after), alert.rule) == alert.episode:
                recipient = Recipient(Destination(after.channel, after.recipient), after.person)
                store.mark_notified(subject_key(after), alert.rule, alert.episode, [recipient])
            if before.delivery_id != after.delivery_id and before.delivery_id not in hold_pass.fresh:
                hold_pass.released.ended.append(drop_held(before, REASSIGNED, hold_pass.now))

    def _open_groups(self, now: Instant) -> dict[Recipient, list[GroupKey]]:
        """Return the due groups that may be sent now, by recipient."""
        found: dict[Recipient, list[GroupKey]] = defaultdict(list)
        for key in sorted((key for key, due in self._due.items() if due <= now), key=recipient_order):
            members = self._groups[key].values()
            to = self._current_addressee(next(iter(members)))
            opens = deliverable_from(to.delivery_window if to else None, now)
            if opens > now:
                self._due[key] = opens
            elif not any(self._waits(one, now) for one in members):
                found[key.recipient].append(key)
        return found

    def _within_rate_limit(self, recipient: Recipient, keys: list[GroupKey], now: Instant) -> Iterator[list[GroupKey]]:
        """Yield one message for each group, and one for everything that is due with the digest. Over the rate limit
        yield one for everything of a tenant; at the limit none yet."""
        sent = self._sent_at[recipient]
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

    def _fold(self, keys: Sequence[GroupKey], hold_pass: _HoldPass) -> None:
        """Fold these groups into one message. Of thousands that arrived late and were folded at once only the message
        and each decision are stored."""
        released, now = hold_pass.released, hold_pass.now
        members = [delivery for key in keys for delivery in self._groups.get(key, {}).values()]
        members += related_deliveries(self._groups, keys, members)
        lines, left_out = list[Delivery](), set[str]()
        episodes: dict[str, list[Delivery]] = defaultdict(list)
        for one in members:
            episodes[one.dedup_key].append(one)
        # Episodes whose end waits for the same recipients.
        recipients = {key.recipient for key in keys}
        waiting = (one for key, group in self._groups.items() if key.recipient in recipients for one in group.values())
        resolved = {one.dedup_key for one in waiting if one.transition == "resolved"}
        for line in latest_transitions(members):
            episode = episodes[line.dedup_key]
            is_over = line.dedup_key in resolved
            reason = ALREADY_RESOLVED if is_over else self._suppression_reason(line, hold_pass.silences, now)
            if line.transition != "resolved" and reason is not None:
                released.ended += [drop_held(one, reason, now) for one in episode]
                left_out |= {one.delivery_id for one in episode}
                for one in episode:
                    # Its destination would have heard of the episode first by this delivery.
                    if one.transition in {"fired", "unstable"} and reason != ALREADY_RESOLVED:
                        self._unmark_notified(one)
                continue
            lines.append(line)
        if lines:
            message = fold_messages(lines, now)
            folded = f"told in {message.delivery_id[:16]}, which lists {len(lines)} alerts"
            left_out.add(message.delivery_id)
            left_out |= {one.delivery_id for one in members if one.group == "late"} & hold_pass.fresh
            released.ended += [drop_held(one, folded, now) for one in members if one.delivery_id not in left_out]
            released.messages.append(message)
            self.remember([message])
        for delivery in members:
            self._drop(delivery)

    def _is_erased(self, delivery: Delivery) -> bool:
        return Erased("relationship", delivery.tenant, delivery.relationship) in self._erased

    def _unmark_notified(self, delivery: Delivery) -> None:
        store = self._store_of(delivery)
        if store is not None:
            to = Destination(delivery.channel, delivery.recipient)
            store.unmark_notified(subject_key(delivery), delivery.alert.rule, to)

    def _current_addressee(self, delivery: Delivery) -> Addressee | None:
        about = RoutingKey(delivery.tenant, delivery.program, delivery.alert.rule, delivery.alert.urgency)
        found = self._context.current_addressees([Recipient(Destination(delivery.channel, delivery.recipient))], about)
        return found[0] if found else None

    def _suppression_reason(self, delivery: Delivery, silences: tuple[AlertSilence, ...], now: Instant) -> str | None:
        """Return why the delivery is needless by now, if so."""
        store = self._store_of(delivery)
        watch = store.watch(subject_key(delivery)) if store else None
        handling = watch.handling.get(delivery.alert.rule, UNTOUCHED) if watch else UNTOUCHED
        if handling.state != "open" and handling.until is not None:
            # Without the person: names are kept only where they can be erased.
            return f"{handling.state} until {format_instant(handling.until)}"
        silence = matching_silence(silences, delivery, now)
        if silence is not None:
            return f"silence {silence.id[:64]} until {format_instant(silence.until)}"
        return self._context.addressing.preferences.suppression_reason(delivery)

    def _waits(self, delivery: Delivery, now: Instant) -> bool:
        """Return whether the delivery waits for scores. Neither a started one nor a P1 does."""
        if delivery.started_at is not None or delivery.alert.urgency == "P1":
            return False
        store = self._store_of(delivery)
        if not isinstance(store, PartitionAlerts):
            # That scores lag may be the very content of a programme's alert.
            return False
        return is_behind(lag(store.clock, now, self._context.clock))

    def _store_of(self, delivery: Delivery) -> PartitionAlerts | SharedAlerts | None:
        key = subject_key(delivery)
        return next((alerts for alerts in self._stores if alerts.has_watch(key)), None)
