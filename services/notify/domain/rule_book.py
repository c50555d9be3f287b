"""The rules of a programme at an instant: applied versions, each first in shadow, and the result of a shadow, which is
counted in the background."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.primitives import Id, Instant
from schemas.rule_sets import (
    DEFAULTS,
    SHADOW_NOTICE,
    RuleDifference,
    RuleEvent,
    RulesShadowed,
    RuleVersion,
    ShadowResult,
    differing,
)
from schemas.rules import RULES, SUBJECT_MEASURES, Rule
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.folding import Anchor, fold_rule
from services.notify.domain.guards import Clock
from services.notify.domain.ids import ProgrammeKey
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.watch import Watch
from services.notify.domain.window import Window

BUILT_IN = "1"
"""The version of the default rules."""


@dataclass(frozen=True)
class ActiveRules:
    """The rules of a programme in force."""

    version: str
    rules: tuple[Rule, ...]
    evaluator: Evaluator

    @property
    def of_subjects(self) -> Mapping[str, Rule]:
        return {rule.name: rule for rule in self.rules if rule.measure in SUBJECT_MEASURES}


@dataclass(frozen=True)
class Shadow:
    """A version that will page, the rules in force until then, and when its result is published."""

    program: ProgrammeKey
    version: RuleVersion
    now: ActiveRules
    then: ActiveRules

    @property
    def ends(self) -> Instant:
        return self.version.pages_from - SHADOW_NOTICE

    @property
    def key(self) -> tuple[ProgrammeKey, str]:
        return self.program, self.version.version


@dataclass
class RuleBook:
    """Versions by programme, in the order in which they were applied. A version is in force from `pages_from` on; one
    that is applied while another still runs in shadow replaces it."""

    clock: Clock
    _versions: dict[ProgrammeKey, list[RuleVersion]] = field(default_factory=dict)
    _applied: dict[tuple[ProgrammeKey, str], RuleVersion] = field(default_factory=dict)
    _results: dict[tuple[ProgrammeKey, str], ShadowResult] = field(default_factory=dict)
    _in_force: dict[tuple[ProgrammeKey, str], ActiveRules] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._built_in = _active_rules(BUILT_IN, tuple(DEFAULTS.values()), self.clock)

    def apply(self, event: RuleEvent) -> None:
        """Apply an event, in the order of the topic; a repeat changes nothing. Raises ValueError for a version that
        makes no rules."""
        program = (event.tenant, event.program)
        if event.type == "mentoring.program.rules_shadowed.v1":
            self._results[program, event.data.version] = event.data
            return
        version = event.data
        if (program, version.version) not in self._applied:
            self._applied[program, version.version] = version
            self._in_force[program, version.version] = _active_rules(version.version, version.decides(), self.clock)
            before = self._versions.get(program, [])
            self._versions[program] = [*(one for one in before if one.pages_from <= version.since), version]

    def evaluator_for(self, tenant: Id, program: Id, at: Instant) -> Evaluator:
        """Return the evaluator of a relationship at an instant."""
        return self.in_force((tenant, program), at).evaluator

    def in_force(self, program: ProgrammeKey, at: Instant) -> ActiveRules:
        for version in reversed(self._versions.get(program, ())):
            if version.pages_from <= at:
                return self._in_force[program, version.version]
        return self._built_in

    @property
    def programs(self) -> list[ProgrammeKey]:
        """The programmes with an applied version."""
        return sorted(self._versions)

    def versions(self, program: ProgrammeKey) -> tuple[RuleVersion, ...]:
        """Return the versions that are or were in force, and the one in shadow."""
        return tuple(self._versions.get(program, ()))

    def applied(self, program: ProgrammeKey, version: str) -> RuleVersion | None:
        """Return an applied version, whatever has become of it since."""
        return self._applied.get((program, version))

    def result(self, program: ProgrammeKey, version: str) -> ShadowResult | None:
        """Return the result of its shadow."""
        return self._results.get((program, version))

    def shadows(self, clock: Instant) -> list[Shadow]:
        """Return the shadows that have ended by this instant without a published result."""
        return [
            Shadow(program, version, self.in_force(program, version.since), self._in_force[program, version.version])
            for program, versions in sorted(self._versions.items())
            for version in versions
            if version.pages_from - SHADOW_NOTICE <= clock and (program, version.version) not in self._results
        ]


class ShadowCount:
    """Counts how often each changed rule has fired over a shadow, and how often it would have, for the relationships of
    the programme, by the rows in their windows when counting begins."""

    def __init__(self, shadow: Shadow, watches: Iterable[Watch]) -> None:
        self._shadow = shadow
        self._windows = [watch.window for watch in watches]
        self._counted = 0
        self._rules = [
            (before, after, _Tally(name))
            for name, before, after in differing(shadow.now.rules, shadow.then.rules)
            if not any(rule is not None and rule.measure in SUBJECT_MEASURES for rule in (before, after))
        ]

    def count_next(self, most: int) -> bool:
        """Count so many more relationships, at milliseconds each. Returns whether none is left."""
        since, until = self._shadow.version.since, self._shadow.ends
        for window in self._windows[self._counted : self._counted + most]:
            for before, after, tally in self._rules:
                tally.add(_episodes(before, window, since, until), _episodes(after, window, since, until))
        self._counted += most
        return self._counted >= len(self._windows)

    def event(self, recorded: Instant) -> RulesShadowed:
        """Return the result of the shadow, when none is left. Its id follows from its programme and version."""
        (tenant, program), version = self._shadow.program, self._shadow.version
        return RulesShadowed(
            type="mentoring.program.rules_shadowed.v1",
            source="/rapport/notify",
            id=f"rules-shadowed-{program}-{version.version}"[:256],
            time=self._shadow.ends,
            recordedtime=recorded,
            tenant=tenant,
            program=program,
            data=ShadowResult(
                version=version.version,
                before=self._shadow.now.version,
                since=version.since,
                until=self._shadow.ends,
                pages_from=version.pages_from,
                pairs=len(self._windows),
                differences=tuple(
                    RuleDifference(rule=one.rule, now=one.now, then=one.then, gained=one.gained, lost=one.lost)
                    for _, _, one in self._rules
                ),
            ),
        )


@dataclass
class _Tally:
    rule: str
    now: int = 0
    then: int = 0
    gained: int = 0
    lost: int = 0

    def add(self, now: int, then: int) -> None:
        self.now, self.then = self.now + now, self.then + then
        self.gained += then > 0 and now == 0
        self.lost += now > 0 and then == 0


def _episodes(rule: Rule | None, window: Window, since: Instant, until: Instant) -> int:
    """Count the episodes that began after the one instant, up to the other."""
    if rule is None:
        return 0
    before = fold_rule(rule, Anchor(), window, since)
    return fold_rule(rule, Anchor(since, before), window, until).episode - before.episode


def _active_rules(version: str, rules: tuple[Rule, ...], clock: Clock) -> ActiveRules:
    of_pairs = tuple(rule for rule in rules if rule.measure not in SUBJECT_MEASURES)
    names = {rule.name for rule in of_pairs}
    switched_off = tuple(rule for rule in RULES if rule.name not in names)
    return ActiveRules(version, rules, Evaluator(of_pairs, clock, switched_off))


COUNTED_AT_ONCE = 100
"""Pairs counted per round: less than a second."""


class Shadows:
    def __init__(self, rules: RuleBook, failed: Callable[[str, Exception], None]) -> None:
        self._rules, self._failed = rules, failed
        self._counting: dict[tuple[ProgrammeKey, str], ShadowCount] = {}

    def track(self, clock: Instant, partitions: Iterable[PartitionAlerts]) -> None:
        """Start counting the shadows that have ended by this instant; stop for one that another version has
        replaced."""
        shadows = {shadow.key: shadow for shadow in self._rules.shadows(clock)}
        self._counting = {key: count for key, count in self._counting.items() if key in shadows}
        for key, shadow in shadows.items():
            if key not in self._counting:
                watches = [watch for alerts in partitions for watch in alerts.watches_of_program(shadow.program)]
                self._counting[key] = ShadowCount(shadow, watches)

    def drain_results(self, recorded: Instant) -> list[RuleEvent]:
        """Count a part, and return the results that are complete."""
        found: list[RuleEvent] = []
        for key, count in list(self._counting.items()):
            try:
                if not count.count_next(COUNTED_AT_ONCE):
                    break
                event = count.event(recorded)
                self._rules.apply(event)
                found.append(event)
            except Exception as failure:  # noqa: BLE001 (logged and counted; the next clock begins anew)
                self._failed("shadow_not_counted", failure)
            del self._counting[key]
        return found
