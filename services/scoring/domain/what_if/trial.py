"""Another profile over the same history: which relationships would have alerted, when, and how many more."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.programs import Profile
from services.scoring.domain.account import Account
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.history import History
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.what_if.alerts import Alert, alerts
from services.scoring.domain.what_if.rules import AlertRule, watching

WEEK = 7 * DAY


class Span(NamedTuple):
    """Alerts that fire from `since` up to and including `until` count."""

    since: int
    until: int

    @property
    def weeks(self) -> float:
        return (self.until - self.since) / WEEK


@dataclass(frozen=True)
class Question:
    """`candidate` is tried as if it had held from the beginning."""

    candidate: Profile
    rules: tuple[AlertRule, ...]
    span: Span


class Compared(NamedTuple):
    """One rule of one relationship: its alerts of the span with the present profiles, and with the other one."""

    relationship: str
    program: str
    rule: str
    now: tuple[Alert, ...]
    then: tuple[Alert, ...]


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


def compare(relationship: str, account: Account, present: Profiles, question: Question) -> list[Compared]:
    """Both sides are judged on all that is known, from the beginning on: an alert that was open before the span is none
    of the span."""
    candidate = Profiles((question.candidate,))
    now, then = (_alerts(account, profiles, question) for profiles in (present, candidate))
    return [
        Compared(relationship, account.program, rule.name, ours, theirs)
        for rule, ours, theirs in zip(question.rules, now, then, strict=True)
    ]


def summaries(compared: Iterable[Compared]) -> list[Summary]:
    grouped: dict[tuple[str, str], list[Compared]] = defaultdict(list)
    for one in compared:
        tenant = one.relationship.split("/", 1)[0]
        grouped[f"{tenant}/{one.program}", one.rule].append(one)
    return [_summary(*place, ones) for place, ones in sorted(grouped.items())]


def _alerts(account: Account, profiles: Profiles, question: Question) -> list[tuple[Alert, ...]]:
    since, until = question.span
    versions = [
        version.model_copy(update={"watch": watching(question.rules, version.watch)}) for version in profiles.versions
    ]
    rows = History(account.facts, Profiles(versions)).rows(NONE, until)
    return [tuple(a for a in alerts(rule, rows, until) if since <= a.fired) for rule in question.rules]


def _summary(program: str, rule: str, ones: Sequence[Compared]) -> Summary:
    return Summary(
        program=program,
        rule=rule,
        relationships=len(ones),
        now=sum(len(one.now) for one in ones),
        then=sum(len(one.then) for one in ones),
        more=sum(bool(one.then) and not one.now for one in ones),
        fewer=sum(bool(one.now) and not one.then for one in ones),
    )
