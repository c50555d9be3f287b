"""When a rule would have alerted on a history: as notify judges rows, had everything been known in time."""

from collections.abc import Mapping
from typing import NamedTuple

from services.scoring.domain.row import Row
from services.scoring.domain.what_if.rules import AlertRule


class Alert(NamedTuple):
    """`resolved` None: it was still open at the end."""

    fired: int
    resolved: int | None


def alerts(rule: AlertRule, rows: Mapping[int, Row], until: int) -> list[Alert]:
    """From all rows of a relationship, in order, up to `until`."""
    watch = _Watch(rule)
    for at, row in rows.items():
        watch.pass_until(at)
        watch.see(at, row)
    watch.pass_until(until)
    return watch.found


class _Run(NamedTuple):
    """Something has held up to the row at `at`, for `active` microseconds that were not paused."""

    active: int
    at: int
    paused: bool

    def due(self, hold: int) -> int | None:
        """When it will have held for so long; None while paused: then nobody knows."""
        return None if self.paused else self.at + hold - self.active


class _Watch:
    """One rule of one relationship as time passes. No row can both fire and clear: one deadline stands at a time."""

    def __init__(self, rule: AlertRule) -> None:
        self._rule = rule
        self._bad: list[_Run | None] = [None for _ in rule.fires]
        self._clear: _Run | None = None
        self.found: list[Alert] = []

    def pass_until(self, instant: int) -> None:
        """The deadline takes effect, if it lies no later."""
        due = self._due()
        if due is not None and due <= instant:
            self._resolve(due) if self._is_open() else self.found.append(Alert(due, None))

    def see(self, at: int, row: Row) -> None:
        if row.status == "ended":
            self._bad, self._clear = [None for _ in self._bad], None
            if self._is_open():
                self._resolve(at)
            return
        now, rule = row.evaluation, self._rule
        self._bad = [
            _continued(run, at, row) if rule.reaches(now, tier.level) else None
            for run, tier in zip(self._bad, rule.fires, strict=True)
        ]
        self._clear = _continued(self._clear, at, row) if rule.is_clear(now) else None

    def _due(self) -> int | None:
        if self._is_open():
            return self._clear.due(self._rule.clears.hold) if self._clear else None
        dues = (run.due(tier.hold) for run, tier in zip(self._bad, self._rule.fires, strict=True) if run)
        return min((due for due in dues if due is not None), default=None)

    def _is_open(self) -> bool:
        return bool(self.found) and self.found[-1].resolved is None

    def _resolve(self, at: int) -> None:
        self.found[-1] = self.found[-1]._replace(resolved=at)


def _continued(run: _Run | None, at: int, row: Row) -> _Run:
    paused = row.status == "paused"
    if run is None:
        return _Run(0, at, paused)
    return _Run(run.active + (0 if run.paused else at - run.at), at, paused)
