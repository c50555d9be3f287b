"""The grammar of alert rules on relationships, programmes and sources, and the default rules. Notify decides by them,
and scoring evaluates them on another profile."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol, assert_never

from schemas.alerts import Urgency
from schemas.primitives import Instant

Measure = Literal["health", "risk", "contact", "support", "drawdown", "share", "watermark", "lag"]
"""Relationships: health, risk, contact, support, drawdown (of health). Programmes: share (of pairs that alert), lag (of
scores behind events). Sources: watermark."""

LOW_CONFIDENCE = 0.25
"""Below it a health score rests on too few facts to call somebody (services/scoring/README.md)."""
LONGEST_HOLD = timedelta(days=14)
"""Rows are never examined further back."""
MAX_TIERS = 2
"""One escalation per episode: its transition has one name, hence one delivery id."""
SUBJECT_MEASURES = frozenset({"share", "watermark", "lag"})
"""Measures of a programme or a source; they advance with the lowest clock of all partitions."""
LEVELLED = frozenset({"health", "risk"})
SCORE_MEASURES = frozenset({"health", "risk", "drawdown"})
"""Measures that need rows of scores over time; for the others the newest row suffices."""
_RANK = {"P1": 1, "P2": 2, "P3": 3}


class RuleValues(Protocol):
    """The values that rules evaluate. Numbers come from scoring, rounded to millionths: a crossing row carries the
    level itself. `silent_from`: the last contact, or the start if there was none; then there is no interval either.
    `booked`: a future meeting is booked; `support`: an immediate request is open."""

    @property
    def health(self) -> float: ...
    @property
    def risk(self) -> float: ...
    @property
    def confidence(self) -> float: ...
    @property
    def silent_from(self) -> Instant | None: ...
    @property
    def interval_days(self) -> float: ...
    @property
    def booked(self) -> bool: ...
    @property
    def support(self) -> bool: ...


@dataclass(frozen=True)
class Tier:
    """Fires when the value has been at or beyond the level for `hold` of active time."""

    level: float
    hold: timedelta
    urgency: Urgency


@dataclass(frozen=True)
class Age:
    """The maximum age of the last contact: `intervals` agreed intervals, but at least `least`; `unmet`: since the
    start, if there was no contact yet. `unless_booked`: a booked future meeting counts as a contact."""

    intervals: float
    least: timedelta
    unmet: timedelta
    unless_booked: bool = False

    def limit(self, values: RuleValues) -> timedelta:
        if not values.interval_days:
            return self.unmet
        return max(self.least, timedelta(days=self.intervals * values.interval_days))


@dataclass(frozen=True)
class Drawdown:
    """The fall of health from its maximum within `window` of active time. It clears when the share `regained` of the
    fall is recovered, or when the new level has held for `settles` of active time: by then the people who were alerted
    know that level."""

    window: timedelta
    regained: float
    settles: timedelta


@dataclass(frozen=True)
class Shift:
    """A shift of all pairs of a programme: the share of alerting pairs, at least `least` of them; or their median
    health, `fall` points below its maximum within `window`."""

    least: int
    fall: float
    window: timedelta


@dataclass(frozen=True)
class Rule:
    """Tiers are ordered from mild to severe. The rule clears when the value has been beyond `clear_level` for
    `clear_hold` of active time; the level itself still counts as firing for a tier, and not yet as clear. Contact and
    support have no levels: a tier fires `hold` after the contact is too old, or while a request is open. The level of a
    drawdown is the points that health has fallen, of a share that share, of a watermark or a lag the number of expected
    intervals.

    `keep`: the minimum time that an alert stays open. `min_points`: the minimum number of rows that show the condition,
    so that a single row does not fire it."""

    name: str
    version: str
    measure: Measure
    tiers: tuple[Tier, ...]
    clear_level: float
    clear_hold: timedelta
    least_confidence: float
    age: Age | None = None
    drop: Drawdown | None = None
    shift: Shift | None = None
    keep: timedelta = timedelta(0)
    min_points: int = 1

    @property
    def levels(self) -> tuple[float, ...]:
        return (*(tier.level for tier in self.tiers), self.clear_level)

    @property
    def is_urgent(self) -> bool:
        """Return whether the rule bypasses waiting, as a request for support does."""
        return self.measure == "support"

    @property
    def longest_hold(self) -> timedelta:
        """Return how far back rows may decide."""
        hold = max(self.clear_hold, *(tier.hold for tier in self.tiers))
        return hold if self.drop is None else hold + self.drop.window

    def has_confidence(self, values: RuleValues) -> bool:
        """Return whether confidence suffices: a row of low confidence neither reaches nor clears a level."""
        return values.confidence >= self.least_confidence

    def reaches(self, values: RuleValues, level: float) -> bool:
        """Raises ValueError for a measure that a single row does not show."""
        if not self.has_confidence(values):
            return False
        match self.measure:
            case "health":
                return values.health <= level
            case "risk":
                return values.risk >= level
            case "support":
                return values.support
            case "contact":
                return values.silent_from is not None and not (values.booked and self._accepts_bookings)
            case "drawdown" | "share" | "watermark" | "lag":
                raise ValueError(f"no single row shows the {self.measure}")
            case _:
                assert_never(self.measure)

    def clears(self, values: RuleValues, since: Instant | None) -> bool:
        """`since`: when the open condition began. Raises ValueError as `reaches`."""
        if not self.has_confidence(values):
            return False
        match self.measure:
            case "health":
                return values.health > self.clear_level
            case "risk":
                return values.risk < self.clear_level
            case "support":
                return not values.support
            case "contact":
                return values.silent_from is not None and since is not None and values.silent_from > since
            case "drawdown" | "share" | "watermark" | "lag":
                raise ValueError(f"no single row shows the {self.measure}")
            case _:
                assert_never(self.measure)

    @property
    def _accepts_bookings(self) -> bool:
        return self.age is not None and self.age.unless_booked


NO_TIME = timedelta(0)
HEALTH_LOW = Rule(
    name="health_low",
    version="1",
    measure="health",
    tiers=(
        # The levels that scoring watches. One day tolerates a meeting that is recorded late; the critical band waits 6
        # h only.
        Tier(level=40, hold=timedelta(hours=24), urgency="P3"),
        Tier(level=25, hold=timedelta(hours=6), urgency="P2"),
    ),
    # Two days in the band "steady": one good meeting between two bad weeks closes nothing.
    clear_level=50,
    clear_hold=timedelta(hours=48),
    least_confidence=LOW_CONFIDENCE,
)
HEALTH_DROP = Rule(
    name="health_drop",
    version="1",
    measure="drawdown",
    # A fifth of the scale within a week is more than one missed meeting, regardless of the initial level.
    tiers=(Tier(level=20, hold=NO_TIME, urgency="P2"),),
    clear_level=0,
    clear_hold=NO_TIME,
    least_confidence=LOW_CONFIDENCE,
    drop=Drawdown(window=timedelta(days=7), regained=0.5, settles=timedelta(days=14)),
    # A fall needs a row before and a row after it.
    min_points=2,
)
DISENGAGING = Rule(
    name="disengaging",
    version="1",
    measure="risk",
    # For a day, more than two in three likely to stay silent for the horizon.
    tiers=(Tier(level=0.70, hold=timedelta(hours=24), urgency="P2"),),
    clear_level=0.55,
    clear_hold=timedelta(hours=48),
    # The silence model starts from the cadence and is useful without any facts.
    least_confidence=0.0,
)
NO_CONTACT = Rule(
    name="no_contact",
    version="1",
    measure="contact",
    tiers=(
        Tier(level=0, hold=NO_TIME, urgency="P3"),
        # Repeated for people who saw it in a digest and did nothing for a week.
        Tier(level=0, hold=timedelta(days=7), urgency="P2"),
    ),
    clear_level=0,
    clear_hold=NO_TIME,
    least_confidence=0.0,
    # Two meetings may be skipped for good reasons, and within three weeks nobody is late.
    age=Age(intervals=3, least=timedelta(days=21), unmet=timedelta(days=14)),
)
CLOSE_PROPOSED = Rule(
    name="close_proposed",
    version="1",
    measure="contact",
    tiers=(Tier(level=0, hold=NO_TIME, urgency="P3"),),
    clear_level=0,
    clear_hold=NO_TIME,
    least_confidence=0.0,
    # After a quarter without contact or booking most pairs do not meet again: ask whether to end the relationship.
    age=Age(intervals=6, least=timedelta(days=90), unmet=timedelta(days=90), unless_booked=True),
)
SUPPORT_REQUESTED = Rule(
    name="support_requested",
    version="1",
    measure="support",
    tiers=(Tier(level=1, hold=NO_TIME, urgency="P1"),),
    clear_level=1,
    clear_hold=NO_TIME,
    least_confidence=0.0,
)
PROGRAMME_SHIFT = Rule(
    name="programme_shift",
    version="1",
    measure="share",
    # One pair in seven at the same time has a common cause.
    tiers=(Tier(level=0.15, hold=NO_TIME, urgency="P1"),),
    clear_level=0.10,
    clear_hold=timedelta(hours=48),
    least_confidence=0.0,
    shift=Shift(least=5, fall=10, window=timedelta(days=7)),
)
SOURCE_SILENT = Rule(
    name="source_silent",
    version="1",
    measure="watermark",
    # Two intervals: one late delivery is not an outage.
    tiers=(Tier(level=2, hold=NO_TIME, urgency="P1"),),
    # Within one interval: the source sends again and has caught up.
    clear_level=1,
    clear_hold=NO_TIME,
    least_confidence=0.0,
)
SCORE_STALE = Rule(
    name="score_stale",
    version="1",
    measure="lag",
    tiers=(Tier(level=3, hold=NO_TIME, urgency="P2"),),
    clear_level=1,
    clear_hold=NO_TIME,
    least_confidence=0.0,
)
RULES = (HEALTH_LOW, HEALTH_DROP, DISENGAGING, NO_CONTACT, CLOSE_PROPOSED, SUPPORT_REQUESTED)
"""The rules of relationships."""
SUBJECT_RULES = (PROGRAMME_SHIFT, SOURCE_SILENT, SCORE_STALE)
"""The rules of programmes and sources."""
LEVELLED_RULES = tuple(rule for rule in RULES if rule.measure in LEVELLED)
"""The rules that use the level of a score: another profile changes their results."""


def more_urgent(one: Urgency, other: Urgency) -> bool:
    return _RANK[one] < _RANK[other]


def hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g} h"
