"""Score events for tests: a few words for what a test is about, defaults for the rest."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from schemas.events import partition_key
from schemas.primitives import to_rfc3339
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
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.rules import RULES

START = datetime(2024, 5, 1, tzinfo=UTC)
SOURCE = "test/scoring"


def day(days: float) -> datetime:
    """So many days after the beginning of the test's time."""
    return START + timedelta(days=days)


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@dataclass(frozen=True)
class Pair:
    """Makes the events of one relationship; every score is what the last one was, but for what is told."""

    relationship: str = "4F2"
    tenant: str = "acme"
    program: str = "spruce"
    defaults: dict[str, Any] = field(default_factory=dict)

    def but(self, **defaults: Any) -> "Pair":  # noqa: ANN401
        return replace(self, defaults=self.defaults | defaults)

    def changed(self, as_of: datetime, position: int = 1, **told: Any) -> ScoreChanged:  # noqa: ANN401
        row = self.row(as_of, position, **told)
        return ScoreChanged(type="mentoring.score.changed.v1", **self._envelope(row), data=row)

    def corrected(self, as_of: datetime, position: int = 1, **told: Any) -> ScoreCorrected:  # noqa: ANN401
        row = self.row(as_of, position, **told)
        return ScoreCorrected(type="mentoring.score.corrected.v1", **self._envelope(row), data=row)

    def row(self, as_of: datetime, position: int, **told: Any) -> ScoreRow:  # noqa: ANN401
        given = self.defaults | told
        deleted = given.pop("deleted", False)
        mode: Literal["live", "heal", "replay"] = given.pop("mode", "live")
        trigger = given.pop("trigger", None)
        return ScoreRow(
            as_of=as_of,
            position=position,
            mode=mode,
            deleted=deleted,
            trigger=trigger,
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


def score(**told: Any) -> Score:  # noqa: ANN401
    health = told.get("health", 80.0)
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
    return Score(**(given | told))


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


def new_desk(mode: Literal["wall", "log"] = "log") -> PartitionAlerts:
    return PartitionAlerts(Evaluator(RULES, mode), {}, None)


def take(partition_alerts: PartitionAlerts, *events: ScoreEvent) -> list[Transitioned]:
    return [transitioned for event in events for transitioned in partition_alerts.take(event)]


def told(transitioned: list[Transitioned]) -> list[tuple[str, str, datetime]]:
    """Rule, transition, instant."""
    return [(h.transition.rule.name, h.transition.name, h.transition.at) for h in transitioned]
