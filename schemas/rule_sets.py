"""Alert rules as versioned configuration of a programme: what a file may change, and the events on the topic of
rules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.alerts import Urgency
from schemas.events import CloudEvent
from schemas.primitives import Count, Id, Instant, Message
from schemas.programs import Programme
from schemas.rule_faults import faults, unwatched
from schemas.rules import RULES, SUBJECT_RULES, Rule, Tier

DEFAULTS: Mapping[str, Rule] = {rule.name: rule for rule in (*RULES, *SUBJECT_RULES)}
"""The rules of a programme that has set no others."""
SHADOW_NOTICE = timedelta(hours=1)
"""How long before a new version may page its shadow result is published, so that the version can be withdrawn."""
MIN_SHADOW_HOURS, LONGEST_SHADOW_HOURS = 2, 168
"""Rows are kept for two weeks. With a week of history before it, a shadow of one week is evaluated as if the rule had
always been active."""
Hours = Annotated[float, Field(ge=0, le=24 * 366)]
SomeDays = Annotated[float, Field(gt=0, le=366)]
Level = Annotated[float, Field(gt=0, le=100)]
_DAYS = frozenset({"window_days", "settles_days", "least_days", "unmet_days"})


class RuleTier(Message):
    """Fires when the value stays at or beyond the level for this long. A contact rule has no levels."""

    level: Level | None = None
    for_hours: Hours = 0
    urgency: Urgency


class RuleChange(Message):
    """The differences of a rule from its default; omitted fields keep their default. `disabled`: the rule is off.

    All rules: `tiers`, `clear` (the level), `clear_hours`, `keep_hours` (the minimum time that an alert stays open),
    `min_points` (the number of rows that must show it). Falls: `window_days`, `regained`, `settles_days`. Contacts:
    `intervals`, `least_days`, `unmet_days`. Shifts of the programme: `least_pairs`, `median_fall`, `window_days`."""

    disabled: bool = False
    tiers: Annotated[tuple[RuleTier, ...], Field(min_length=1, max_length=2)] | None = None
    clear: Level | None = None
    clear_hours: Hours | None = None
    keep_hours: Hours | None = None
    min_points: Annotated[int, Field(ge=1, le=100)] | None = None
    window_days: SomeDays | None = None
    regained: Annotated[float, Field(gt=0, le=1)] | None = None
    settles_days: SomeDays | None = None
    intervals: Annotated[float, Field(gt=0, le=100)] | None = None
    least_days: SomeDays | None = None
    unmet_days: SomeDays | None = None
    least_pairs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    median_fall: Annotated[float, Field(gt=0, le=100)] | None = None


class RuleChanges(Message):
    """The changes by rule. Rules that are not listed here cannot be changed: a request for support always alerts,
    whatever a programme configures."""

    health_low: RuleChange | None = None
    health_drop: RuleChange | None = None
    disengaging: RuleChange | None = None
    no_contact: RuleChange | None = None
    close_proposed: RuleChange | None = None
    programme_shift: RuleChange | None = None
    source_silent: RuleChange | None = None
    score_stale: RuleChange | None = None

    @property
    def named(self) -> dict[str, RuleChange]:
        """Return the rules that the file changes."""
        return {name: change for name, change in self if change is not None}


class RuleSet(Message):
    """A file of rules. `version` names them in every transition; a rule that is omitted keeps its defaults. For
    `shadow_hours` a new version only counts the alerts that it would have fired."""

    tenant: Id
    program: Id
    version: Id
    shadow_hours: Annotated[float, Field(ge=MIN_SHADOW_HOURS, le=LONGEST_SHADOW_HOURS)] = 24
    rules: RuleChanges


class RuleVersion(Message):
    """An applied version: from `since` on it runs in shadow, from `pages_from` on it decides."""

    version: Id
    since: Instant
    pages_from: Instant
    rules: RuleChanges

    def decides(self) -> tuple[Rule, ...]:
        """Return all rules of the programme, for relationships and other subjects."""
        return rules_of(self.version, self.rules)


class RuleDifference(Message):
    """The result for one rule over the shadow: how often it fired, how often the new version would have fired; the
    pairs for which only the new version would fire (`gained`), or only the current one fired (`lost`)."""

    rule: Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]
    now: Count
    then: Count
    gained: Count
    lost: Count


class ShadowResult(Message):
    """The alerts that a version would have fired on the pairs of its programme, between two instants."""

    version: Id
    before: Id
    since: Instant
    until: Instant
    pages_from: Instant
    pairs: Count
    differences: Annotated[tuple[RuleDifference, ...], Field(max_length=16)]


class RulesSet(CloudEvent[Literal["mentoring.program.rules_set.v1"], RuleVersion]):
    """Somebody has applied a version."""

    program: Id


class RulesShadowed(CloudEvent[Literal["mentoring.program.rules_shadowed.v1"], ShadowResult]):
    """The shadow of a version has ended; it pages from then on unless another version is applied before."""

    program: Id


RuleEvent = RulesSet | RulesShadowed
RULE_EVENT: TypeAdapter[RuleEvent] = TypeAdapter(Annotated[RuleEvent, Field(discriminator="type")])


def rules_of(version: str, changes: RuleChanges) -> tuple[Rule, ...]:
    """Raises ValueError if a rule lacks a changed field."""
    found, named = [], changes.named
    for name, rule in DEFAULTS.items():
        change = named.get(name)
        if change is None:
            found.append(rule)
        elif not change.disabled:
            found.append(changed(rule, change, version))
    return tuple(found)


def changed(rule: Rule, change: RuleChange, version: str) -> Rule:
    """Apply the change to the rule. Raises ValueError if the rule lacks a changed field."""
    given = {name: value for name, value in change if value is not None and name != "disabled"}
    if strange := sorted(given.keys() - _fields(rule)):
        raise ValueError(f"{rule.name} has no {', '.join(strange)}: only {', '.join(sorted(_fields(rule)))}")
    tiers = rule.tiers if change.tiers is None else tuple(_tier(rule, tier) for tier in change.tiers)
    found = replace(
        rule,
        version=version,
        tiers=tiers,
        clear_level=given.get("clear", rule.clear_level),
        clear_hold=_hours(change.clear_hours, rule.clear_hold),
        keep=_hours(change.keep_hours, rule.keep),
        min_points=given.get("min_points", rule.min_points),
    )
    spans = {name: timedelta(days=value) if name in _DAYS else value for name, value in given.items()}
    for part, names in _PARTS.items():
        before = getattr(found, part)
        if before is not None:
            held = {field: spans[name] for name, field in names.items() if name in spans}
            found = replace(found, **{part: replace(before, **held)})
    return found


def problems_of(rules: RuleSet, programme: Programme | None, now: Instant) -> list[str]:
    """Return why this file cannot be applied to its programme, with what to do; empty if it can."""
    found: list[str] = []
    for name, change in rules.rules.named.items():
        if change.disabled:
            continue
        try:
            rule = changed(DEFAULTS[name], change, rules.version)
        except ValueError as strange:
            found.append(f"rules.{name}: {strange}")
            continue
        found += [f"rules.{name}: {fault}" for fault in faults(rule)]
        found += [f"rules.{name}: {gap}" for gap in _unwatched(rule, programme, now)]
    return found


def _unwatched(rule: Rule, programme: Programme | None, now: Instant) -> list[str]:
    """Check the profile in force and future profiles: the crossing of an unwatched level emits no row."""
    if programme is None:
        return []
    began = [
        profile for profile in programme.profiles if profile.effective_from is None or profile.effective_from <= now
    ]
    return [
        f"{gap}, in profile {profile.version}: use one of these, or add it to `watch` of a further version of the "
        "profile and apply that first (`rapport programs apply`)"
        for profile in (*began[-1:], *programme.profiles[len(began) :])
        for gap in unwatched(rule, profile.watch)
    ]


_PARTS: Mapping[str, Mapping[str, str]] = {
    "drop": {"window_days": "window", "regained": "regained", "settles_days": "settles"},
    "age": {"intervals": "intervals", "least_days": "least", "unmet_days": "unmet"},
    "shift": {"least_pairs": "least", "median_fall": "fall", "window_days": "window"},
}


def _fields(rule: Rule) -> frozenset[str]:
    """Return the fields that a change of this rule may name."""
    found = {"tiers", "keep_hours"}
    found |= {"clear_hours"} if rule.measure != "contact" else set()
    found |= {"clear"} if rule.measure not in {"contact", "drawdown"} else set()
    found |= {"min_points"} if rule.measure in {"health", "risk", "drawdown"} else set()
    for part, names in _PARTS.items():
        found |= names.keys() if getattr(rule, part) is not None else set()
    return frozenset(found)


def _tier(rule: Rule, tier: RuleTier) -> Tier:
    has_level = rule.measure != "contact"
    if has_level != (tier.level is not None):
        raise ValueError(f"{rule.name}: a tier {'needs a level' if has_level else 'has no level'}")
    return Tier(tier.level or 0, timedelta(hours=tier.for_hours), tier.urgency)


def _hours(given: float | None, default: timedelta) -> timedelta:
    return default if given is None else timedelta(hours=given)


def differing(before: Sequence[Rule], after: Sequence[Rule]) -> list[tuple[str, Rule | None, Rule | None]]:
    """Return the rules that differ between the versions, by name; None if the rule is off."""
    ours, theirs = ({rule.name: rule for rule in rules} for rules in (before, after))
    names = [name for name in DEFAULTS if name in ours or name in theirs]
    return [
        (name, ours.get(name), theirs.get(name))
        for name in names
        if _content(ours.get(name)) != _content(theirs.get(name))
    ]


def _content(rule: Rule | None) -> Rule | None:
    return None if rule is None else replace(rule, version="")
