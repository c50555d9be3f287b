"""One relationship under watch: its window, the conditions of all rules, and what a score or time makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from schemas.primitives import Id, Instant
from schemas.scores import ScoreRow
from services.notify.domain.guards import Clock, muted, muted_later
from services.notify.domain.lifecycle import RuleState, Transition, closed, judged, turned
from services.notify.domain.rules import Rule
from services.notify.domain.window import Window, replaced, row, trimmed, up_to


class Mark(NamedTuple):
    """Which row decided last: the greatest position, then the latest instant."""

    position: int
    as_of: Instant


@dataclass(frozen=True, slots=True)
class Watch:
    """`reached`: the latest instant that was decided; `shown`: the row that explains what a coming deadline brings
    about, None while there is none."""

    tenant: Id
    relationship: Id
    program: Id
    window: Window = ()
    mark: Mark | None = None
    reached: Instant | None = None
    shown: ScoreRow | None = None
    rules: Mapping[str, RuleState] = field(default_factory=dict)

    @property
    def due(self) -> Instant | None:
        """The next deadline of all rules."""
        return min((state.dues[0].at for state in self.rules.values() if state.dues), default=None)


class Transitioned(NamedTuple):
    """A transition, the row that explains it, and whether that row (not only time) brought it about."""

    watch: Watch
    transition: Transition
    shown: ScoreRow
    by_row: bool


class _Effect(NamedTuple):
    """How deadlines take effect: at their own instants, or all at the instant of the row that brought them about;
    and why nobody hears of it, if so."""

    shown: ScoreRow
    of_row: Instant | None
    muted: str | None


@dataclass(frozen=True, slots=True)
class Evaluator:
    """The rules, and whose clock they live by."""

    rules: tuple[Rule, ...]
    clock: Clock

    def until(self, watch: Watch, instant: Instant) -> tuple[Watch, list[Transitioned]]:
        """Deadlines at or before the instant take effect, each at its own."""
        if watch.shown is None:
            return watch, []
        return self._turn(watch, instant, _Effect(watch.shown, None, muted_later(watch.shown, self.clock)))

    def corrected(self, watch: Watch, new: ScoreRow) -> Watch:
        """A row of the past takes its place; it decides nothing."""
        return replace(watch, window=replaced(watch.window, row(new)))

    def changed(self, watch: Watch, new: ScoreRow, clock: Instant | None) -> tuple[Watch, list[Transitioned]]:
        """Decides, if the row is above the one that decided last (in mode heal: not below its position, nor overtaken).
        `clock`: up to which instant the partition's deadlines have taken effect."""
        mark = Mark(new.position, new.as_of)
        if not _decides(watch, mark, new):
            return self.corrected(watch, new), []
        # 1. What was due before takes effect on what was known before.
        watch, before = self.until(watch, new.as_of)
        # 2. The row takes its place and shows the pair as it is now.
        now = max(new.as_of, watch.reached or new.as_of, clock or new.as_of)
        window, last = trimmed(replaced(watch.window, row(new))), max(mark, watch.mark or mark)
        watch, ends = self._judge(replace(watch, window=window, mark=last, reached=now, shown=new))
        # 3. Past transitions stand: a deadline that turns out to be over takes effect now.
        watch, after = self._turn(watch, now, _Effect(new, now, muted(new, self.clock)))
        return watch, [*before, *ends, *after]

    def _judge(self, watch: Watch) -> tuple[Watch, list[Transitioned]]:
        new = watch.shown
        assert new is not None and watch.reached is not None, "a row has been reached"  # noqa: PT018
        states, transitioned = dict(watch.rules), []
        rows = up_to(watch.window, new.as_of) if new.score else ()
        ended = new.score is not None and new.score.status == "ended"
        for rule in self.rules:
            state = states.get(rule.name, RuleState())
            if not ended:
                states[rule.name] = judged(rule, state, rows)
                continue
            states[rule.name], end = closed(rule, state, watch.reached)
            transitioned += [Transitioned(watch, end, new, by_row=True)] if end else []
        return _explained(replace(watch, rules=states)), transitioned

    def _turn(self, watch: Watch, until: Instant, effect: _Effect) -> tuple[Watch, list[Transitioned]]:
        if watch.due is None or watch.due > until:
            return watch, []
        states, transitions = dict(watch.rules), []
        # A rule that is newer than the state that was restored has none yet.
        for rule in (rule for rule in self.rules if rule.name in states):
            while (dues := states[rule.name].dues) and dues[0].at <= until:
                states[rule.name], turn = turned(rule, states[rule.name], effect.of_row or dues[0].at, effect.muted)
                transitions.append(turn)
        watch = replace(watch, rules=states)
        by_row = effect.of_row is not None
        in_order = sorted(transitions, key=lambda turn: turn.at)
        return _explained(watch), [Transitioned(watch, turn, effect.shown, by_row) for turn in in_order]


def _explained(watch: Watch) -> Watch:
    """Without the row that nothing will be explained by: it is most of the size of a state."""
    return watch if watch.due is not None else replace(watch, shown=None)


def _decides(watch: Watch, mark: Mark, new: ScoreRow) -> bool:
    last = watch.mark
    if last is None or mark > last:
        return True
    return new.mode == "heal" and mark.position >= last.position and not _is_overtaken(watch, new)


def _is_overtaken(watch: Watch, new: ScoreRow) -> bool:
    """Rows beyond its own that should not have been, a heal deletes first. One that stands was told since it began."""
    return any(row.values is not None and row.as_of > new.as_of for row in watch.window)
