"""The latest episode of a rule on a subject, as its state says it, and the same as an alert with the values of now."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

from schemas.alerts import Alert, Handling
from schemas.primitives import Instant
from schemas.rule_words import fired
from schemas.rules import Rule
from services.notify.domain.decisions import alert_changed
from services.notify.domain.evaluation import Transitioned
from services.notify.domain.handling import UNTOUCHED
from services.notify.domain.ids import alert_key, dedup_key
from services.notify.domain.lifecycle import OPEN, RuleState, Transition
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch


@dataclass(frozen=True, eq=False)
class AlertEpisode:
    """Its keys are digests: they are made once."""

    watch: Watch | SubjectWatch
    rule: str
    state: RuleState

    @cached_property
    def alert_key(self) -> str:
        return alert_key(self.watch.subject, self.rule)

    @cached_property
    def dedup_key(self) -> str:
        return dedup_key(self.alert_key, self.state.episode)

    @property
    def handling(self) -> Handling:
        return self.watch.handling.get(self.rule, UNTOUCHED)

    @property
    def note(self) -> str:
        return self.watch.notes.get(self.rule, "")

    @property
    def is_open(self) -> bool:
        return self.state.condition in OPEN


class _CachedAlert(NamedTuple):
    rule: Rule | None
    last: Alert | None
    alert: Alert | None


class CurrentAlerts:
    """`current_alert`, kept until what it rests on is another: of the alerts on a page most are what they were. Nothing is
    kept of an alert that nobody holds any more."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[AlertEpisode, _CachedAlert] = WeakKeyDictionary()

    def of(self, known: AlertEpisode, rules: Mapping[str, Rule], last: Alert | None) -> Alert | None:
        kept, rule = self._kept.get(known), rules.get(known.rule)
        if kept is None or kept.rule is not rule or kept.last is not last:
            kept = self._kept[known] = _CachedAlert(rule, last, current_alert(known, rules, last))
        return kept.alert


def episodes_of(watch: Watch | SubjectWatch) -> list[AlertEpisode]:
    """Those that have ever fired."""
    return [AlertEpisode(watch, rule, state) for rule, state in watch.rules.items() if state.episode]


def current_alert(
    known: AlertEpisode, rules: Mapping[str, Rule], last: Alert | None, decided_at: Instant | None = None
) -> Alert | None:
    """What is open, explained by the newest row; else as it was told `last`; None where neither is known. `decided_at`:
    since when people know, where `last` does not say it."""
    watch, state, rule = known.watch, known.state, rules.get(known.rule)
    is_told = last is not None and last.dedup_key == known.dedup_key
    # What is told of a programme or a source is not measured by rows.
    shown = watch.shown if isinstance(watch, Watch) else None
    if (
        not known.is_open
        or isinstance(watch, SubjectWatch)
        or rule is None
        or shown is None
        or shown.score is None
        or state.since is None
    ):
        return last if is_told else None
    tier = next((tier for tier in rule.tiers if tier.urgency == state.urgency), rule.tiers[-1])
    why = last.why if last is not None and is_told else fired(rule, tier)
    turn = Transition(rule, "fired", max(shown.as_of, watch.reached or shown.as_of), state, why)
    since = last.decided_at if last is not None and is_told else decided_at or state.since
    return alert_changed(Transitioned(watch, turn, shown, by_row=False), since).data
