"""Keeps the deliveries of all destinations moving: due, rendered, started, with a sender, settled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.smtp import MailDirectory
from services.notify.domain.deliveries import (
    SENT_AGAIN,
    addresses_off,
    alerts_of,
    has_ended,
    interrupted,
    refused,
    settled,
    started,
    superseded,
    without,
)
from services.notify.domain.destinations import DestinationConfig
from services.notify.domain.ids import Destination
from services.notify.domain.ledger import Ledger
from services.notify.domain.name_book import Erased
from services.notify.domain.outbox import Parked, in_place_of, is_overdue
from services.notify.domain.preferences import AddressOff
from services.notify.flow.destinations import Posts
from services.notify.flow.senders import Answered, SenderPool
from services.notify.rendering.renderer import Renderer
from services.runtime import log
from services.runtime.unexpected import error_fields

OVERDUE_SECONDS = 1.0
"""How often what waits is looked through for what has waited too long."""
NOT_CONFIGURED = "this destination is no longer configured"


@dataclass(frozen=True)
class Environment:
    """What is not a function of the input: wall time and chance, the addresses of persons, and from when on a delivery
    may be sent."""

    now: Callable[[], Instant]
    chance: Callable[[], float]
    directory: MailDirectory
    opens: Callable[[Delivery, Instant], Instant]


@dataclass
class Step:
    """What is to be written down before `send`: attempts that came to an end, deliveries that were planned here, what
    is started now, the ids of what is kept no longer, and addresses that were refused for good."""

    outcomes: list[Delivery] = field(default_factory=list)
    planned: list[Delivery] = field(default_factory=list)
    starting: list[Delivery] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    off: list[AddressOff] = field(default_factory=list)


class Dispatch:
    def __init__(self, senders: SenderPool, renderer: Renderer, ledger: Ledger, environment: Environment) -> None:
        self._senders, self._renderer, self._ledger, self._environment = senders, renderer, ledger, environment
        self._posts = Posts(senders, environment.now, environment.directory)
        self._changes = Step()
        self._forgotten: set[Erased] = set()
        # Ids of deliveries of which nothing is kept when they have ended.
        self._unkept: set[str] = set()
        # Deliveries that wait, and that another destination has got by now.
        self._fallen_back: set[str] = set()
        self._looked_at: Instant | None = None
        self._log = log.get(__name__)

    @property
    def waiting(self) -> int:
        return sum(len(post.outbox) for post in self._posts)

    @property
    def in_hands(self) -> int:
        """Of those that wait: what is being sent, and may come back at any time."""
        return sum(post.outbox.in_hands for post in self._posts)

    @property
    def parked(self) -> dict[str, Parked]:
        """By name the destinations that are down, all but hiccups."""
        return self._posts.parked

    def configure(self, configs: Sequence[DestinationConfig]) -> None:
        """From now on there are these destinations. What waits for one that is away is dead, and listed."""
        for stranded in self._posts.configure(configs):
            self._end(refused(stranded, NOT_CONFIGURED, self._environment.now()))

    def step(self, released: Sequence[Delivery]) -> Step:
        """What has happened since the last one, and what happens now. `released`: planned deliveries that may go."""
        now = self._environment.now()
        # 1. What has come back.
        for answered in self._senders.answered():
            self._settle(answered)
        # 2. What is new, and what has waited for too long.
        for delivery in released:
            self._add(delivery, now)
        for delivery in self._overdue(now):
            self._fall_back(delivery, now)
        # 3. What is due. What cannot be rendered ends here.
        open_ = [post for post in self._posts if not post.is_leaving]
        due = [delivery for post in open_ for delivery in post.outbox.hand_out(now, self._environment.opens)]
        starting = [begun for one in due if (begun := self._begun(one, now)) is not None]
        step, self._changes = self._changes, Step()
        step.starting += starting
        step.gone += self._ledger.expired(now)
        return step

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Those that were written down as started."""
        for delivery in deliveries:
            self._senders.submit(self._posts.holding(delivery).sender, delivery)

    def stop(self) -> Step:
        """Finishes what is in hand; the outcomes are to be written down. What was started and not sent is sent after
        the next start, under the same ids."""
        self._posts.stop()
        for answered in self._senders.answered():
            self._settle(answered)
        step, self._changes = self._changes, Step()
        return step

    def begin_anew(self, delivery: Delivery) -> None:
        """A person wants one that has ended to be sent again."""
        self._ledger.remove(delivery.delivery_id)
        if not self.knows(delivery):
            self._add(delivery, self._environment.now())

    def discard(self, delivery_id: str) -> None:
        """A person wants to see one that has ended no longer. Its tombstone is written already."""
        self._ledger.remove(delivery_id)

    def knows(self, delivery: Delivery) -> bool:
        """Whether it has ended, or is to be sent."""
        post = self._posts.open_for(Destination(delivery.channel, delivery.recipient))
        return delivery.delivery_id in self._ledger or (post is not None and delivery in post.outbox)

    def plan(self, delivery: Delivery) -> None:
        """One of ours, unless it is known already."""
        if not self.knows(delivery):
            self._changes.planned.append(delivery)
            self._add(delivery, self._environment.now())

    def keep(self, ended: Sequence[Delivery]) -> None:
        """Those that ended before they were to be sent."""
        for delivery in ended:
            self._ledger.add(delivery)

    def forget(self, erased: Sequence[Erased]) -> None:
        """Nothing that has ended is kept of whom or what was erased; what still has to be said is said without names,
        and not kept either."""
        for one in erased:
            self._forgotten.add(one)
            found = self._ledger.naming if one.kind == "person" else self._ledger.of_relationship
            for delivery_id in found(one.tenant, one.id):
                self._ledger.remove(delivery_id)
                self._changes.gone.append(delivery_id)
        waiting = [(post, delivery) for post in self._posts for delivery in post.outbox]
        for post, delivery in waiting if erased else ():
            cleaned = self._without_erased(delivery)
            if cleaned is delivery:
                continue
            if cleaned is not None and post.outbox.replace(cleaned):
                self._changes.planned.append(cleaned)
            elif cleaned is None and post.outbox.drop(delivery):
                self._changes.gone.append(delivery.delivery_id)
            else:
                self._unkept.add(delivery.delivery_id)

    def _without_erased(self, delivery: Delivery) -> Delivery | None:
        """None where nothing is to be said any more: of what is erased only that an alert has ended."""
        relationships = {delivery.relationship, *(item.relationship for item in delivery.items)}
        gone = {one for one in relationships if Erased("relationship", delivery.tenant, one) in self._forgotten}
        named = [one for one in (*delivery.people, delivery.person) if one is not None]
        if not gone and not any(Erased("person", delivery.tenant, one) in self._forgotten for one in named):
            return delivery
        if gone and delivery.transition == "resolved" and not delivery.items:
            self._unkept.add(delivery.delivery_id)
            gone = set()
        left = without(delivery, gone)
        if left is None:
            return None
        gone_to = delivery.person is not None and Erased("person", left.tenant, delivery.person) in self._forgotten
        if left.body is None and not gone_to:
            return left
        person = None if gone_to else delivery.person
        return left.model_copy(update={"body": None, "people": (), "person": person})

    def _add(self, given: Delivery, now: Instant) -> None:
        delivery = self._without_erased(self._posts.renamed(interrupted(given, now)))
        if delivery is None:
            self._changes.gone.append(given.delivery_id)
            return
        post = self._posts.open_for(Destination(delivery.channel, delivery.recipient))
        if post is None:
            self._end(refused(delivery, NOT_CONFIGURED, now))
        elif has_ended(delivery):  # nobody knows whether it arrived, and it is not sent again
            self._end(delivery)
        else:
            for needless in post.outbox.add(delivery):
                self._end(superseded(needless, delivery, now))
            if delivery is not given:
                self._changes.outcomes.append(delivery)
        ended = [one.dedup_key for one in alerts_of(delivery) if one.transition == "resolved"]
        if ended:
            self._tell_stand_ins(delivery, ended, now)

    def _settle(self, answered: Answered) -> None:
        delivery, answer = answered.delivery, answered.answer
        post = self._posts.holding(delivery)
        outcome = settled(delivery, answer, self._environment.chance())
        if delivery.delivery_id in self._unkept:
            outcome = outcome.model_copy(update={"body": None, "people": ()})
        if post.is_leaving and not has_ended(outcome):
            outcome = refused(outcome, NOT_CONFIGURED, answer.at)
        self._changes.off += addresses_off(delivery, answer)
        post.outbox.take_back(outcome)
        post.judge(answer, self._environment.chance())
        if has_ended(outcome):
            self._end(outcome)
        else:
            self._changes.outcomes.append(outcome)
        self._posts.let_go(post)

    def _end(self, outcome: Delivery) -> None:
        self._changes.outcomes.append(outcome)
        if outcome.state == "dead" or (outcome.state == "unknown" and outcome.alert.urgency in SENT_AGAIN):
            self._fall_back(outcome, self._environment.now())
        self._fallen_back.discard(outcome.delivery_id)
        if outcome.delivery_id in self._unkept:
            self._unkept.discard(outcome.delivery_id)
            self._changes.gone.append(outcome.delivery_id)
            return
        self._ledger.add(outcome)

    def _overdue(self, now: Instant) -> list[Delivery]:
        if self._looked_at is not None and (now - self._looked_at).total_seconds() < OVERDUE_SECONDS:
            return []
        self._looked_at = now
        return [
            delivery
            for post in self._posts
            if post.config.fallback is not None
            for delivery in post.outbox
            if delivery.delivery_id not in self._fallen_back and is_overdue(delivery, post.outbox.parked, now)
        ]

    def _fall_back(self, delivery: Delivery, now: Instant) -> None:
        """The same message to the destination that stands in, once."""
        post = self._posts.open_for(Destination(delivery.channel, delivery.recipient))
        to = self._posts.named(post.config.fallback, delivery) if post is not None else None
        if to is None or delivery.fallback_of is not None:
            return
        self._fallen_back.add(delivery.delivery_id)
        self.plan(in_place_of(delivery, to, now))

    def _tell_stand_ins(self, delivery: Delivery, ended: Sequence[str], now: Instant) -> None:
        """Whoever heard of an alert in place of another hears of its end."""
        stood_in = {to for key in ended for to in self._ledger.stand_ins(key)}
        stood_in |= {
            post.destination
            for post in self._posts
            for one in post.outbox
            if one.fallback_of is not None and any(alert.dedup_key in ended for alert in alerts_of(one))
        }
        stood_in.discard(Destination(delivery.channel, delivery.recipient))
        for to in sorted(stood_in, key=lambda one: (one.channel, one.recipient)):
            self.plan(in_place_of(delivery, to, now))

    def _begun(self, due: Delivery, now: Instant) -> Delivery | None:
        begun = started(due, now)
        try:
            return begun if begun.body is not None else self._renderer.rendered(begun)
        except Exception as failure:  # noqa: BLE001 (told, listed with the dead letters, and no other waits for it)
            found = error_fields(failure)
            self._log.error("rendering_failed", delivery_id=due.delivery_id, channel=due.channel, **found)
            outcome = refused(begun, f"cannot be rendered: {found['error']} at {found['raised_at']}", now)
            self._posts.holding(due).outbox.take_back(outcome)
            self._end(outcome)
            return None
