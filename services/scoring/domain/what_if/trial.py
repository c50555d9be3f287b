"""Another profile over the same history: which relationships would have alerted, when, and how many more."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.events import partition_key
from schemas.programs import Profile
from schemas.rules import Rule
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.what_if.alerts import TrialAlert, alerts, watching

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
    """The profiles to be tried, by programme (`tenant/id`), or one for all of them. Each as if it had held from the
    beginning."""

    of_all: Profile | None = None
    of_program: Mapping[str, Profile] = field(default_factory=dict)

    def of(self, program: str) -> Profile | None:
        """None: nothing is tried on this programme."""
        return self.of_program.get(program, self.of_all)

    @property
    def profiles(self) -> list[Profile]:
        return [*self.of_program.values(), *([] if self.of_all is None else [self.of_all])]


@dataclass(frozen=True)
class TrialQuestion:
    candidates: Candidates
    rules: tuple[Rule, ...]
    span: TrialSpan


class Compared(NamedTuple):
    """One rule of one relationship: its alerts of the span with the present profiles, and with the other one."""

    relationship: str
    program: str
    rule: str
    now: tuple[TrialAlert, ...]
    then: tuple[TrialAlert, ...]


class Balance(NamedTuple):
    """Relationships that alert only with the other profile, only with the present ones, or with both, by any rule."""

    gained: int
    lost: int
    kept: int


class Summary(NamedTuple):
    """One rule of one programme (`tenant/programme`). `more`, `fewer`: relationships that alert only with the other
    profile, or only with the present ones."""

    program: str
    rule: str
    relationships: int
    now: int
    then: int
    more: int
    fewer: int


def compare(relationship: str, account: FullHistory, present: Profiles, question: TrialQuestion) -> list[Compared]:
    """Both sides are judged on all that is known, from the beginning on: an alert that was open before the span is none
    of the span. Nothing where no profile is tried on the programme."""
    candidate = question.candidates.of(_programme(relationship, account.program))
    if candidate is None:
        return []
    now, then = (_alerts(account, profiles, question) for profiles in (present, Profiles((candidate,))))
    return [
        Compared(relationship, account.program, rule.name, ours, theirs)
        for rule, ours, theirs in zip(question.rules, now, then, strict=True)
    ]


def balance(compared: Iterable[Compared]) -> Balance:
    now, then = set[str](), set[str]()
    for one in compared:
        now.update([one.relationship] if one.now else ())
        then.update([one.relationship] if one.then else ())
    return Balance(gained=len(then - now), lost=len(now - then), kept=len(now & then))


def summaries(compared: Iterable[Compared]) -> list[Summary]:
    grouped: dict[tuple[str, str], list[Compared]] = defaultdict(list)
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


def _alerts(account: FullHistory, profiles: Profiles, question: TrialQuestion) -> list[tuple[TrialAlert, ...]]:
    since, until = question.span
    versions = [
        version.model_copy(update={"watch": watching(question.rules, version.watch)}) for version in profiles.versions
    ]
    rows = ScoreHistory(account.facts, Profiles(versions)).rows(NONE, until)
    return [tuple(a for a in alerts(rule, rows, until) if since <= a.fired) for rule in question.rules]
