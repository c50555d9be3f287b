"""The latest episode of a rule on a subject, as stored, and the same as an alert with current values."""

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
    """An episode whose keys are digests and computed once."""

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
    """Caches `current_alert` until its inputs change: most alerts on a page are unchanged. The cache entry goes with
    its episode."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[AlertEpisode, _CachedAlert] = WeakKeyDictionary()

    def of(self, episode: AlertEpisode, rules: Mapping[str, Rule], last: Alert | None) -> Alert | None:
        kept, rule = self._kept.get(episode), rules.get(episode.rule)
        if kept is None or kept.rule is not rule or kept.last is not last:
            kept = self._kept[episode] = _CachedAlert(rule, last, current_alert(episode, rules, last))
        return kept.alert


def episodes_of(watch: Watch | SubjectWatch) -> list[AlertEpisode]:
    """Return the episodes of all rules that have ever fired."""
    return [AlertEpisode(watch, rule, state) for rule, state in watch.rules.items() if state.episode]


def current_alert(
    episode: AlertEpisode, rules: Mapping[str, Rule], last: Alert | None, decided_at: Instant | None = None
) -> Alert | None:
    """Return an open alert explained by the newest row; else as it was `last` sent; None where neither is known.
    `decided_at`: the time of the decision, where `last` does not have it."""
    watch, state, rule = episode.watch, episode.state, rules.get(episode.rule)
    is_same_episode = last is not None and last.dedup_key == episode.dedup_key
    # Alerts of a programme or a source have no row.
    shown = watch.shown if isinstance(watch, Watch) else None
    if (
        not episode.is_open
        or isinstance(watch, SubjectWatch)
        or rule is None
        or shown is None
        or shown.score is None
        or state.since is None
    ):
        return last if is_same_episode else None
    tier = next((tier for tier in rule.tiers if tier.urgency == state.urgency), rule.tiers[-1])
    why = last.why if last is not None and is_same_episode else fired(rule, tier)
    transition = Transition(rule, "fired", max(shown.as_of, watch.reached or shown.as_of), state, why)
    since = last.decided_at if last is not None and is_same_episode else decided_at or state.since
    return alert_changed(Transitioned(watch, transition, shown, by_row=False), since).data
