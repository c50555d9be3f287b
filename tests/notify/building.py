"""Score events for tests: a few words for what a test is about, defaults for the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.events import partition_key
from schemas.primitives import to_rfc3339
from schemas.rules import HEALTH_DROP, RULES, Rule
from schemas.scores import (
    Before,
    ClockAdvanced,
    Part,
    PartitionClock,
    RiskTerm,
    Score,
    ScoreChanged,
    ScoreCorrected,
    ScoreEvent,
    ScoreRow,
    Trigger,
)
from services.notify.domain.decisions import alert_changed
from services.notify.domain.deliveries import fold_messages
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.grouping import latest_transitions
from services.notify.domain.guards import CatchingUp, ready_to_settle
from services.notify.domain.ids import Destination, Recipient
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import Decision, Notice, run_pipeline, stage_context
from services.notify.domain.routing import Addressee, RoutingResult

START = datetime(2024, 5, 1, tzinfo=UTC)
SOURCE = "test/scoring"
HOOK = Destination("webhook", "https://example.org/hook")


def day(days: float) -> datetime:
    """So many days after the start of the test's time."""
    return START + timedelta(days=days)


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@dataclass(frozen=True)
class Pair:
    """Makes the events of one relationship; every score is that of the defaults, except the given values."""

    relationship: str = "4F2"
    tenant: str = "acme"
    program: str = "spruce"
    defaults: dict[str, Any] = field(default_factory=dict)

    def but(self, **defaults: Any) -> "Pair":  # noqa: ANN401
        return replace(self, defaults=self.defaults | defaults)

    def changed(self, as_of: datetime, position: int = 1, **values: Any) -> ScoreChanged:  # noqa: ANN401
        row = self.row(as_of, position, **values)
        return ScoreChanged(type="mentoring.score.changed.v1", **self._envelope(row), data=row)

    def corrected(self, as_of: datetime, position: int = 1, **values: Any) -> ScoreCorrected:  # noqa: ANN401
        row = self.row(as_of, position, **values)
        return ScoreCorrected(type="mentoring.score.corrected.v1", **self._envelope(row), data=row)

    def row(self, as_of: datetime, position: int, **values: Any) -> ScoreRow:  # noqa: ANN401
        given = self.defaults | values
        deleted = given.pop("deleted", False)
        mode: Literal["live", "heal", "replay"] = given.pop("mode", "live")
        trigger, call = given.pop("trigger", None), given.pop("call", None)
        return ScoreRow(
            as_of=as_of,
            position=position,
            mode=mode,
            deleted=deleted,
            trigger=trigger,
            call=call,
            score=None if deleted else score(**given),
        )

    def _envelope(self, row: ScoreRow) -> dict[str, Any]:
        return {
            "source": SOURCE,
            "id": f"{self.relationship}-{to_rfc3339(row.as_of)}-{row.position}-{row.mode}",
            "time": row.as_of,
            "recordedtime": row.as_of,
            "tenant": self.tenant,
            "subject": self.relationship,
            "program": self.program,
            "partitionkey": partition_key(self.tenant, self.relationship),
        }


def clock(at: datetime, partition: int = 0) -> ClockAdvanced:
    return ClockAdvanced(
        type="mentoring.clock.advanced.v1",
        source=SOURCE,
        id=f"clock-{partition}-{to_rfc3339(at)}",
        time=at,
        recordedtime=at,
        tenant="rapport",
        data=PartitionClock(partition=partition, clock=at),
    )


def late_trigger(transitioned: datetime, recorded: datetime) -> Trigger:
    return Trigger(
        source="test", id="late-1", type="mentoring.session.missed.v1", time=transitioned, recordedtime=recorded
    )


def score(**values: Any) -> Score:  # noqa: ANN401
    health = values.get("health", 80.0)
    given: dict[str, Any] = {
        "causes": ("midnight",),
        "health": health,
        "band": band(health),
        "risk": 0.2,
        "parts": parts(health),
        "risk_terms": (RiskTerm(name="base", value=0.5), RiskTerm(name="silence", value=1.9)),
        "before": Before(as_of=START, health=80.0, band="thriving", risk=0.2),
        "confidence": 0.6,
        "trend": 0.0,
        "status": "active",
        "started": START,
        "cadence_days": 14.0,
        "last_contact": START,
        "next_session": None,
        "open_requests": (),
        "sources": ("test",),
        "calibrated": False,
        "profile": "default-1",
        "model": "1",
        "calibration": "default",
    }
    return Score(**(given | values))


def parts(health: float) -> tuple[Part, ...]:
    share = round(100 * 25 / 45, 6)
    rhythm = min(share, health)
    return (
        Part(name="rhythm", value=round(rhythm / share, 6), weight=25, contribution=rhythm, delta=0.0),
        Part(name="reliability", value=0.5, weight=20, contribution=round(health - rhythm, 6), delta=0.0),
        Part(name="silence", value=0.0, weight=0, contribution=0.0, delta=0.0),
    )


def band(health: float) -> Literal["thriving", "steady", "strained", "critical"]:
    return "thriving" if health >= 75 else "steady" if health >= 50 else "strained" if health >= 25 else "critical"


WITHOUT_FALLS = tuple(rule for rule in RULES if rule is not HEALTH_DROP)
"""For tests of other rules, whose health changes as they need it."""


def new_alerts(mode: Literal["wall", "log"] = "log", rules: tuple[Rule, ...] = WITHOUT_FALLS) -> PartitionAlerts:
    return PartitionAlerts(Evaluator(rules, mode), {}, None)


def apply_event(partition_alerts: PartitionAlerts, *events: ScoreEvent) -> list[Transitioned]:
    return [transitioned for event in events for transitioned in partition_alerts.apply(event)]


@dataclass(frozen=True)
class DecisionSetup:
    """Where notices may go, what is silenced, and how far scores lag."""

    destinations: tuple[Destination, ...] = (HOOK,)
    silences: tuple[AlertSilence, ...] = ()
    lag: timedelta = timedelta(0)


PLAIN = DecisionSetup()


def decide(partition_alerts: PartitionAlerts, *events: ScoreEvent) -> list[Decision]:
    """Run every event as a round of its own."""
    return [decision for event in events for decision in run_round(partition_alerts, event)]


def run_round(partition_alerts: PartitionAlerts, event: ScoreEvent, context: DecisionSetup = PLAIN) -> list[Decision]:
    found = [decide_transition(partition_alerts, one, day(0), context) for one in partition_alerts.apply(event)]
    waiting = [
        CatchingUp(key, 0, catch_up, partition_alerts.clock, timedelta(0))
        for key, catch_up in partition_alerts.catching_up().items()
    ]
    return found + [
        decide_transition(partition_alerts, transitioned, day(0), context)
        for one in ready_to_settle(waiting)
        for transitioned in partition_alerts.settle(one.key)
    ]


def decide_transition(
    partition_alerts: PartitionAlerts,
    transitioned: Transitioned,
    decided_at: datetime,
    context: DecisionSetup = PLAIN,
) -> Decision:
    key, transition = transitioned.watch.subject.key, transitioned.transition
    values = partition_alerts.last_notified_episode(key, transition.rule.name)
    why = "catch-all" if context.destinations else "no destination is configured"
    routed = RoutingResult(tuple(map(Addressee, context.destinations)), why)
    found = stage_context(transitioned, values, routed, context.silences)
    decision = run_pipeline(Notice(alert_changed(transitioned, decided_at)), replace(found, lag=context.lag))
    if decision.is_sent:
        heard = [Recipient(one) for one in context.destinations]
        partition_alerts.mark_notified(key, transition.rule.name, transition.episode.episode, heard)
    return decision


def digests(decisions: Sequence[Decision]) -> list[Delivery]:
    """Return the messages of late transitions, one for each recipient."""
    grouped: dict[tuple[str, str, str], list[Delivery]] = {}
    for delivery in (delivery for decision in decisions for delivery in decision.deliveries):
        if delivery.group == "late":
            grouped.setdefault((delivery.tenant, delivery.channel, delivery.recipient), []).append(delivery)
    return [fold_messages(latest_transitions(members), members[0].planned_at) for members in grouped.values()]


def alone(decisions: Sequence[Decision]) -> list[Delivery]:
    """Return the messages of one transition."""
    return [delivery for decision in decisions for delivery in decision.deliveries if delivery.group != "late"]


def summaries(transitioned: list[Transitioned]) -> list[tuple[str, str, datetime]]:
    """Rule, transition, instant."""
    return [(h.transition.rule.name, h.transition.name, h.transition.at) for h in transitioned]


def decision_summaries(decisions: list[Decision]) -> list[tuple[str, str, datetime]]:
    """Rule, transition, instant."""
    return [(d.event.data.rule, d.event.data.transition, d.event.data.at) for d in decisions]
