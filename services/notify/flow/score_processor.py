"""From score events to decisions, partition by partition, in log order."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pydantic import ValidationError

from schemas.alert_commands import AlertSilence
from schemas.alerts import AlertChanged, Delivery, InputOffset
from schemas.primitives import Id, Instant
from schemas.rule_sets import RuleEvent
from schemas.scores import SCORE_EVENT
from services.notify.domain.decisions import alert_changed, subject_alert_changed
from services.notify.domain.evaluation import Transitioned
from services.notify.domain.guards import STORM_SPAN, CatchingUp, Storms, lag, ready_to_settle
from services.notify.domain.ids import Destination, Recipient, transition_id
from services.notify.domain.partition_alerts import ClosedCall, PartitionAlerts, StateChanges
from services.notify.domain.pipeline import HANDED_OVER, Decision, Notice, run_pipeline, stage_context
from services.notify.domain.routing import DecisionContext, RoutingKey
from services.notify.domain.rule_book import RuleBook, Shadows
from services.notify.domain.shared_alerts import SharedAlerts, late_histories, lowest_clock, tallies
from services.notify.domain.subjects import SubjectTransitioned, SubjectWatch
from services.notify.flow.report import Metrics
from services.runtime import log
from services.runtime.kafka import Partition, Record
from services.runtime.unexpected import Breaker, error_fields
from services.validation_errors import field_errors


@dataclass(frozen=True)
class TransitionContext:
    """The context of a decision. `lag`: how far the scores are behind the wall clock; `storm`: why the transition
    belongs to a storm, if so."""

    alerts: PartitionAlerts | SharedAlerts
    silences: tuple[AlertSilence, ...]
    lag: timedelta = timedelta(0)
    storm: str | None = None


class ScoreProcessor:
    """Call `decide`, then `drain_changes`, `drain_subject_changes` and `drain_shadow_results`, and commit all in one
    transaction before the next batch."""

    def __init__(
        self,
        partition_alerts_by_number: Mapping[int, PartitionAlerts],
        shared: SharedAlerts,
        rules: RuleBook,
        context: DecisionContext,
        metrics: Metrics,
    ) -> None:
        self._partition_alerts, self._context, self._metrics = partition_alerts_by_number, context, metrics
        self._shared, self._rules = shared, rules
        self._shadows = Shadows(rules, self._log_failure)
        self._is_fresh = True
        self._breaker = Breaker()
        self._storms = Storms()
        self._log = log.get(__name__)

    def decide(
        self, polled: Mapping[Partition, Sequence[Record]], silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """Decide on score events. Raises BadDeployError when too many records in a row cannot be read."""
        decided_at, decisions = self._context.now(), list[Decision]()
        for partition in sorted(polled):
            partition_alerts = self._partition_alerts[partition.number]
            for record in polled[partition]:
                decisions += self._decide_record(partition_alerts, record, decided_at, silences)
            for key, failure in partition_alerts.drain_resets():
                self._metrics.forgotten.inc()
                self._log.error(
                    "watch_begun_anew", partition=partition.number, relationship=key, **error_fields(failure)
                )
        return decisions

    def settle(self, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Decide on history that arrived late, once it is complete."""
        decided_at = self._context.now()
        waiting: dict[str, list[CatchingUp]] = {}
        for number, partition_alerts in self._partition_alerts.items():
            behind = lag(partition_alerts.clock, decided_at, self._context.clock)
            for key, catch_up in partition_alerts.catching_up().items():
                one = CatchingUp(key, number, catch_up, partition_alerts.clock, behind)
                waiting.setdefault(key.partition("/")[0], []).append(one)
        ready = [one for of_tenant in waiting.values() for one in ready_to_settle(of_tenant)]
        decisions: list[Decision] = []
        for one in ready:
            alerts = self._partition_alerts[one.partition]
            try:
                transitioned = alerts.settle(one.key)
            except Exception as failure:  # noqa: BLE001 (logged with the next batch of the partition)
                alerts.forget(one.key, failure)
                continue
            decisions += self._run_pipeline(alerts, transitioned, decided_at, silences)
        if ready:
            decisions += self._decide_subjects(self._catch_up_subjects(ready), decided_at, silences)
        return decisions

    def stale(self, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Decide whether scores are behind the events. Call it when all scores have been read."""
        clock = lowest_clock(self._partition_alerts.values())
        found = [] if clock is None else self._shared.stale(clock)
        return self._decide_subjects(found, self._context.now(), silences)

    def drain_subject_changes(self) -> dict[str, SubjectWatch]:
        """Return the changed programmes and sources, by key."""
        return self._shared.drain_changes()

    def drain_shadow_results(self) -> list[RuleEvent]:
        """Return the results of shadows since the last call."""
        return self._shadows.drain_results(self._context.now())

    def drain_closed_calls(self) -> list[ClosedCall]:
        """Return the support requests closed since the last call."""
        return [closed for alerts in self._partition_alerts.values() for closed in alerts.drain_closed_calls()]

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """Restore recent decisions from before the start: they count for storms."""
        since = self._context.now() - STORM_SPAN
        for delivery in sorted(deliveries, key=lambda one: one.alert.decided_at):
            alert = delivery.alert
            if alert.decided_at > since and delivery.group not in {"late", "rescored"}:
                event_id = transition_id(alert.dedup_key, alert.seq, alert.transition)
                self._storms.add(delivery.tenant, delivery.program, event_id, alert.decided_at)

    def remind(self, keys: Sequence[tuple[str, str]], why: str, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Remind of open alerts, by the key of their subject and their rule, though nothing has changed."""
        decided_at = self._context.now()
        found: list[Decision] = []
        for key, rule in keys:
            store = next((alerts for alerts in self._partition_alerts.values() if alerts.has_watch(key)), None)
            if store is not None:
                reminded = store.remind(key, rule, decided_at, why)
                found += self._run_pipeline(store, reminded, decided_at, silences)
            elif self._shared.has_watch(key):
                for one in self._shared.remind(key, rule, decided_at, why):
                    found += self._decide_subject(one, decided_at, silences)
        return found

    def hand_over(self, away: Sequence[tuple[Id, Id]], silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Hand the alerts of these people, by tenant and id, over to whoever looks after them now, in one message."""
        found: list[tuple[str, str]] = []
        for alerts in self._stores() if away else ():
            found += alerts.release_alerts_of(set(away))
        return self.remind(found, HANDED_OVER, silences)

    def unmute(self, over: Sequence[AlertSilence], silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Remind of open alerts that an ended silence has muted."""
        decisions: list[Decision] = []
        for silence in over:
            muted = [found for alerts in self._stores() for found in alerts.muted_by(silence)]
            decisions += self.remind(muted, f"still so when silence {silence.id} was over"[:64], silences)
        return decisions

    def erase(self, key: str) -> list[Decision]:
        """End the alerts of an erased relationship and drop its state."""
        decided_at = self._context.now()
        found: list[Decision] = []
        for alerts in self._partition_alerts.values():
            found += self._run_pipeline(alerts, alerts.erase(key, decided_at), decided_at, ())
            alerts.remove_erased(key)
        return found

    def forget_people(self, people: Collection[tuple[Id, Id]]) -> None:
        for alerts in self._stores() if people else ():
            alerts.forget_people(people)

    def drain_changes(self) -> dict[int, StateChanges]:
        """Return the changes by partition number."""
        changes = {number: alerts.drain_changes() for number, alerts in self._partition_alerts.items()}
        return {number: touched for number, touched in changes.items() if touched}

    def _decide_record(
        self, alerts: PartitionAlerts, record: Record, decided_at: Instant, silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """Decide on one record. One that is no score event, or cannot be evaluated, stays on its topic and is logged as
        an error."""
        alerts.applied = rests_on = InputOffset(topic=record.topic, partition=record.partition, offset=record.offset)
        try:
            event = SCORE_EVENT.validate_json(record.value or b"")
            transitioned = alerts.apply(event)
        except ValidationError as invalid:
            self._refuse(record, "; ".join(field_errors(invalid)))
            return []
        except Exception as failure:  # noqa: BLE001 (refused, logged, and counted)
            found = error_fields(failure)
            self._refuse(record, f"failed: {found['error']} at {found['raised_at']}")
            return []
        self._breaker.passed()
        decisions: list[Decision] = []
        if transitioned:
            decisions = self._run_pipeline(alerts, transitioned, decided_at, silences, (rests_on,))
        if event.type == "mentoring.clock.advanced.v1":
            decisions += self._advance_subjects(decided_at, silences)
        elif event.data.trigger is not None:
            self._shared.apply_trigger(event.tenant, event.data.trigger)
        return decisions

    def _advance_subjects(self, decided_at: Instant, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Evaluate programmes, sources and shadows, if the lowest clock has moved far enough."""
        clock = lowest_clock(self._partition_alerts.values())
        if clock is None:
            return []
        try:
            self._shadows.track(clock, self._partition_alerts.values())
            found = self._shared.advance(clock, lambda: tallies(self._partition_alerts.values()))
        except Exception as failure:  # noqa: BLE001 (logged and counted; relationships are judged all the same)
            self._log_failure("subjects_not_judged", failure)
            return []
        return self._decide_subjects(found, decided_at, silences)

    def _catch_up_subjects(self, ready: Sequence[CatchingUp]) -> list[SubjectTransitioned]:
        """Evaluate programmes after these relationships have caught up with their history."""
        partitions = self._partition_alerts
        clock, late = lowest_clock(partitions.values()), late_histories(ready, partitions)
        if clock is None:
            return []
        try:
            return self._shared.caught_up(clock, late, tallies(partitions.values(), late))
        except Exception as failure:  # noqa: BLE001 (logged and counted; relationships are judged all the same)
            self._log_failure("subjects_not_judged", failure)
            return []

    def _decide_subjects(
        self, transitioned: Sequence[SubjectTransitioned], decided_at: Instant, silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """Decide on transitions of programmes and sources; then freeze relationships whose source has fallen silent,
        and release those whose source is back."""
        decisions = [decision for one in transitioned for decision in self._decide_subject(one, decided_at, silences)]
        if transitioned or self._is_fresh:
            self._is_fresh = False
            silent = self._shared.silent()
            for alerts in self._partition_alerts.values():
                decisions += self._run_pipeline(alerts, alerts.freeze(silent), decided_at, silences)
        return decisions

    def _decide_subject(
        self, one: SubjectTransitioned, decided_at: Instant, silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """Without lag and storm: that scores lag, or that many pairs alert, may be the very content of the alert."""
        try:
            event = subject_alert_changed(one, decided_at)
        except Exception as failure:  # noqa: BLE001 (logged and counted; the next one is decided)
            self._log_failure("subject_not_told", failure)
            return []
        return [self._decide_transition(event, one, TransitionContext(self._shared, silences))]

    def _run_pipeline(
        self,
        alerts: PartitionAlerts,
        transitioned: Sequence[Transitioned],
        decided_at: Instant,
        silences: tuple[AlertSilence, ...],
        inputs: tuple[InputOffset, ...] = (),
    ) -> list[Decision]:
        """Run each transition through the pipeline before the next one, since a sent one counts for those after it."""
        decisions = []
        for one in transitioned:
            key = one.watch.subject.key
            try:
                event = alert_changed(one, decided_at, inputs)
            except Exception as failure:  # noqa: BLE001 (logged by the caller of `drain_resets`)
                # The state does not even name its subject: its watch begins anew.
                alerts.forget(key, failure)
                continue
            behind, storm = lag(alerts.clock, decided_at, self._context.clock), None
            if self._context.clock == "wall" and one.transition.name != "resolved":
                of = (event.tenant, event.program)
                active = sum(one.active(*of) for one in self._partition_alerts.values())
                storm = self._storms.storm_reason(*of, decided_at, active)
            decision = self._decide_transition(event, one, TransitionContext(alerts, silences, behind, storm))
            if decision.is_sent and one.transition.late is None:
                self._storms.add(event.tenant, event.program, event.id, decided_at)
            decisions.append(decision)
        return decisions

    def _decide_transition(
        self, event: AlertChanged, transitioned: Transitioned | SubjectTransitioned, context: TransitionContext
    ) -> Decision:
        """Run the pipeline. The recipients, and what keeps it from people, are stored with the alert."""
        key, rule, alerts = transitioned.watch.subject.key, event.data.rule, context.alerts
        muted = transitioned.watch.muted.get(rule)
        if muted is not None and all(silence.id != muted for silence in context.silences):
            # The first notice after a silence says so.
            event = event.model_copy(update={"data": event.data.model_copy(update={"after_silence": muted})})
        about = RoutingKey(event.tenant, event.program, rule, event.data.urgency)
        notified = alerts.last_notified_episode(key, rule)
        found = stage_context(transitioned, notified, self._context.route(about), context.silences)
        before = alerts.notified_recipients(key, rule)
        decision = run_pipeline(
            Notice(event),
            replace(
                found,
                heard=None if before is None else self._context.current_addressees(before, about),
                lag=context.lag,
                storm=context.storm,
            ),
        )
        if decision.is_sent:
            recipients = tuple(Recipient(Destination(d.channel, d.recipient), d.person) for d in decision.deliveries)
            alerts.mark_notified(key, rule, event.data.episode, recipients)
        elif decision.muted is not None:
            alerts.mark_muted(key, rule, decision.muted)
        return decision

    def _stores(self) -> tuple[PartitionAlerts | SharedAlerts, ...]:
        return (*self._partition_alerts.values(), self._shared)

    def _log_failure(self, what: str, failure: Exception) -> None:
        self._metrics.forgotten.inc()
        self._log.error(what, **error_fields(failure))

    def _refuse(self, record: Record, reason: str) -> None:
        self._metrics.refused.inc()
        self._log.error(
            "score_refused", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
        self._breaker.refused(reason)
