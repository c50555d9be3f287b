"""Escalation by name: the next person in line when nobody has acknowledged in time, and whoever an alert is assigned
to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush

from schemas.alerts import Delivery
from schemas.primitives import Id, Instant
from services.notify.domain.alert_episode import AlertEpisode, current_alert, episodes_of
from services.notify.domain.deliveries import fold_messages, new_delivery, reset_for_replay
from services.notify.domain.ids import Recipient, delivery_id, subject_key, transition_id
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.routing import Addressee, DecisionContext, RoutingKey, deliverable_from
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.domain.working_hours import NEEDS_ACKNOWLEDGEMENT, escalates_at

GIVEN, UNANSWERED = "it was given to you", "nobody has acknowledged it by"
ALONE: Mapping[str, object] = {"group": None, "items": (), "more": 0, "people": (), "fallback_of": None}
LOOKBACK = timedelta(days=1)
"""After a longer time without anybody at work it is too late to escalate."""


@dataclass(frozen=True)
class AssignedAlert:
    """Somebody has assigned the open alert of a rule to a person. `occasion`: the id of the act."""

    watch: Watch | SubjectWatch
    rule: str
    person: Id
    occasion: str


class EscalationPlanner:
    """Called each round. Its state follows from the written deliveries."""

    def __init__(
        self, holders: Sequence[PartitionAlerts | SharedAlerts], rules: RuleBook, context: DecisionContext
    ) -> None:
        self._stores, self._rules = holders, rules
        self._addressing, self._now = context.addressing, context.now
        self._due: list[tuple[Instant, str, Delivery]] = []
        self._scheduled: set[str] = set()

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """Restore from deliveries before the start. Everything due before the last escalation was handled then."""
        asked = (one.planned_at for one in deliveries if one.alert.why.startswith(UNANSWERED))
        self.observe(deliveries, max(asked, default=self._now() - LOOKBACK))

    def observe(self, deliveries: Sequence[Delivery], since: Instant | None = None) -> None:
        """Schedule the transitions that somebody is notified of and that are due after `since`."""
        for delivery in deliveries:
            alert = delivery.alert
            transition = transition_id(alert.dedup_key, alert.seq, alert.transition)
            if alert.urgency == "P3" or alert.transition not in NEEDS_ACKNOWLEDGEMENT or transition in self._scheduled:
                continue
            calendar = self._addressing.calendar(delivery.tenant, delivery.program)
            at = escalates_at(alert.urgency, alert.decided_at, calendar)
            if at is not None and (since is None or at > since):
                self._scheduled.add(transition)
                heappush(self._due, (at, transition, delivery))

    def plan(self, acts: Sequence[AssignedAlert]) -> list[Delivery]:
        """Return one message each for assignees, and for the next in line of all alerts that nobody has acknowledged in
        time."""
        now, found = self._now(), dict[tuple[Id, Recipient], list[Delivery]]()
        while self._due and self._due[0][0] <= now:
            at, transition, delivery = heappop(self._due)
            self._scheduled.discard(transition)
            about = RoutingKey(delivery.tenant, delivery.program, delivery.alert.rule, delivery.alert.urgency)
            to = self._addressing.next_in_line(about) if self._is_open(delivery) else None
            if to is not None:
                local = self._addressing.calendar(delivery.tenant, delivery.program).local(at)
                again = _escalated(delivery, to, now, f"{UNANSWERED} {local:%a} {local.day} {local:%b %H:%M}")
                found.setdefault((delivery.tenant, Recipient(to.destination, to.person)), []).append(again)
        messages: list[Delivery] = []
        for one in acts:
            subject, episode = one.watch.subject, AlertEpisode(one.watch, one.rule, one.watch.rules[one.rule])
            rules = {rule.name: rule for rule in self._rules.in_force((subject.tenant, subject.program), now).rules}
            alert = current_alert(episode, rules, None, now)
            if alert is None:
                continue  # no row explains it
            about = RoutingKey(subject.tenant, subject.program, one.rule, alert.urgency)
            to = self._addressing.to_person(one.person, about)
            if to is not None and to.person is not None:
                subject_ids = (subject.tenant, subject.program, subject.id)
                message = new_delivery(alert, subject_ids, to.destination, one.occasion, now)
                messages.append(_escalated(message, to, now, GIVEN))
        for lines in found.values():
            # One message per recipient. Its id follows from its first line.
            named, due_at = min(one.delivery_id for one in lines), min(one.due_at for one in lines)
            messages.append(fold_messages(lines, now).model_copy(update={"delivery_id": named, "due_at": due_at}))
        return messages

    def _is_open(self, delivery: Delivery) -> bool:
        """Return whether the same episode is open and nobody has acknowledged or snoozed it."""
        key = subject_key(delivery)
        watch = next((found for holder in self._stores if (found := holder.watch(key)) is not None), None)
        return any(
            episode.dedup_key == delivery.dedup_key and episode.is_open and episode.handling.state == "open"
            for episode in (episodes_of(watch) if watch is not None else ())
        )


def _escalated(delivery: Delivery, to: Addressee, now: Instant, why: str) -> Delivery:
    """Return the alert again, as a message of its own."""
    update = {
        "delivery_id": delivery_id(delivery.delivery_id, why, to.person or to.destination.recipient),
        "transition": "reminded",
        "alert": delivery.alert.model_copy(update={"transition": "reminded", "why": why}),
        "channel": to.destination.channel,
        "recipient": to.destination.recipient,
        "person": to.person,
        "due_at": now if delivery.alert.urgency == "P1" else deliverable_from(to.delivery_window, now),
        "changed_at": now,
        "repeat": False,
        **ALONE,
    }
    fresh = reset_for_replay(delivery, now).model_copy(update=update)
    return fresh.model_copy(update={"status": "", "planned_at": now})
