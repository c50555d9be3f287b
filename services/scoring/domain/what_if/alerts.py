"""When a rule would have alerted on a history: as notify judges rows, had everything been known in time."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from schemas.primitives import Instant
from schemas.programs import WatchLevels
from schemas.rules import Measure, Rule
from services.scoring.domain.bounds import ONE
from services.scoring.domain.row import HistoryRow

MICROSECOND = timedelta(microseconds=1)


class RuleNumbers(NamedTuple):
    """What a rule of levels looks at; no other is tried, so the rest says nothing."""

    health: float
    risk: float
    confidence: float
    silent_from: Instant | None = None
    interval_days: float = 0.0
    booked: bool = False
    support: bool = False


class TrialAlert(NamedTuple):
    """`resolved` None: it was still open at the end."""

    fired: int
    resolved: int | None


def alerts(rule: Rule, rows: Mapping[int, HistoryRow], until: int) -> list[TrialAlert]:
    """From all rows of a relationship, in order, up to `until`."""
    watch = _Watch(rule)
    for at, row in rows.items():
        watch.pass_until(at)
        watch.see(at, row)
    watch.pass_until(until)
    return watch.found


def watching(rules: tuple[Rule, ...], watch: WatchLevels) -> WatchLevels:
    """With the levels of the rules: a crossing is an instant of its own, so that alerts come to the second."""
    levels: dict[Measure, set[float]] = {"health": set(watch.health), "risk": set(watch.risk)}
    for rule in rules:
        levels[rule.measure].update(rule.levels)
    return WatchLevels(health=tuple(sorted(levels["health"])), risk=tuple(sorted(levels["risk"])))


class _Run(NamedTuple):
    """Something has held up to the row at `at`, for `active` microseconds that were not paused."""

    active: int
    at: int
    paused: bool

    def due(self, hold: timedelta) -> int | None:
        """When it will have held for so long; None while paused: then nobody knows."""
        return None if self.paused else self.at + hold // MICROSECOND - self.active


class _Watch:
    """One rule of one relationship as time passes. No row can both fire and clear: one deadline stands at a time."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._bad: list[_Run | None] = [None for _ in rule.tiers]
        self._clear: _Run | None = None
        self.found: list[TrialAlert] = []

    def pass_until(self, instant: int) -> None:
        """The deadline takes effect, if it lies no later."""
        due = self._due()
        if due is not None and due <= instant:
            self._resolve(due) if self._is_open() else self.found.append(TrialAlert(due, None))

    def see(self, at: int, row: HistoryRow) -> None:
        if row.status == "ended":
            self._bad, self._clear = [None for _ in self._bad], None
            if self._is_open():
                self._resolve(at)
            return
        score, rule = row.evaluation, self._rule
        now = RuleNumbers(score.health / ONE, score.risk / ONE, score.confidence / ONE)
        self._bad = [
            _continued(run, at, row) if rule.reaches(now, tier.level) else None
            for run, tier in zip(self._bad, rule.tiers, strict=True)
        ]
        self._clear = _continued(self._clear, at, row) if rule.clears(now, None) else None

    def _due(self) -> int | None:
        if self._is_open():
            return self._clear.due(self._rule.clear_hold) if self._clear else None
        dues = (run.due(tier.hold) for run, tier in zip(self._bad, self._rule.tiers, strict=True) if run)
        return min((due for due in dues if due is not None), default=None)

    def _is_open(self) -> bool:
        return bool(self.found) and self.found[-1].resolved is None

    def _resolve(self, at: int) -> None:
        self.found[-1] = self.found[-1]._replace(resolved=at)


def _continued(run: _Run | None, at: int, row: HistoryRow) -> _Run:
    paused = row.status == "paused"
    if run is None:
        return _Run(0, at, paused)
    return _Run(run.active + (0 if run.paused else at - run.at), at, paused)
