"""What other rules would have fired on the past: the scores of a programme as they stand on their topic, in order,
under both sets of rules."""

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
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import read_to_end
from services.runtime.settings import Settings
from services.validation_errors import places

WEEK = timedelta(days=7)
FIRED = frozenset({"fired", "unstable"})


@dataclass
class Fired:
    """Of one set of rules: by rule and the Monday of the week how many episodes have begun, and for which pairs."""

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
    """`now`: by the rules in force; `then`: by the others."""

    since: Instant | None = None
    until: Instant | None = None
    relationships: set[str] = field(default_factory=set)
    now: Fired = field(default_factory=Fired)
    then: Fired = field(default_factory=Fired)

    @property
    def weeks(self) -> list[Instant]:
        """The Mondays of all weeks that the scores reach over, without a gap."""
        if self.since is None or self.until is None:
            return []
        first = monday(self.since)
        return [first + number * WEEK for number in range((monday(self.until) - first) // WEEK + 1)]


def backtested(events: Iterable[tuple[int, ScoreEvent]], now: Sequence[Rule], then: Sequence[Rule]) -> Backtest:
    """`events`: score events with the number of their partition, in the order of each."""
    found = Backtest()
    sides: Mapping[int, dict[int, PartitionAlerts]] = {0: {}, 1: {}}
    evaluators = [
        Evaluator(tuple(rule for rule in rules if rule.measure not in SUBJECT_MEASURES), "log") for rules in (now, then)
    ]
    for number, event in events:
        at = event.data.clock if event.type == "mentoring.clock.advanced.v1" else event.data.as_of
        found.until = max(found.until or at, at)
        if event.type != "mentoring.clock.advanced.v1":
            found.relationships.add(event.subject)
            found.since = min(found.since or at, at)
        for side, fired in ((0, found.now), (1, found.then)):
            alerts = sides[side].setdefault(number, PartitionAlerts(evaluators[side], {}, None))
            fired.count(alerts.take(event))
    return found


def scores_of(settings: Settings, names: Names, tenant: Id, program: Id) -> Iterator[tuple[int, ScoreEvent]]:
    """The scores of a programme and the clocks, partition by partition in their order. What cannot be read is told and
    left out, as notify does it. Raises KafkaError."""
    for record in read_to_end(settings, [names.scores], isolation_level="read_committed"):
        try:
            event = SCORE_EVENT.validate_json(record.value or b"")
        except ValidationError as invalid:
            log.get(__name__).warning("score_unreadable", offset=record.offset, places=places(invalid))
            continue
        if event.type == "mentoring.clock.advanced.v1" or (event.tenant, event.program) == (tenant, program):
            yield record.partition, event


def read_rule_book(settings: Settings, names: Names) -> RuleBook:
    """All versions that were ever applied. Raises KafkaError."""
    book = RuleBook(settings.clock)
    for record in read_to_end(settings, [names.rules], isolation_level="read_committed"):
        try:
            book.apply(RULE_EVENT.validate_json(record.value or b""))
        except ValueError as invalid:
            where = places(invalid) if isinstance(invalid, ValidationError) else [str(invalid)]
            log.get(__name__).warning("rules_unreadable", offset=record.offset, places=where)
    return book


def read_programme(settings: Settings, names: Names, tenant: Id, program: Id) -> Programme | None:
    """As it was described last, as far as that can be read; None where nobody has. Raises KafkaError."""
    found: Programme | None = None
    for record in read_to_end(settings, [names.programs]):
        if record.key != f"{tenant}/{program}".encode():
            continue
        try:
            found = None if record.value is None else Programme.model_validate_json(record.value)
        except ValidationError as invalid:
            log.get(__name__).warning("programme_unreadable", offset=record.offset, places=places(invalid))
    return found


def read_clock(settings: Settings, names: Names) -> Instant:
    """How far the scores have come; the beginning where there are none. Raises KafkaError."""
    clock = EPOCH
    for _, event in scores_of(settings, names, "", ""):
        if event.type == "mentoring.clock.advanced.v1":
            clock = max(clock, event.data.clock)
    return clock


def monday(at: Instant) -> Instant:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())
