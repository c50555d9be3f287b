"""When a relationship, a programme or a source needs a person: the grammar of alert rules, what makes a rule valid, and
the rules that hold where nobody has set others. Notify decides by them, and scoring tries them on another profile."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol, assert_never

from schemas.alerts import Urgency
from schemas.primitives import Instant

Measure = Literal["health", "risk", "contact", "support", "drawdown", "share", "watermark", "lag"]
"""Of a relationship: health, risk, contact, support, drawdown (of health). Of a programme: share (of its pairs that
alert), lag (of its scores behind its events). Of a source: its watermark."""

LOW_CONFIDENCE = 0.25
"""Below it a health score rests on too few facts to call somebody for (services/scoring/README.md)."""
LONGEST_HOLD = timedelta(days=14)
"""Nobody looks further back."""
MOST_TIERS = 2
"""One escalation per episode: its transition has one name, hence one delivery id."""
OF_SUBJECTS = frozenset({"share", "watermark", "lag"})
"""Of a programme or a source: they live by the lowest clock of all partitions."""
LEVELLED = frozenset({"health", "risk"})
OF_SCORES = frozenset({"health", "risk", "drawdown"})
"""What rows of scores show over time; the others the newest row says alone."""
_RANK = {"P1": 1, "P2": 2, "P3": 3}


class RuleValues(Protocol):
    """What rules look at. Numbers are scoring's, rounded to millionths: a crossing row carries the level itself.
    `silent_from`: the last contact, or the start where there was none yet, and then there is no interval either;
    `booked`: a meeting lies ahead; `support`: an immediate request is open."""

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
    """Fires when the value has been at the level or past it for `hold` of active time."""

    level: float
    hold: timedelta
    urgency: Urgency


@dataclass(frozen=True)
class Age:
    """How old the last contact may be: so many agreed intervals, and never less than `least`; `unmet`: where there was
    none, since the start. `unless_booked`: a meeting that lies ahead is as good as one."""

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
    """How far health has fallen from its highest value within `window` of active time. It clears when the share
    `regained` of the fall is regained, or when the new level has held for `settles` of active time: whoever was told of
    the fall knows that level by then."""

    window: timedelta
    regained: float
    settles: timedelta


@dataclass(frozen=True)
class Shift:
    """What a programme's pairs show together: the share of those that alert, `least` of them at the least; or the
    median of their health, `fall` points below its highest value within `window`."""

    least: int
    fall: float
    window: timedelta


@dataclass(frozen=True)
class Rule:
    """Tiers from mild to severe. Clears when the value has been past `clear_level` for `clear_hold` of active time;
    the level itself still counts as firing for a tier, and not yet as clear. Of a contact and of support there are no
    levels: a tier fires `hold` after the contact is too old, or while a request is open. The level of a drawdown is how
    many points health has fallen, of a share that share, of a watermark and of a lag how many expected intervals.

    `keep`: what has fired stays open at least so long. `min_points`: so many rows at least must show it, so that none
    fires on a single one."""

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
        """Whoever asks for support waits for nothing."""
        return self.measure == "support"

    @property
    def longest_hold(self) -> timedelta:
        """How far back rows may decide."""
        hold = max(self.clear_hold, *(tier.hold for tier in self.tiers))
        return hold if self.drop is None else hold + self.drop.window

    def is_sure_of(self, values: RuleValues) -> bool:
        """A row of low confidence reaches nothing, and clears nothing."""
        return values.confidence >= self.least_confidence

    def reaches(self, values: RuleValues, level: float) -> bool:
        """Raises ValueError for what is not seen in a single row."""
        if not self.is_sure_of(values):
            return False
        match self.measure:
            case "health":
                return values.health <= level
            case "risk":
                return values.risk >= level
            case "support":
                return values.support
            case "contact":
                return values.silent_from is not None and not (values.booked and self._heeds_bookings)
            case "drawdown" | "share" | "watermark" | "lag":
                raise ValueError(f"no single row shows the {self.measure}")
            case _:
                assert_never(self.measure)

    def clears(self, values: RuleValues, since: Instant | None) -> bool:
        """`since`: when what is open began. Raises ValueError as `reaches`."""
        if not self.is_sure_of(values):
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
    def _heeds_bookings(self) -> bool:
        return self.age is not None and self.age.unless_booked


NO_TIME = timedelta(0)
HEALTH_LOW = Rule(
    name="health_low",
    version="1",
    measure="health",
    tiers=(
        # Watch levels of scoring. A day rides out a meeting that is entered late; the critical band waits 6 h only.
        Tier(level=40, hold=timedelta(hours=24), urgency="P3"),
        Tier(level=25, hold=timedelta(hours=6), urgency="P2"),
    ),
    # Back in the band "steady" for two days: one good meeting between two bad weeks closes nothing.
    clear_level=50,
    clear_hold=timedelta(hours=48),
    least_confidence=LOW_CONFIDENCE,
)
HEALTH_DROP = Rule(
    name="health_drop",
    version="1",
    measure="drawdown",
    # A fifth of the scale within a week is more than one missed meeting, wherever it began.
    tiers=(Tier(level=20, hold=NO_TIME, urgency="P2"),),
    clear_level=0,
    clear_hold=NO_TIME,
    least_confidence=LOW_CONFIDENCE,
    drop=Drawdown(window=timedelta(days=7), regained=0.5, settles=timedelta(days=14)),
    # A fall needs a before and an after.
    min_points=2,
)
DISENGAGING = Rule(
    name="disengaging",
    version="1",
    measure="risk",
    # More likely than two in three to fall silent for the horizon, for a day.
    tiers=(Tier(level=0.70, hold=timedelta(hours=24), urgency="P2"),),
    clear_level=0.55,
    clear_hold=timedelta(hours=48),
    # The silence model starts from the cadence and needs no facts to be of use.
    least_confidence=0.0,
)
NO_CONTACT = Rule(
    name="no_contact",
    version="1",
    measure="contact",
    tiers=(
        Tier(level=0, hold=NO_TIME, urgency="P3"),
        # Whoever read of it in a digest and did nothing for a week is told again.
        Tier(level=0, hold=timedelta(days=7), urgency="P2"),
    ),
    clear_level=0,
    clear_hold=NO_TIME,
    least_confidence=0.0,
    # Two meetings may fall out for good reasons, and nobody is late within three weeks.
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
    # After a quarter without a word and nothing booked most pairs do not meet again: ask whether it shall be ended.
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
    # One pair in seven at once has a cause that no pair has alone.
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
    # Twice: one delivery that comes late is no outage.
    tiers=(Tier(level=2, hold=NO_TIME, urgency="P1"),),
    # Within one interval again: it speaks, and what had piled up is here.
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
"""Of relationships."""
SUBJECT_RULES = (PROGRAMME_SHIFT, SOURCE_SILENT, SCORE_STALE)
"""Of programmes and sources."""
LEVELLED_RULES = tuple(rule for rule in RULES if rule.measure in LEVELLED)
"""Those that look at the level of a score: another profile changes what they find."""


def more_urgent(one: Urgency, other: Urgency) -> bool:
    return _RANK[one] < _RANK[other]


def hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g} h"
