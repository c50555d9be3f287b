"""What other rules would have fired in the past: the scores of a programme on their topic, in order, evaluated under
both sets of rules."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from schemas.primitives import EPOCH, Id, Instant
from schemas.programs import Programme
from schemas.rule_sets import RULE_EVENT
from schemas.rules import SUBJECT_MEASURES, Rule
from schemas.scores import SCORE_EVENT, ScoreEvent
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.rule_book import RuleBook
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.kafka import read_to_end
from services.runtime.settings import Settings
from services.validation_errors import field_errors

WEEK = timedelta(days=7)
FIRED = frozenset({"fired", "unstable"})


@dataclass
class Fired:
    """For one set of rules: how many episodes began by rule and Monday of the week, and for which pairs."""

    weeks: Counter[tuple[str, Instant]] = field(default_factory=Counter)
    pairs: dict[str, set[str]] = field(default_factory=dict)

    def count(self, transitioned: Iterable[Transitioned]) -> None:
        for one in transitioned:
            if one.transition.name in FIRED:
                name = one.transition.rule.name
                self.weeks[name, monday(one.transition.at)] += 1
                self.pairs.setdefault(name, set()).add(one.watch.subject.id)

    def of(self, rule: str) -> int:
        return sum(count for (name, _), count in self.weeks.items() if name == rule)


@dataclass
class Backtest:
    """`now`: by the rules in force; `then`: by the candidate rules."""

    since: Instant | None = None
    until: Instant | None = None
    relationships: set[str] = field(default_factory=set)
    now: Fired = field(default_factory=Fired)
    then: Fired = field(default_factory=Fired)

    @property
    def weeks(self) -> list[Instant]:
        """The Mondays of all weeks that the scores cover, without a gap."""
        if self.since is None or self.until is None:
            return []
        first = monday(self.since)
        return [first + number * WEEK for number in range((monday(self.until) - first) // WEEK + 1)]


def run_backtest(events: Iterable[tuple[int, ScoreEvent]], now: Sequence[Rule], then: Sequence[Rule]) -> Backtest:
    """Evaluate both sets of rules. `events`: score events with their partition number, in the order of each
    partition."""
    backtest = Backtest()
    sides: Mapping[int, dict[int, PartitionAlerts]] = {0: {}, 1: {}}
    evaluators = [
        Evaluator(tuple(rule for rule in rules if rule.measure not in SUBJECT_MEASURES), "log") for rules in (now, then)
    ]
    for number, event in events:
        at = event.data.clock if event.type == "mentoring.clock.advanced.v1" else event.data.as_of
        backtest.until = max(backtest.until or at, at)
        if event.type != "mentoring.clock.advanced.v1":
            backtest.relationships.add(event.subject)
            backtest.since = min(backtest.since or at, at)
        for side, fired in ((0, backtest.now), (1, backtest.then)):
            alerts = sides[side].setdefault(number, PartitionAlerts(evaluators[side], {}, None))
            fired.count(alerts.apply(event))
    return backtest


def read_scores(settings: Settings, topics: NotifyTopics, tenant: Id, program: Id) -> Iterator[tuple[int, ScoreEvent]]:
    """Yield the scores of a programme and the clocks, partition by partition in order. Unreadable records are logged
    and skipped, as in notify itself. Raises KafkaError."""
    for record in read_to_end(settings, [topics.scores], isolation_level="read_committed"):
        try:
            event = SCORE_EVENT.validate_json(record.value or b"")
        except ValidationError as invalid:
            log.get(__name__).warning("score_unreadable", offset=record.offset, places=field_errors(invalid))
            continue
        if event.type == "mentoring.clock.advanced.v1" or (event.tenant, event.program) == (tenant, program):
            yield record.partition, event


def read_rule_book(settings: Settings, topics: NotifyTopics) -> RuleBook:
    """Return all versions that were ever applied. Raises KafkaError."""
    book = RuleBook(settings.clock)
    for record in read_to_end(settings, [topics.rules], isolation_level="read_committed"):
        try:
            book.apply(RULE_EVENT.validate_json(record.value or b""))
        except ValueError as invalid:
            where = field_errors(invalid) if isinstance(invalid, ValidationError) else [str(invalid)]
            log.get(__name__).warning("rules_unreadable", offset=record.offset, places=where)
    return book


def read_programme(settings: Settings, topics: NotifyTopics, tenant: Id, program: Id) -> Programme | None:
    """Return the last readable description of the programme; None where there is none. Raises KafkaError."""
    found: Programme | None = None
    for record in read_to_end(settings, [topics.programs]):
        if record.key != f"{tenant}/{program}".encode():
            continue
        try:
            found = None if record.value is None else Programme.model_validate_json(record.value)
        except ValidationError as invalid:
            log.get(__name__).warning("programme_unreadable", offset=record.offset, places=field_errors(invalid))
    return found


def read_clock(settings: Settings, topics: NotifyTopics) -> Instant:
    """Return the latest clock of the scores; EPOCH where there are none. Raises KafkaError."""
    clock = EPOCH
    for _, event in read_scores(settings, topics, "", ""):
        if event.type == "mentoring.clock.advanced.v1":
            clock = max(clock, event.data.clock)
    return clock


def monday(at: Instant) -> Instant:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())
