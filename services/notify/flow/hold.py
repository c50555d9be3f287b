"""Holds back what is planned: while scores lag behind the wall clock, for the next may already say that all is well;
and what is for people until they work, so that much of it is one message."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain.deliveries import dropped, held
from services.notify.domain.guards import is_behind, lag
from services.notify.domain.handling import UNTOUCHED
from services.notify.domain.held import HeldDeliveries, Release, World
from services.notify.domain.ids import Destination, Recipient, subject_key
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import muting
from services.notify.domain.routing import About, Addressee, DecisionContext
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.wording import instant
from services.notify.flow.inputs import Erased

ELSEWHERE = "somebody else looks after it now"


@dataclass
class Released:
    """`messages` may go now; `waiting` are new and may not; `ended` are singles that are not sent by themselves, each
    with its reason; `gone`: ids of which nothing is kept."""

    messages: list[Delivery] = field(default_factory=list)
    waiting: list[Delivery] = field(default_factory=list)
    ended: list[Delivery] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def written(self) -> list[Delivery]:
        return [*self.waiting, *self.ended, *self.messages]


class Hold:
    def __init__(
        self,
        partition_alerts_by_number: Mapping[int, PartitionAlerts],
        shared: SharedAlerts,
        context: DecisionContext,
        is_known: Callable[[Delivery], bool],
    ) -> None:
        self._holders: Sequence[PartitionAlerts | SharedAlerts] = (*partition_alerts_by_number.values(), shared)
        self._context, self._is_known = context, is_known
        self._behind: list[Delivery] = []
        self._held = HeldDeliveries()
        self._erased: set[Erased] = set()
        # Ids of what waits, and is to be written down anew.
        self._rewritten: set[str] = set()

    def __len__(self) -> int:
        return len(self._behind) + len(self._held)

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """What was sent before the start counts for what may be sent next."""
        for delivery in sorted(deliveries, key=lambda one: one.planned_at):
            self._held.remember(delivery)

    def left_over(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Of those of the last run without an outcome: what waited waits on, the others are returned."""
        messages: list[Delivery] = []
        for delivery in deliveries:
            if delivery.group is None:
                self._behind.append(delivery)
            elif delivery.state == "held":
                self._held.add(delivery)
            else:
                messages.append(delivery)
        return messages

    def released(self, planned: Sequence[Delivery], silences: Sequence[AlertSilence] = ()) -> Released:
        """Those of the waiting and the new ones that may go now, in their order."""
        now, found = self._context.now(), Released()
        fresh = {delivery.delivery_id for delivery in planned}
        # 1. What is told alone waits for the scores only.
        alone = [*self._behind, *(delivery for delivery in planned if delivery.group is None)]
        self._behind = [delivery for delivery in alone if self._waits(delivery, now)]
        behind = {delivery.delivery_id for delivery in self._behind}
        found.messages = [delivery for delivery in alone if delivery.delivery_id not in behind]
        # 2. What is told with others waits for its time, and is decided on again.
        for delivery in planned:
            if delivery.group is not None:
                self._held.add(held(delivery))
        world = World(
            now=now,
            why_not=lambda delivery: self._why_not(delivery, silences, now),
            addressed=self._addressed,
            is_behind=lambda delivery: self._waits(delivery, now),
            most_per_hour=self._context.addressing.most_per_hour,
            is_known=self._is_known,
        )
        release = self._held.release(world)
        for delivery in found.messages:
            self._held.remember(delivery)
        found.messages += release.messages
        self._account(release, found, fresh)
        # 3. What is new and waits is written down.
        changed = {moved.after.delivery_id for moved in release.moved} | {one.delivery_id for one in release.regrouped}
        changed, self._rewritten = changed | self._rewritten | fresh, set()
        if changed:
            waiting = {one.delivery_id: one for one in (*self._behind, *self._held)}
            found.waiting = [held(one) for named, one in waiting.items() if named in changed]
        return found

    def forget(self, erased: Sequence[Erased]) -> list[str]:
        """Nothing waits any more that is about a relationship that was erased, but its end, and nothing for a person
        who was. Returns whose records are to go."""
        self._erased |= set(erased)
        found: list[str] = []
        for delivery in list(self._held) if erased else ():
            if delivery.person is not None and Erased("person", delivery.tenant, delivery.person) in self._erased:
                # To nobody by name: who it goes to is asked when it is sent.
                self._held.drop(delivery)
                self._held.add(delivery.model_copy(update={"person": None}))
                self._rewritten.add(delivery.delivery_id)
        for delivery in (*self._held, *self._behind) if erased else ():
            if not self._is_erased(delivery) or delivery.transition == "resolved":
                continue
            self._held.drop(delivery)
            self._behind = [one for one in self._behind if one.delivery_id != delivery.delivery_id]
            found.append(delivery.delivery_id)
        return found

    def _account(self, release: Release, found: Released, fresh: AbstractSet[str]) -> None:
        """Who heard of an episode, and what is written down of singles. Of thousands that came to light late and were
        folded at once the message stands, and the decision of each."""
        for before, after in release.moved:
            self._unhear(before)
            self._mark(after)
            if before.delivery_id != after.delivery_id and before.delivery_id not in fresh:
                found.ended.append(dropped(before, ELSEWHERE, self._context.now()))
        for delivery in release.unheard:
            self._unhear(delivery)
        late = {one.delivery_id for one in release.folded if one.group == "late"} & fresh
        found.ended += [one for one in release.folded if one.delivery_id not in late] + release.ended
        found.gone = [one.delivery_id for one in found.ended if self._is_erased(one)]
        found.ended = [one for one in found.ended if not self._is_erased(one)]

    def _is_erased(self, delivery: Delivery) -> bool:
        return Erased("relationship", delivery.tenant, delivery.relationship) in self._erased

    def _unhear(self, delivery: Delivery) -> None:
        holder = self._holder(delivery)
        if holder is not None:
            to = Destination(delivery.channel, delivery.recipient)
            holder.mark_unheard(subject_key(delivery), delivery.alert.rule, to)

    def _mark(self, delivery: Delivery) -> None:
        holder, alert = self._holder(delivery), delivery.alert
        if holder is not None and holder.told(subject_key(delivery), alert.rule) == alert.episode:
            to = Destination(delivery.channel, delivery.recipient)
            holder.mark_told(subject_key(delivery), alert.rule, alert.episode, [Recipient(to, delivery.person)])

    def _addressed(self, delivery: Delivery) -> Addressee | None:
        about = About(delivery.tenant, delivery.program, delivery.alert.rule, delivery.alert.urgency)
        found = self._context.again([Recipient(Destination(delivery.channel, delivery.recipient))], about)
        return found[0] if found else None

    def _why_not(self, delivery: Delivery, silences: Sequence[AlertSilence], now: Instant) -> str | None:
        """Why nobody needs to be told of it any more."""
        holder = self._holder(delivery)
        watch = holder.watch(subject_key(delivery)) if holder else None
        handling = watch.handling.get(delivery.alert.rule, UNTOUCHED) if watch else UNTOUCHED
        if handling.state != "open" and handling.until is not None:
            # Without saying by whom: that is known where it can be erased.
            return f"{handling.state} until {instant(handling.until)}"
        silence = muting(tuple(silences), delivery, now)
        if silence is not None:
            return f"silence {silence.id[:64]} until {instant(silence.until)}"
        return self._context.addressing.preferences.why_not(delivery)

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
        return next((alerts for alerts in self._holders if alerts.watches(key)), None)
