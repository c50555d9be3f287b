"""From the bytes of score events to decisions, partition by partition, in log order."""

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
from services.notify.domain.guards import STORM_SPAN, CatchingUp, Storms, lag, settled
from services.notify.domain.ids import Destination, Recipient, transition_id
from services.notify.domain.partition_alerts import ClosedCall, PartitionAlerts, Touched
from services.notify.domain.pipeline import HANDED_OVER, Decision, Notice, situation, through
from services.notify.domain.routing import About, DecisionContext
from services.notify.domain.rule_book import RuleBook, Shadows
from services.notify.domain.shared_alerts import SharedAlerts, lowest_clock, tallies, told_late
from services.notify.domain.subjects import SubjectTransitioned, SubjectWatch
from services.notify.flow.report import Metrics
from services.runtime import log
from services.runtime.kafka import Partition, Record
from services.runtime.unexpected import Breaker, error_fields
from services.validation_errors import places


@dataclass(frozen=True)
class Around:
    """What a transition is decided in: `lag`: how far the scores are behind the wall clock; `storm`: why it is one of a
    storm, if so."""

    alerts: PartitionAlerts | SharedAlerts
    silences: tuple[AlertSilence, ...]
    lag: timedelta = timedelta(0)
    storm: str | None = None


class Deciding:
    """`decide` is to be followed by `touched`, `touched_subjects` and `shadowed`, and all by a transaction; then comes
    the next batch."""

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
        self._shadows = Shadows(rules, self._failed)
        self._is_fresh = True
        self._breaker = Breaker()
        self._storms = Storms()
        self._log = log.get(__name__)

    def decide(
        self, polled: Mapping[Partition, Sequence[Record]], silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """Of score events. Raises BadDeployError when too many records in a row cannot be read."""
        decided_at, decisions = self._context.now(), list[Decision]()
        for partition in sorted(polled):
            partition_alerts = self._partition_alerts[partition.number]
            for record in polled[partition]:
                decisions += self._decided(partition_alerts, record, decided_at, silences)
            for key, failure in partition_alerts.forgotten():
                self._metrics.forgotten.inc()
                self._log.error(
                    "watch_begun_anew", partition=partition.number, relationship=key, **error_fields(failure)
                )
        return decisions

    def settle(self, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """What has come to light of history that was told late and has been told."""
        decided_at = self._context.now()
        waiting: dict[str, list[CatchingUp]] = {}
        for number, partition_alerts in self._partition_alerts.items():
            behind = lag(partition_alerts.clock, decided_at, self._context.clock)
            for key, catch_up in partition_alerts.catching_up().items():
                one = CatchingUp(key, number, catch_up, partition_alerts.clock, behind)
                waiting.setdefault(key.partition("/")[0], []).append(one)
        ready = [one for of_tenant in waiting.values() for one in settled(of_tenant)]
        decisions: list[Decision] = []
        for one in ready:
            alerts = self._partition_alerts[one.partition]
            try:
                transitioned = alerts.settle(one.key)
            except Exception as failure:  # noqa: BLE001 (logged with the next batch of the partition)
                alerts.forget(one.key, failure)
                continue
            decisions += self._through(alerts, transitioned, decided_at, silences)
        return decisions + self._of_subjects(self._caught_up(ready), decided_at, silences) if ready else decisions

    def stale(self, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Whether scores are behind the events: to be asked when all of them have been read."""
        clock = lowest_clock(self._partition_alerts.values())
        found = [] if clock is None else self._shared.stale(clock)
        return self._of_subjects(found, self._context.now(), silences)

    def touched_subjects(self) -> dict[str, SubjectWatch]:
        """The programmes and sources of which something has changed, by key."""
        return self._shared.touched()

    def shadowed(self) -> list[RuleEvent]:
        """What has come of shadows since it was last asked for."""
        return self._shadows.counted(self._context.now())

    def closed_calls(self) -> list[ClosedCall]:
        """Requests for support that were closed since it was last asked for."""
        return [closed for alerts in self._partition_alerts.values() for closed in alerts.closed_calls()]

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """What was decided of late, before the start: it counts for storms."""
        since = self._context.now() - STORM_SPAN
        for delivery in sorted(deliveries, key=lambda one: one.alert.decided_at):
            alert = delivery.alert
            if alert.decided_at > since and delivery.group not in {"late", "rescored"}:
                told = transition_id(alert.dedup_key, alert.seq, alert.transition)
                self._storms.add(delivery.tenant, delivery.program, told, alert.decided_at)

    def remind(self, keys: Sequence[tuple[str, str]], why: str, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """Of open alerts, by the key of their subject and their rule, though nothing has changed."""
        decided_at = self._context.now()
        found: list[Decision] = []
        for key, rule in keys:
            holder = next((alerts for alerts in self._partition_alerts.values() if alerts.watches(key)), None)
            if holder is not None:
                reminded = holder.remind(key, rule, decided_at, why)
                found += self._through(holder, reminded, decided_at, silences)
            elif self._shared.watches(key):
                for one in self._shared.remind(key, rule, decided_at, why):
                    found += self._of_subject(one, decided_at, silences)
        return found

    def hand_over(self, away: Sequence[tuple[Id, Id]], silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """What these people, by tenant and id, have in hand goes to whoever looks after it now, in one message."""
        found: list[tuple[str, str]] = []
        for alerts in self._holders() if away else ():
            found += alerts.take_from(set(away))
        return self.remind(found, HANDED_OVER, silences)

    def unmute(self, over: Sequence[AlertSilence], silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """What a silence has muted that is over, and is still so, is told."""
        decisions: list[Decision] = []
        for silence in over:
            muted = [found for alerts in self._holders() for found in alerts.muted_by(silence)]
            decisions += self.remind(muted, f"still so when silence {silence.id} was over"[:64], silences)
        return decisions

    def erase(self, key: str) -> list[Decision]:
        """The alerts of a relationship that was erased end, and nothing is kept of it."""
        decided_at = self._context.now()
        found: list[Decision] = []
        for alerts in self._partition_alerts.values():
            found += self._through(alerts, alerts.erase(key, decided_at), decided_at, ())
            alerts.bury(key)
        return found

    def forget_people(self, people: Collection[tuple[Id, Id]]) -> None:
        for alerts in self._holders() if people else ():
            alerts.forget_people(people)

    def touched(self) -> dict[int, Touched]:
        """Of the partitions in which something has changed."""
        every = {number: alerts.touched() for number, alerts in self._partition_alerts.items()}
        return {number: touched for number, touched in every.items() if touched}

    def _decided(
        self, alerts: PartitionAlerts, record: Record, decided_at: Instant, silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """What is no score event, or cannot be judged, stays on its topic and is logged as an error."""
        try:
            event = SCORE_EVENT.validate_json(record.value or b"")
            transitioned = alerts.take(event)
        except ValidationError as invalid:
            self._refuse(record, "; ".join(places(invalid)))
            return []
        except Exception as failure:  # noqa: BLE001 (refused, logged, and counted)
            found = error_fields(failure)
            self._refuse(record, f"failed: {found['error']} at {found['raised_at']}")
            return []
        self._breaker.passed()
        decisions: list[Decision] = []
        if transitioned:
            rests_on = InputOffset(topic=record.topic, partition=record.partition, offset=record.offset)
            decisions = self._through(alerts, transitioned, decided_at, silences, (rests_on,))
        if event.type == "mentoring.clock.advanced.v1":
            decisions += self._advanced(decided_at, silences)
        elif event.data.trigger is not None:
            self._shared.hear(event.tenant, event.data.trigger)
        return decisions

    def _advanced(self, decided_at: Instant, silences: tuple[AlertSilence, ...]) -> list[Decision]:
        """A clock has moved: what lives by the lowest one is looked at, where that has come far enough."""
        clock = lowest_clock(self._partition_alerts.values())
        if clock is None:
            return []
        try:
            self._shadows.look(clock, self._partition_alerts.values())
            found = self._shared.advance(clock, lambda: tallies(self._partition_alerts.values()))
        except Exception as failure:  # noqa: BLE001 (logged and counted; relationships are judged all the same)
            self._failed("subjects_not_judged", failure)
            return []
        return self._of_subjects(found, decided_at, silences)

    def _caught_up(self, ready: Sequence[CatchingUp]) -> list[SubjectTransitioned]:
        """What programmes show now that these relationships have caught up with their history."""
        partitions = self._partition_alerts
        clock, late = lowest_clock(partitions.values()), told_late(ready, partitions)
        if clock is None:
            return []
        try:
            return self._shared.caught_up(clock, late, tallies(partitions.values(), late))
        except Exception as failure:  # noqa: BLE001 (logged and counted; relationships are judged all the same)
            self._failed("subjects_not_judged", failure)
            return []

    def _of_subjects(
        self, found: Sequence[SubjectTransitioned], decided_at: Instant, silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """What has come about of programmes and sources; then what a source that has fallen silent freezes, or one that
        speaks again releases."""
        decisions = [decision for one in found for decision in self._of_subject(one, decided_at, silences)]
        if found or self._is_fresh:
            self._is_fresh = False
            silent = self._shared.silent()
            for alerts in self._partition_alerts.values():
                decisions += self._through(alerts, alerts.freeze(silent), decided_at, silences)
        return decisions

    def _of_subject(
        self, one: SubjectTransitioned, decided_at: Instant, silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        """No lag, and no storm: that scores are behind, or that much alerts, may be the very thing that it tells."""
        try:
            event = subject_alert_changed(one, decided_at)
        except Exception as failure:  # noqa: BLE001 (logged and counted; the next one is told)
            self._failed("subject_not_told", failure)
            return []
        return [self._decision(event, one, Around(self._shared, silences))]

    def _through(
        self,
        alerts: PartitionAlerts,
        transitioned: Sequence[Transitioned],
        decided_at: Instant,
        silences: tuple[AlertSilence, ...],
        inputs: tuple[InputOffset, ...] = (),
    ) -> list[Decision]:
        """Each before the next: what was told of the one counts for the other."""
        decisions = []
        for one in transitioned:
            key = one.watch.subject.key
            try:
                event = alert_changed(one, decided_at, inputs)
            except Exception as failure:  # noqa: BLE001 (logged by whoever asks for what was forgotten)
                # The state that brought it about does not even say of what: its watch begins anew.
                alerts.forget(key, failure)
                continue
            behind, storm = lag(alerts.clock, decided_at, self._context.clock), None
            if self._context.clock == "wall" and one.transition.name != "resolved":
                of = (event.tenant, event.program)
                active = sum(one.active(*of) for one in self._partition_alerts.values())
                storm = self._storms.found(*of, decided_at, active)
            decision = self._decision(event, one, Around(alerts, silences, behind, storm))
            if decision.is_told and one.transition.late is None:
                self._storms.add(event.tenant, event.program, event.id, decided_at)
            decisions.append(decision)
        return decisions

    def _decision(
        self, event: AlertChanged, transitioned: Transitioned | SubjectTransitioned, around: Around
    ) -> Decision:
        """Through the stages; who will hear of it, and what keeps it from people, is kept with the alert."""
        key, rule, alerts = transitioned.watch.subject.key, event.data.rule, around.alerts
        muted = transitioned.watch.muted.get(rule)
        if muted is not None and all(silence.id != muted for silence in around.silences):
            # The first notice since a silence has ended says so.
            event = event.model_copy(update={"data": event.data.model_copy(update={"after_silence": muted})})
        about = About(event.tenant, event.program, rule, event.data.urgency)
        found = situation(transitioned, alerts.told(key, rule), self._context.routed(about), around.silences)
        before = alerts.heard(key, rule)
        decision = through(
            Notice(event),
            replace(
                found,
                heard=None if before is None else self._context.again(before, about),
                lag=around.lag,
                storm=around.storm,
            ),
        )
        if decision.is_told:
            heard = tuple(Recipient(Destination(d.channel, d.recipient), d.person) for d in decision.deliveries)
            alerts.mark_told(key, rule, event.data.episode, heard)
        elif decision.muted is not None:
            alerts.mark_muted(key, rule, decision.muted)
        return decision

    def _holders(self) -> tuple[PartitionAlerts | SharedAlerts, ...]:
        return (*self._partition_alerts.values(), self._shared)

    def _failed(self, what: str, failure: Exception) -> None:
        self._metrics.forgotten.inc()
        self._log.error(what, **error_fields(failure))

    def _refuse(self, record: Record, reason: str) -> None:
        self._metrics.refused.inc()
        self._log.error(
            "score_refused", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
        self._breaker.refused(reason)
