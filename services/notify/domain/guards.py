"""Guards against our own storms: history that is told late, scores that are behind or computed otherwise, sources that
are silent, and so much of one programme at once that nobody can read it one by one."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, NamedTuple

from schemas.primitives import Id, Instant
from schemas.rules import SCORE_MEASURES
from schemas.scores import ScoreRow
from services.notify.domain.lifecycle import Transition
from services.notify.domain.window import StoredInstant, Window, unbroken_run, up_to
from services.notify.domain.wording import cut, instant

Clock = Literal["wall", "log"]

LATE = timedelta(hours=24)
"""What was recorded later than this is history: an import of two years must not page for any of them."""
BEHIND = timedelta(hours=1)
"""While scores are this far behind the wall clock, the next ones may already say that all is well again."""


def history(row: ScoreRow, clock: Clock) -> str | None:
    """Why what this row brings about is history, if so. On the log's own clock everything is news."""
    if clock == "log":
        return None
    if row.mode != "live":
        return f"{row.mode}: history told again"
    trigger = row.trigger
    if trigger is not None and trigger.recordedtime - trigger.time > LATE:
        return f"recorded {(trigger.recordedtime - trigger.time).days} days after it happened"
    return None


def lag(scores: Instant | None, wall: Instant, clock: Clock) -> timedelta:
    """How far scores are behind the wall clock; on the log's own clock, and before the first score, not at all."""
    return timedelta(0) if scores is None or clock == "log" else max(timedelta(0), wall - scores)


def is_behind(lag: timedelta) -> bool:
    return lag > BEHIND


SETTLE = timedelta(minutes=15)
"""An import writes thousands of rows a second: when none has come for so long, the history has been told."""
LONGEST = timedelta(hours=6)
"""In an organisation where somebody always enters something late, nobody waits longer for what is at risk."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A subject of which history is being told: since when, until when at the least, and how it is called."""

    since: Instant
    until: Instant
    why: str


def catching_up(before: CatchUp | None, new: ScoreRow, now: Instant, late: str | None) -> CatchUp | None:
    """With a row that is history for the reason of `late`, or with one that is none."""
    if late is None:
        return before
    recorded = new.trigger.recordedtime if new.trigger else now
    until = max(now, recorded) + SETTLE
    if before is None:
        return CatchUp(max(now, recorded), until, late)
    return CatchUp(before.since, max(before.until, until), late)


@dataclass(frozen=True)
class CatchingUp:
    """A subject that is catching up, the clock of its partition and how far that is behind the wall clock."""

    key: str
    partition: int
    catch_up: CatchUp
    clock: Instant | None
    lag: timedelta


def settled(waiting: Iterable[CatchingUp]) -> list[CatchingUp]:
    """Of one organisation: all of them when the last history was told long enough ago, so that there is one digest;
    before that those that are ready themselves, when somebody has waited for too long."""
    every = list(waiting)
    if not every or any(one.clock is None or is_behind(one.lag) for one in every):
        return []
    clock = min(one.clock for one in every if one.clock is not None)
    if clock >= max(one.catch_up.until for one in every):
        return every
    if clock < min(one.catch_up.since for one in every) + LONGEST:
        return []
    return [one for one in every if one.catch_up.until <= clock]


SHOWN = 60
"""Characters of a source that a reason has room for."""
DIGEST_BYTES = 8
"""A relationship may have hundreds of sources of hundreds of characters; programmes expect a few."""


class Frozen(NamedTuple):
    """The source that is silent, and since when."""

    source: str
    since: Instant

    @property
    def reason(self) -> str:
        return f"{cut(self.source, SHOWN)} was silent since {instant(self.since)}"


@lru_cache(10_000)
def source_digest(source: str) -> str:
    return blake2b(source.encode(), digest_size=DIGEST_BYTES).hexdigest()


@lru_cache(10_000)
def source_digests(sources: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(map(source_digest, sources)))


def frozen_by(depends_on: Iterable[str], silent: Mapping[str, Frozen]) -> Frozen | None:
    """The source that has been silent for longest, of those that it depends on."""
    found = [silent[digest] for digest in depends_on if digest in silent]
    return min(found, key=lambda one: (one.since, one.source), default=None)


STORM_SPAN = timedelta(minutes=10)
LEAST_OF_STORM, SHARE_OF_STORM = 5, 0.10
"""Five at once are no storm in the smallest programme; a tenth of its pairs is one in the largest."""


class Storms:
    """Counts what went to people or machines of late: what it knows follows from the deliveries."""

    def __init__(self) -> None:
        # By id, in the order of their instants.
        self._recent: dict[tuple[Id, Id], OrderedDict[str, Instant]] = defaultdict(OrderedDict)

    def add(self, tenant: Id, program: Id, transition: str, at: Instant) -> None:
        """A transition, by its id: each counts once."""
        self._since(tenant, program, at).setdefault(transition, at)

    def found(self, tenant: Id, program: Id, now: Instant, active: int) -> str | None:
        """Why the next transition belongs to a storm, if so. `active`: relationships of the programme."""
        count = len(self._since(tenant, program, now)) + 1
        if count <= LEAST_OF_STORM or count <= SHARE_OF_STORM * active:
            return None
        return f"a storm: {count} transitions of {active} active pairs within {STORM_SPAN.seconds // 60} min"

    def _since(self, tenant: Id, program: Id, now: Instant) -> OrderedDict[str, Instant]:
        recent = self._recent[tenant, program]
        while recent and recent[first := next(iter(recent))] <= now - STORM_SPAN:
            del recent[first]
        return recent


LONGEST_NAME = 40
MIDNIGHT = ("midnight",)
"""As scoring calls what no event brought about."""
BEGINS = frozenset({"fired", "unstable", "escalated"})


class ScoredBy(NamedTuple):
    """By which model, profile and calibration, and since when that is another one than before, if it ever was.
    `nightly`: whether a midnight alone brought about the row of that instant. One that comes with an event, or where a
    level is crossed, may as well show a decay."""

    by: str
    since: StoredInstant | None = None
    nightly: bool = False


def scored_after(before: ScoredBy | None, row: ScoreRow) -> ScoredBy | None:
    """With the newest row."""
    score = row.score
    if score is None:
        return before
    by = f"{score.profile} {score.model} {score.calibration}"
    if before is None:
        return ScoredBy(by)
    return before if before.by == by else ScoredBy(by, row.as_of, score.causes == MIDNIGHT)


def marked(transition: Transition, window: Window, scored: ScoredBy) -> Transition:
    """The transition, and why it is no news, if so: what it rests on has been so exactly since scores are computed
    otherwise."""
    rule, state = transition.rule, transition.of
    if transition.late is not None or scored.since is None:
        return transition
    if transition.name not in BEGINS or rule.measure not in SCORE_MEASURES:
        return transition
    since = state.since
    if rule.drop is None:
        # Of the tier that it has come to.
        level = next((tier.level for tier in rule.tiers if tier.urgency == state.urgency), rule.tiers[-1].level)
        run = unbroken_run(up_to(window, transition.at), lambda values: rule.reaches(values, level))
        since = run and run.since
    if since != scored.since:
        return transition
    why = f"scored by {scored.by.partition(' ')[0][:LONGEST_NAME]} since {instant(scored.since)}"
    return replace(transition, late=why, rescored=scored.nightly)
