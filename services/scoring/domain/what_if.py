"""Try another profile over the same history: which relationships would have alerted, when, and how many more. Rows are
evaluated as notify evaluates them, as if everything had been known in time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from schemas.events import partition_key
from schemas.primitives import Instant
from schemas.programs import Profile, WatchLevels
from schemas.rules import Measure, Rule
from services.scoring.domain.bounds import DAY, NONE, ONE
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import HistoryRow

MICROSECOND = timedelta(microseconds=1)


class RuleNumbers(NamedTuple):
    """The inputs of a levelled rule; no other rule is tried, so the remaining fields keep their defaults."""

    health: float
    risk: float
    confidence: float
    silent_from: Instant | None = None
    interval_days: float = 0.0
    booked: bool = False
    support: bool = False


class TrialAlert(NamedTuple):
    """`resolved` None: still open at the end."""

    fired: int
    resolved: int | None


def alerts(rule: Rule, rows: Mapping[int, HistoryRow], until: int) -> list[TrialAlert]:
    """From all rows of a relationship, in order, up to `until`. No row can both fire and clear: one deadline is pending
    at a time."""
    found: list[TrialAlert] = []
    firing: list[_Streak | None] = [None] * len(rule.tiers)
    clearing: _Streak | None = None
    for at, row in (*rows.items(), (until, None)):
        # 1. The deadline takes effect if it is due by now. While the relationship is paused there is none.
        is_open = bool(found) and found[-1].resolved is None
        fires = zip(firing, (tier.hold for tier in rule.tiers), strict=True)
        streaks = [(clearing, rule.clear_hold)] if is_open else list(fires)
        dues = [
            streak.at + hold // MICROSECOND - streak.active for streak, hold in streaks if streak and not streak.paused
        ]
        due = min(dues, default=None)
        if due is not None and due <= at:
            found = [*found[:-1], found[-1]._replace(resolved=due)] if is_open else [*found, TrialAlert(due, None)]
        # 2. Apply the row.
        if row is None:
            break
        if row.status == "ended":
            firing, clearing = [None] * len(firing), None
            if found and found[-1].resolved is None:
                found[-1] = found[-1]._replace(resolved=at)
            continue
        score = row.evaluation
        now = RuleNumbers(score.health / ONE, score.risk / ONE, score.confidence / ONE)
        reached = zip(firing, rule.tiers, strict=True)
        firing = [
            _extend_streak(streak, at, row) if rule.reaches(now, tier.level) else None for streak, tier in reached
        ]
        clearing = _extend_streak(clearing, at, row) if rule.clears(now, None) else None
    return found


def watching(rules: tuple[Rule, ...], watch: WatchLevels) -> WatchLevels:
    """With the levels of the rules: a crossing is an instant of its own, so alerts are exact to the second."""
    levels: dict[Measure, set[float]] = {"health": set(watch.health), "risk": set(watch.risk)}
    for rule in rules:
        levels[rule.measure].update(rule.levels)
    return WatchLevels(health=tuple(sorted(levels["health"])), risk=tuple(sorted(levels["risk"])))


class _Streak(NamedTuple):
    """A condition that has held up to the row at `at`, for `active` microseconds outside pauses."""

    active: int
    at: int
    paused: bool


def _extend_streak(streak: _Streak | None, at: int, row: HistoryRow) -> _Streak:
    paused = row.status == "paused"
    if streak is None:
        return _Streak(0, at, paused)
    return _Streak(streak.active + (0 if streak.paused else at - streak.at), at, paused)


WEEK = 7 * DAY


class TrialSpan(NamedTuple):
    """Alerts that fire from `since` up to and including `until` count."""

    since: int
    until: int

    @property
    def weeks(self) -> float:
        return (self.until - self.since) / WEEK


@dataclass(frozen=True)
class Candidates:
    """The profiles to try, by programme (`tenant/id`), or one for all. Each as if it had held from the beginning."""

    of_all: Profile | None = None
    of_program: Mapping[str, Profile] = field(default_factory=dict)

    def of(self, program: str) -> Profile | None:
        """None: no profile is tried on this programme."""
        return self.of_program.get(program, self.of_all)

    @property
    def profiles(self) -> list[Profile]:
        return [*self.of_program.values(), *([] if self.of_all is None else [self.of_all])]


@dataclass(frozen=True)
class TrialQuestion:
    candidates: Candidates
    rules: tuple[Rule, ...]
    span: TrialSpan


class RuleComparison(NamedTuple):
    """One rule of one relationship: its alerts of the span with the present profiles (`now`), and with the candidate
    (`then`)."""

    relationship: str
    program: str
    rule: str
    now: tuple[TrialAlert, ...]
    then: tuple[TrialAlert, ...]


class Balance(NamedTuple):
    """Relationships that alert, by any rule, only with the candidate, only with the present profiles, or with both."""

    gained: int
    lost: int
    kept: int


class Summary(NamedTuple):
    """One rule of one programme (`tenant/programme`). `more`, `fewer`: relationships that alert only with the
    candidate, or only with the present profiles."""

    program: str
    rule: str
    relationships: int
    now: int
    then: int
    more: int
    fewer: int


def compare(
    relationship: str, history: FullHistory, present: Profiles, question: TrialQuestion
) -> list[RuleComparison]:
    """Both sides use all facts, from the beginning: an alert that opened before the span is not part of it. Empty if no
    profile is tried on the programme."""
    candidate = question.candidates.of(_programme(relationship, history.program))
    if candidate is None:
        return []
    now, then = (_alerts(history, profiles, question) for profiles in (present, Profiles((candidate,))))
    return [
        RuleComparison(relationship, history.program, rule.name, ours, theirs)
        for rule, ours, theirs in zip(question.rules, now, then, strict=True)
    ]


def balance(compared: Iterable[RuleComparison]) -> Balance:
    now, then = set[str](), set[str]()
    for one in compared:
        now.update([one.relationship] if one.now else ())
        then.update([one.relationship] if one.then else ())
    return Balance(gained=len(then - now), lost=len(now - then), kept=len(now & then))


def summaries(compared: Iterable[RuleComparison]) -> list[Summary]:
    grouped: dict[tuple[str, str], list[RuleComparison]] = defaultdict(list)
    for one in compared:
        grouped[_programme(one.relationship, one.program), one.rule].append(one)
    return [
        Summary(
            program=program,
            rule=rule,
            relationships=len(ones),
            now=sum(len(one.now) for one in ones),
            then=sum(len(one.then) for one in ones),
            more=sum(bool(one.then) and not one.now for one in ones),
            fewer=sum(bool(one.now) and not one.then for one in ones),
        )
        for (program, rule), ones in sorted(grouped.items())
    ]


def _programme(relationship: str, program: str) -> str:
    return partition_key(relationship.split("/", 1)[0], program)


def _alerts(history: FullHistory, profiles: Profiles, question: TrialQuestion) -> list[tuple[TrialAlert, ...]]:
    since, until = question.span
    versions = [
        version.model_copy(update={"watch": watching(question.rules, version.watch)}) for version in profiles.versions
    ]
    rows = ScoreHistory(history.facts, Profiles(versions)).rows(NONE, until)
    return [tuple(a for a in alerts(rule, rows, until) if since <= a.fired) for rule in question.rules]
