"""Moves the deliveries of all destinations: due, rendered, started, submitted to a sender, settled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.smtp import MailDirectory
from services.notify.domain.deliveries import (
    SENT_AGAIN,
    DeliveryAccepted,
    apply_result,
    has_ended,
    listed_alerts,
    mark_dead,
    recover_interrupted,
    refused_addresses,
    start_attempt,
    supersede,
    without_relationships,
)
from services.notify.domain.destinations import DestinationConfig
from services.notify.domain.ids import Destination
from services.notify.domain.ledger import Ledger
from services.notify.domain.name_book import Erased
from services.notify.domain.outbox import Parked, as_fallback, for_address, is_overdue
from services.notify.domain.preferences import AddressOff
from services.notify.flow.destinations import DestinationQueues
from services.notify.flow.senders import CompletedAttempt, SenderPool
from services.notify.rendering.renderer import Renderer
from services.runtime import log
from services.runtime.unexpected import error_fields

OVERDUE_SECONDS = 1.0
"""How often waiting deliveries are scanned for overdue ones."""
NOT_CONFIGURED = "this destination is no longer configured"


@dataclass(frozen=True)
class Environment:
    """Everything that is not a function of the input: wall time, randomness, the addresses of persons, and from when on
    a delivery may be sent."""

    now: Callable[[], Instant]
    chance: Callable[[], float]
    directory: MailDirectory
    deliverable_from: Callable[[Delivery, Instant], Instant]


@dataclass
class DispatchStep:
    """The records to write before `send`: ended attempts, deliveries planned here, deliveries started now, ids of
    deliveries that are kept no longer, and addresses that were refused for good."""

    outcomes: list[Delivery] = field(default_factory=list)
    planned: list[Delivery] = field(default_factory=list)
    starting: list[Delivery] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    off: list[AddressOff] = field(default_factory=list)


class Dispatch:
    def __init__(self, senders: SenderPool, renderer: Renderer, ledger: Ledger, environment: Environment) -> None:
        self._senders, self._renderer, self._ledger, self._environment = senders, renderer, ledger, environment
        self._queues = DestinationQueues(senders, environment.now, environment.directory)
        self._changes = DispatchStep()
        self._erased: set[Erased] = set()
        # Ids of deliveries of which nothing is kept once they have ended.
        self._discard_when_ended: set[str] = set()
        # Ids of waiting deliveries that a fallback has got by now.
        self._fallen_back: set[str] = set()
        self._overdue_checked_at: Instant | None = None
        self._log = log.get(__name__)

    @property
    def waiting(self) -> int:
        return sum(len(queue.outbox) for queue in self._queues)

    @property
    def in_flight(self) -> int:
        """The waiting deliveries that a sender holds, which may return at any time."""
        return sum(queue.outbox.in_flight for queue in self._queues)

    @property
    def parked(self) -> dict[str, Parked]:
        """The destinations that are down, by name, without single hiccups."""
        return self._queues.parked

    def configure(self, configs: Sequence[DestinationConfig]) -> None:
        """Replace the destinations. Deliveries that wait for a removed one are dead, and listed."""
        for stranded in self._queues.configure(configs):
            self._finish(mark_dead(stranded, NOT_CONFIGURED, self._environment.now()))

    def step(self, released: Sequence[Delivery]) -> DispatchStep:
        """Return what to write for everything that happened since the last step and starts now. `released`: planned
        deliveries that may go."""
        now = self._environment.now()
        # 1. Settle completed attempts.
        for attempt in self._senders.completed():
            self._settle(attempt)
        # 2. Add new deliveries, and fall back for overdue ones.
        for delivery in released:
            self._add(delivery, now)
        for delivery in self._overdue(now):
            self._fall_back(delivery, now)
        # 3. Start due deliveries. One that cannot be rendered ends here.
        open_ = [queue for queue in self._queues if not queue.is_draining]
        due = [
            delivery for queue in open_ for delivery in queue.outbox.poll_due(now, self._environment.deliverable_from)
        ]
        starting = [begun for one in due if (begun := self._start_rendered(one, now)) is not None]
        step, self._changes = self._changes, DispatchStep()
        step.starting += starting
        step.gone += self._ledger.expired(now)
        return step

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Submit deliveries that were written as started."""
        for delivery in deliveries:
            self._senders.submit(self._queues.queue_of(delivery).sender, delivery)

    def stop(self) -> DispatchStep:
        """Finish deliveries in flight; their outcomes are to be written. A delivery that was started but not sent is
        sent after the next start, under the same id."""
        self._queues.stop()
        for attempt in self._senders.completed():
            self._settle(attempt)
        step, self._changes = self._changes, DispatchStep()
        return step

    def replay(self, delivery: Delivery) -> None:
        """Send an ended delivery again, as a person asks."""
        self._ledger.remove(delivery.delivery_id)
        if not self.has_delivery(delivery):
            self._add(delivery, self._environment.now())

    def discard(self, delivery_id: str) -> None:
        """Forget an ended delivery, as a person asks. Its tombstone is written already."""
        self._ledger.remove(delivery_id)

    def has_delivery(self, delivery: Delivery) -> bool:
        """Return whether the delivery has ended or waits in a queue."""
        queue = self._queues.active(Destination(delivery.channel, delivery.recipient))
        return delivery.delivery_id in self._ledger or (queue is not None and delivery in queue.outbox)

    def plan(self, delivery: Delivery) -> None:
        """Plan a delivery, unless it exists already."""
        if not self.has_delivery(delivery):
            self._changes.planned.append(delivery)
            self._add(delivery, self._environment.now())

    def record_ended(self, ended: Sequence[Delivery]) -> None:
        """Record deliveries that ended while they were held."""
        for delivery in ended:
            self._ledger.add(delivery)

    def forget(self, erased: Sequence[Erased]) -> None:
        """Remove ended deliveries that name the erased person or relationship. Waiting ones are sent without names, and
        not kept either."""
        for one in erased:
            self._erased.add(one)
            found = self._ledger.mentioning if one.kind == "person" else self._ledger.of_relationship
            for delivery_id in found(one.tenant, one.id):
                self._ledger.remove(delivery_id)
                self._changes.gone.append(delivery_id)
        waiting = [(queue, delivery) for queue in self._queues for delivery in queue.outbox]
        for queue, delivery in waiting if erased else ():
            redacted = self._without_erased(delivery)
            if redacted is delivery:
                continue
            if redacted is not None and queue.outbox.replace(redacted):
                self._changes.planned.append(redacted)
            elif redacted is None and queue.outbox.drop(delivery):
                self._changes.gone.append(delivery.delivery_id)
            else:
                self._discard_when_ended.add(delivery.delivery_id)

    def _without_erased(self, delivery: Delivery) -> Delivery | None:
        """Return the delivery without erased persons and relationships; None where nothing is left. Of an erased
        relationship only the end of an alert is sent."""
        relationships = {delivery.relationship, *(item.relationship for item in delivery.items)}
        gone = {one for one in relationships if Erased("relationship", delivery.tenant, one) in self._erased}
        people = [one for one in (*delivery.people, delivery.person) if one is not None]
        if not gone and not any(Erased("person", delivery.tenant, one) in self._erased for one in people):
            return delivery
        if gone and delivery.transition == "resolved" and not delivery.items:
            self._discard_when_ended.add(delivery.delivery_id)
            gone = set()
        remaining = without_relationships(delivery, gone)
        if remaining is None:
            return None
        is_person_erased = (
            delivery.person is not None and Erased("person", remaining.tenant, delivery.person) in self._erased
        )
        if remaining.body is None and not is_person_erased:
            return remaining
        person = None if is_person_erased else delivery.person
        return remaining.model_copy(update={"body": None, "people": (), "person": person})

    def _add(self, original: Delivery, now: Instant) -> None:
        delivery = self._without_erased(self._queues.with_current_name(recover_interrupted(original, now)))
        if delivery is None:
            self._changes.gone.append(original.delivery_id)
            return
        queue = self._queues.active(Destination(delivery.channel, delivery.recipient))
        if queue is None:
            self._finish(mark_dead(delivery, NOT_CONFIGURED, now))
        elif has_ended(delivery):  # its outcome is unknown, and it is not sent again
            self._finish(delivery)
        else:
            for overtaken in queue.outbox.add(delivery):
                self._finish(supersede(overtaken, delivery, now))
            if delivery is not original:
                self._changes.outcomes.append(delivery)
        ended = [one.dedup_key for one in listed_alerts(delivery) if one.transition == "resolved"]
        if ended:
            self._notify_fallbacks(delivery, ended, now)

    def _settle(self, attempt: CompletedAttempt) -> None:
        delivery, result = attempt.delivery, attempt.result
        queue = self._queues.queue_of(delivery)
        outcome = apply_result(delivery, result, self._environment.chance())
        if delivery.delivery_id in self._discard_when_ended:
            outcome = outcome.model_copy(update={"body": None, "people": ()})
        if queue.is_draining and not has_ended(outcome):
            outcome = mark_dead(outcome, NOT_CONFIGURED, result.at)
        self._changes.off += refused_addresses(delivery, result)
        queue.outbox.complete(outcome)
        for put_off in result.verdict.put_off if isinstance(result.verdict, DeliveryAccepted) else ():
            # From the attempt, which has the body: nothing is rendered again.
            self.plan(for_address(delivery, put_off, result.at, self._environment.chance()))
        queue.record_result(result, self._environment.chance())
        if has_ended(outcome):
            self._finish(outcome)
        else:
            self._changes.outcomes.append(outcome)
        self._queues.remove_drained(queue)

    def _finish(self, outcome: Delivery) -> None:
        self._changes.outcomes.append(outcome)
        is_missing = outcome.state == "dead" or (outcome.state == "unknown" and outcome.alert.urgency in SENT_AGAIN)
        # Where one address of a list got nothing, the others did.
        if is_missing and outcome.address is None:
            self._fall_back(outcome, self._environment.now())
        self._fallen_back.discard(outcome.delivery_id)
        if outcome.delivery_id in self._discard_when_ended:
            self._discard_when_ended.discard(outcome.delivery_id)
            self._changes.gone.append(outcome.delivery_id)
            return
        self._ledger.add(outcome)

    def _overdue(self, now: Instant) -> list[Delivery]:
        if self._overdue_checked_at is not None and (now - self._overdue_checked_at).total_seconds() < OVERDUE_SECONDS:
            return []
        self._overdue_checked_at = now
        return [
            delivery
            for queue in self._queues
            if queue.config.fallback is not None
            for delivery in queue.outbox
            if delivery.delivery_id not in self._fallen_back and is_overdue(delivery, queue.outbox.parked, now)
        ]

    def _fall_back(self, delivery: Delivery, now: Instant) -> None:
        """Plan the same message for the fallback destination, once."""
        queue = self._queues.active(Destination(delivery.channel, delivery.recipient))
        to = self._queues.fallback_for(queue.config.fallback, delivery) if queue is not None else None
        if to is None or delivery.fallback_of is not None:
            return
        self._fallen_back.add(delivery.delivery_id)
        self.plan(as_fallback(delivery, to, now))

    def _notify_fallbacks(self, delivery: Delivery, ended: Sequence[str], now: Instant) -> None:
        """Send the end of an alert to every fallback destination that got its notice."""
        fallbacks = {to for key in ended for to in self._ledger.fallback_recipients(key)}
        fallbacks |= {
            queue.destination
            for queue in self._queues
            for one in queue.outbox
            if one.fallback_of is not None and any(alert.dedup_key in ended for alert in listed_alerts(one))
        }
        fallbacks.discard(Destination(delivery.channel, delivery.recipient))
        for to in sorted(fallbacks, key=lambda one: (one.channel, one.recipient)):
            self.plan(as_fallback(delivery, to, now))

    def _start_rendered(self, due: Delivery, now: Instant) -> Delivery | None:
        delivery_started = start_attempt(due, now)
        try:
            return delivery_started if delivery_started.body is not None else self._renderer.render(delivery_started)
        except Exception as failure:  # noqa: BLE001 (logged, listed with the dead letters, and no other waits for it)
            failure_details = error_fields(failure)
            self._log.error("rendering_failed", delivery_id=due.delivery_id, channel=due.channel, **failure_details)
            outcome = mark_dead(
                delivery_started,
                f"cannot be rendered: {failure_details['error']} at {failure_details['raised_at']}",
                now,
            )
            self._queues.queue_of(due).outbox.complete(outcome)
            self._finish(outcome)
            return None
