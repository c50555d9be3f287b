"""Guards against alert storms of our own making: history that arrives late, scores that lag or are computed by another
model, silent sources, and storms of one programme."""

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
from services.notify.domain.wording import format_instant, truncate

Clock = Literal["wall", "log"]

LATE = timedelta(hours=24)
"""Events recorded later than this after they happened are history: an import of two years must not page for any of
them."""
BEHIND = timedelta(hours=1)
"""While scores lag this far behind the wall clock, the next ones may already say that all is well again."""


def late_reason(row: ScoreRow, clock: Clock) -> str | None:
    """Return why transitions of this row count as history, if so. On the log's clock nothing does."""
    if clock == "log":
        return None
    if row.mode != "live":
        return f"{row.mode}: history told again"
    trigger = row.trigger
    if trigger is not None and trigger.recordedtime - trigger.time > LATE:
        return f"recorded {(trigger.recordedtime - trigger.time).days} days after it happened"
    return None


def lag(scores: Instant | None, wall: Instant, clock: Clock) -> timedelta:
    """Return how far scores lag behind the wall clock; zero on the log's clock, and before the first score."""
    return timedelta(0) if scores is None or clock == "log" else max(timedelta(0), wall - scores)


def is_behind(lag: timedelta) -> bool:
    return lag > BEHIND


SETTLE = timedelta(minutes=15)
"""An import writes thousands of rows a second: after so long without one, the history is complete."""
LONGEST = timedelta(hours=6)
"""In an organisation where somebody always enters something late, an alert waits no longer than this."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A subject whose history is arriving: since when, until when at least, and the reason it counts as late."""

    since: Instant
    until: Instant
    why: str


def update_catch_up(before: CatchUp | None, new: ScoreRow, now: Instant, late: str | None) -> CatchUp | None:
    """Extend the catch-up by a row that is late for the reason of `late`, or keep it for a row that is not."""
    if late is None:
        return before
    recorded = new.trigger.recordedtime if new.trigger else now
    until = max(now, recorded) + SETTLE
    if before is None:
        return CatchUp(max(now, recorded), until, late)
    return CatchUp(before.since, max(before.until, until), late)


@dataclass(frozen=True)
class CatchingUp:
    """A subject that is catching up, the clock of its partition and the lag of that behind the wall clock."""

    key: str
    partition: int
    catch_up: CatchUp
    clock: Instant | None
    lag: timedelta


def ready_to_settle(waiting: Iterable[CatchingUp]) -> list[CatchingUp]:
    """Return the subjects of one organisation that are ready: all of them when the last history arrived long enough
    ago, so that there is one digest; before that those that are ready themselves, once somebody has waited too long."""
    all_waiting = list(waiting)
    if not all_waiting or any(one.clock is None or is_behind(one.lag) for one in all_waiting):
        return []
    clock = min(one.clock for one in all_waiting if one.clock is not None)
    if clock >= max(one.catch_up.until for one in all_waiting):
        return all_waiting
    if clock < min(one.catch_up.since for one in all_waiting) + LONGEST:
        return []
    return [one for one in all_waiting if one.catch_up.until <= clock]


SHOWN = 60
"""Characters of a source that fit into a reason."""
DIGEST_BYTES = 8
"""A relationship may have hundreds of sources of hundreds of characters; programmes expect a few."""


class Frozen(NamedTuple):
    """The silent source that freezes a watch, and since when it is silent."""

    source: str
    since: Instant

    @property
    def reason(self) -> str:
        return f"{truncate(self.source, SHOWN)} was silent since {format_instant(self.since)}"


@lru_cache(10_000)
def source_digest(source: str) -> str:
    return blake2b(source.encode(), digest_size=DIGEST_BYTES).hexdigest()


@lru_cache(10_000)
def source_digests(sources: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(map(source_digest, sources)))


def frozen_by(depends_on: Iterable[str], silent: Mapping[str, Frozen]) -> Frozen | None:
    """Return the source silent for longest, of those that the watch depends on."""
    found = [silent[digest] for digest in depends_on if digest in silent]
    return min(found, key=lambda one: (one.since, one.source), default=None)


STORM_SPAN = timedelta(minutes=10)
MIN_OF_STORM, SHARE_OF_STORM = 5, 0.10
"""Five at once are no storm in the smallest programme; a tenth of its pairs is one in the largest."""


class Storms:
    """Counts recent transitions that were sent; restored from the deliveries."""

    def __init__(self) -> None:
        # By id, ordered by instant.
        self._recent: dict[tuple[Id, Id], OrderedDict[str, Instant]] = defaultdict(OrderedDict)

    def add(self, tenant: Id, program: Id, transition: str, at: Instant) -> None:
        """Add a transition by its id; each counts once."""
        self._recent_since(tenant, program, at).setdefault(transition, at)

    def storm_reason(self, tenant: Id, program: Id, now: Instant, active: int) -> str | None:
        """Return why the next transition belongs to a storm, if so. `active`: number of active relationships of the
        programme."""
        count = len(self._recent_since(tenant, program, now)) + 1
        if count <= MIN_OF_STORM or count <= SHARE_OF_STORM * active:
            return None
        return f"a storm: {count} transitions of {active} active pairs within {STORM_SPAN.seconds // 60} min"

    def _recent_since(self, tenant: Id, program: Id, now: Instant) -> OrderedDict[str, Instant]:
        recent = self._recent[tenant, program]
        while recent and recent[first := next(iter(recent))] <= now - STORM_SPAN:
            del recent[first]
        return recent


LONGEST_NAME = 40
MIDNIGHT = ("midnight",)
"""The cause that scoring gives to rows that no event triggered."""
BEGINS = frozenset({"fired", "unstable", "escalated"})


class ScoredBy(NamedTuple):
    """The model, profile and calibration of the newest row, and since when they differ from before, if they ever did.
    `nightly`: whether midnight alone caused the row of that instant. A row that comes with an event, or at a crossed
    level, may as well show a decay."""

    by: str
    since: StoredInstant | None = None
    nightly: bool = False


def scored_by(before: ScoredBy | None, row: ScoreRow) -> ScoredBy | None:
    """Update with the newest row."""
    score = row.score
    if score is None:
        return before
    by = f"{score.profile} {score.model} {score.calibration}"
    if before is None:
        return ScoredBy(by)
    return before if before.by == by else ScoredBy(by, row.as_of, score.causes == MIDNIGHT)


def mark_rescored(transition: Transition, window: Window, scored: ScoredBy) -> Transition:
    """Mark the transition as late if it rests on nothing but rescoring: its run began exactly when scores were computed
    otherwise."""
    rule, state = transition.rule, transition.episode
    if transition.late is not None or scored.since is None:
        return transition
    if transition.name not in BEGINS or rule.measure not in SCORE_MEASURES:
        return transition
    since = state.since
    if rule.drop is None:
        # The run of the tier that it has reached.
        level = next((tier.level for tier in rule.tiers if tier.urgency == state.urgency), rule.tiers[-1].level)
        run = unbroken_run(up_to(window, transition.at), lambda values: rule.reaches(values, level))
        since = run and run.since
    if since != scored.since:
        return transition
    why = f"scored by {scored.by.partition(' ')[0][:LONGEST_NAME]} since {format_instant(scored.since)}"
    return replace(transition, late=why, rescored=scored.nightly)
