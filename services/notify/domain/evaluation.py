"""Evaluates all rules of a watched relationship: scores and deadlines change conditions and make transitions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.primitives import Id, Instant
from schemas.rules import Rule
from schemas.scores import ScoreRow
from services.notify.domain.folding import Anchor, advance_anchor, fold_rule, is_corrected_away
from services.notify.domain.guards import Clock, late_reason, mark_rescored, scored_by, source_digests, update_catch_up
from services.notify.domain.handling import EXPIRED, UNTOUCHED, handling_after
from services.notify.domain.lifecycle import (
    AT_REST,
    ENDED,
    ERASED,
    OPEN,
    RuleState,
    Transition,
    apply_deadline,
    close_rule,
    evaluate,
    reconcile,
    remind,
    withdraw,
    without_idle,
)
from services.notify.domain.watch import Anchors, LastDecision, Watch
from services.notify.domain.window import MAX_ROWS, WINDOW, Window, extended_to, insert_row, trim, up_to, window_row

SWITCHED_OFF = "the rule is off"
NO_ANCHOR = Anchor()
MIN_CUT = 16
"""Rows that leave the window together: moving the anchors costs as much as a decision."""


class Transitioned(NamedTuple):
    """A transition, the row that explains it, and whether that row (not time alone) caused it."""

    watch: Watch
    transition: Transition
    shown: ScoreRow
    by_row: bool


@dataclass(frozen=True, slots=True)
class Evaluator:
    """The rules and the clock they run on. `off`: rules that are switched off and may have no open alert."""

    rules: tuple[Rule, ...]
    clock: Clock
    off: tuple[Rule, ...] = ()

    def evaluator_for(self, _tenant: Id, _program: Id, _at: Instant) -> "Evaluator":
        """Return the same rules for every programme and instant."""
        return self

    def is_history(self, row: ScoreRow) -> bool:
        return late_reason(row, self.clock) is not None

    def advance(self, watch: Watch, instant: Instant) -> tuple[Watch, list[Transitioned]]:
        """Apply deadlines at or before the instant, each at its own instant."""
        if watch.shown is None or watch.shown.score is None:
            return watch, []
        due = watch.due
        if due is None or due > instant:
            return watch, []
        return self._apply_deadlines(watch, instant, None, self.rules if watch.frozen is None else self._urgent)

    def correct(self, watch: Watch, new: ScoreRow) -> Watch:
        """Insert a corrected row of the past; it decides nothing by itself."""
        before = dict(watch.anchors)
        for rule in self.rules:
            anchor, state = before.get(rule.name, Anchor()), watch.rules.get(rule.name, RuleState())
            if anchor.at is not None and new.as_of <= anchor.at:
                # A sent transition stands; everything after it is evaluated again.
                is_open = state.condition in OPEN
                before[rule.name] = anchor if is_open else Anchor(anchor.stood, state.reset(), anchor.stood)
        window, anchors = self._insert_row(watch.window, before, new)
        # Inserting the same row again changes nothing.
        return watch if window == watch.window else replace(watch, window=window, anchors=anchors, revised=True)

    def apply_row(self, watch: Watch, new: ScoreRow, clock: Instant | None) -> tuple[Watch, list[Transitioned]]:
        """Decide, if the row is newer than the last deciding row (in mode heal: not below its position, nor overtaken).
        `clock`: up to which instant the deadlines of the partition have been applied."""
        mark = LastDecision(new.position, new.as_of)
        if not watch.is_decided_by(new):
            return self.correct(watch, new), []
        late = late_reason(new, self.clock)
        is_next = not watch.window or new.as_of >= watch.window[-1].as_of
        before: list[Transitioned] = []
        # 1. Apply earlier deadlines on the earlier rows, unless those were corrected.
        if late is None and is_next and not watch.revised:
            watch, before = self.advance(watch, new.as_of)
        # 2. Insert the row; it shows the relationship as it is now.
        now = max(new.as_of, watch.reached or new.as_of, clock or new.as_of)
        last, revised = max(mark, watch.mark or mark), watch.revised or not is_next
        watch = watch if is_next else self.correct(watch, new)
        window, anchors = self._trim_window(*self._insert_row(watch.window, watch.anchors, new))
        sources = watch.sources if new.score is None else source_digests(new.score.sources)
        # Positional: `replace` takes three times as long, for every row of every pair.
        watch = Watch(
            watch.subject,
            window,
            last,
            now,
            new,
            watch.rules,
            anchors,
            watch.handling,
            watch.notes,
            revised,
            watch.catch_up,
            sources,
            watch.frozen,
            watch.heard,
            watch.muted,
            watch.calls,
            # On the log's clock nothing is late.
            scored_by(watch.scored, new) if self.clock == "wall" else None,
        )
        if new.score is not None:
            watch, closing = self._close_switched_off(watch, now)
            before += closing
            if new.score.status == "ended":
                # Resolve open alerts at once; forget pending ones.
                states, ends = _close_rules(watch, self.rules, now, ENDED)
                watch = replace(watch, rules=without_idle(states), catch_up=None, revised=False)
                watch, closing = self._record_transitions(watch, ends, by_row=True)
                return watch, [*before, *closing]
        # 3. While history arrives, or a source is silent, decide urgent rules only.
        if late is not None or watch.catch_up is not None or watch.frozen is not None:
            watch = replace(watch, revised=True, catch_up=update_catch_up(watch.catch_up, new, now, late))
            if new.mode == "replay":
                return watch, before
            after, transitioned = self._evaluate_newest(watch, now, self._urgent)
            return after, [*before, *transitioned]
        # 4. Decide; a deadline that turns out to have passed takes effect now.
        if not revised:
            after, transitioned = self._evaluate_newest(watch, now, self.rules)
            return after, [*before, *transitioned]
        after, transitioned = self._fold(watch, now, None)
        after, closing = self.advance(after, now)
        return after, [*before, *transitioned, *closing]

    def remind(self, watch: Watch, rule: str, at: Instant, why: str) -> tuple[Watch, list[Transitioned]]:
        """Remind of an open alert, though nothing has changed."""
        found = next((one for one in self.rules if one.name == rule), None)
        state = watch.rules.get(rule)
        if found is None or state is None or state.condition not in OPEN or watch.shown is None:
            return watch, []
        after, transition = remind(found, state, max(at, watch.reached or at), why)
        after_it = replace(watch, rules={**watch.rules, rule: after})
        return after_it, [Transitioned(after_it, transition, watch.shown, by_row=False)]

    def erase(self, watch: Watch, at: Instant) -> tuple[Watch, list[Transitioned]]:
        """Close open alerts of an erased relationship."""
        states, ends = _close_rules(watch, (*self.rules, *self.off), at, ERASED)
        empty = Watch(watch.subject, rules=states, heard=watch.heard)
        nothing = ScoreRow(as_of=at, position=0, mode="live", deleted=True)
        return empty, [Transitioned(empty, end, nothing, by_row=False) for end in ends]

    def settle(self, watch: Watch, clock: Instant) -> tuple[Watch, list[Transitioned]]:
        """Evaluate the complete history: its result takes effect now."""
        if watch.catch_up is None:
            return watch, []
        if watch.frozen is not None:
            # It is evaluated when it thaws.
            return replace(watch, catch_up=None), []
        now = max(clock, watch.reached or clock)
        return self._fold(replace(watch, catch_up=None, reached=now), now, watch.catch_up.why)

    def thaw(self, watch: Watch, clock: Instant) -> tuple[Watch, list[Transitioned]]:
        """Unfreeze: no source it depends on is silent any more. What the rows say takes effect now, marked as late."""
        if watch.frozen is None:
            return watch, []
        why, watch = watch.frozen.reason, replace(watch, frozen=None)
        if watch.catch_up is not None or watch.shown is None:
            # A catching-up watch is evaluated once its history is complete; the other has nothing open or pending.
            return watch, []
        now = max(clock, watch.reached or clock)
        watch, found = self._fold(replace(watch, reached=now), now, why)
        if watch.shown is None or watch.shown.score is None:
            return watch, found
        # Remind of handling that has expired meanwhile.
        watch, reminders = self._apply_deadlines(watch, now, now, self.rules)
        return watch, [*found, *reminders]

    def _close_switched_off(self, watch: Watch, at: Instant) -> tuple[Watch, list[Transitioned]]:
        gone = [rule for rule in self.off if rule.name in watch.rules]
        if not gone:
            return watch, []
        states, ends = _close_rules(watch, gone, at, SWITCHED_OFF)
        return self._record_transitions(replace(watch, rules=without_idle(states)), ends, by_row=False)

    @property
    def _urgent(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.is_urgent)

    def _evaluate_newest(self, watch: Watch, now: Instant, rules: tuple[Rule, ...]) -> tuple[Watch, list[Transitioned]]:
        """Evaluate the newest row."""
        new = watch.shown
        assert new is not None, "a row has been reached"
        rows = up_to(watch.window, new.as_of) if new.score else ()
        before, states = watch.rules, dict[str, RuleState]()
        for rule in rules:
            state = before.get(rule.name, AT_REST)
            after = evaluate(rule, state, rows)
            # Most rows leave most rules unchanged.
            if after is not state:
                states[rule.name] = after
        if states:
            watch = watch.with_window(watch.window, without_idle({**before, **states}))
        return self._apply_deadlines(watch, now, now, rules) if new.score else (watch.drop_unused_row(), [])

    def _fold(self, watch: Watch, now: Instant, late: str | None) -> tuple[Watch, list[Transitioned]]:
        """Fold every rule anew from its anchor, after corrections."""
        states, transitions = dict(watch.rules), []
        for rule in self.rules:
            state = states.get(rule.name, RuleState())
            if watch.shown is None or watch.shown.score is None:
                # Without a score nothing fires or resolves.
                states[rule.name] = evaluate(rule, state, ())
                continue
            if is_corrected_away(rule, state, watch.window, now):
                found = fold_rule(rule, Anchor(), watch.window, now)
                states[rule.name], withdrawal = withdraw(rule, state, found, now, late)
                transitions.append(withdrawal)
                continue
            found = fold_rule(rule, watch.anchors.get(rule.name, Anchor()), watch.window, now)
            states[rule.name], transition = reconcile(rule, state, found, now, late)
            transitions += [transition] if transition else []
        watch = replace(watch, rules=without_idle(states), revised=False)
        return self._record_transitions(watch, transitions, by_row=True)

    def _apply_deadlines(
        self, watch: Watch, until: Instant, of_row: Instant | None, rules: tuple[Rule, ...]
    ) -> tuple[Watch, list[Transitioned]]:
        """Apply deadlines: at their own instants, or all at the instant of the row that caused them."""
        if watch.catch_up is None and ((soonest := watch.due) is None or soonest > until):
            return watch.drop_unused_row(), []
        transitions: list[Transition] = []
        # A rule newer than the restored state has no state yet.
        for rule in rules:
            state = watch.rules.get(rule.name)
            if state is None or not (state.dues or watch.handling):
                continue
            ended: Instant | None = None
            while (due := watch.due_of(rule.name)) is not None and due <= until:
                watch, transition = _apply_deadline(watch, rule, due, of_row or max(due, ended or due))
                transitions.append(transition)
                if transition.name == "resolved":
                    # It may begin anew with the row that ended it, without waiting for the next.
                    ended = transition.at
                    assert watch.shown is not None, "deadlines are of what a row explains"
                    rows = extended_to(up_to(watch.window, watch.shown.as_of), ended)
                    watch = watch.with_window(
                        watch.window, {**watch.rules, rule.name: evaluate(rule, watch.rules[rule.name], rows)}
                    )
        transitions.sort(key=lambda transition: transition.at)
        return self._record_transitions(watch, transitions, by_row=of_row is not None)

    def _record_transitions(
        self, watch: Watch, transitions: Sequence[Transition], *, by_row: bool
    ) -> tuple[Watch, list[Transitioned]]:
        """Make these transitions the anchors from which rules are folded."""
        if not transitions:
            return watch.drop_unused_row(), []
        scored = watch.scored
        if scored is not None and scored.since is not None:
            transitions = [mark_rescored(one, watch.window, scored) for one in transitions]
        shown, anchors = watch.shown, dict(watch.anchors)
        assert shown is not None, "a row explains what has come about"
        for transition in transitions:
            name = transition.rule.name
            anchors[name] = Anchor(transition.at, watch.rules[name], transition.at)
            if name in watch.handling:
                watch = watch.with_handling_of(name, handling_after(watch.handling[name], transition.name))
        watch = replace(watch, anchors=anchors)
        return watch.drop_unused_row(), [Transitioned(watch, transition, shown, by_row) for transition in transitions]

    def _insert_row(self, window: Window, anchors: Anchors, new: ScoreRow) -> tuple[Window, Anchors]:
        placed = insert_row(window, window_row(new))
        return self._drop_rows(window, anchors, placed) if len(window) == MAX_ROWS else (placed, anchors)

    def _trim_window(self, window: Window, anchors: Anchors) -> tuple[Window, Anchors]:
        # Wall time is no shorter than active time: most windows need no walk.
        if len(window) <= MIN_CUT or window[-1].as_of - window[MIN_CUT].as_of < WINDOW:
            return window, anchors
        remaining = trim(window)
        is_cut_small = len(window) - len(remaining) < MIN_CUT
        return (window, anchors) if is_cut_small else self._drop_rows(window, anchors, remaining)

    def _drop_rows(self, window: Window, anchors: Anchors, remaining: Window) -> tuple[Window, Anchors]:
        """Drop rows from the window, and move the anchors up to its new start."""
        found = ((rule, anchors.get(rule.name, NO_ANCHOR)) for rule in self.rules)
        moved = {rule.name: advance_anchor(rule, anchor, window, remaining) for rule, anchor in found}
        return remaining, {name: anchor for name, anchor in moved.items() if anchor is not NO_ANCHOR}


def _apply_deadline(watch: Watch, rule: Rule, due: Instant, at: Instant) -> tuple[Watch, Transition]:
    """Apply the next deadline of a rule, or of the handling of its alert."""
    state, handling = watch.rules[rule.name], watch.handling.get(rule.name, UNTOUCHED)
    if state.dues and state.dues[0].at == due:
        state, transition = apply_deadline(rule, state, at)
    else:
        state, transition = remind(rule, state, at, EXPIRED[handling.state])
    watch = replace(watch, rules={**watch.rules, rule.name: state})
    return watch.with_handling_of(rule.name, handling_after(handling, transition.name)), transition


def _close_rules(
    watch: Watch, rules: Sequence[Rule], at: Instant, why: str
) -> tuple[dict[str, RuleState], list[Transition]]:
    """Return the states of all rules after closing these, and the transitions that end open alerts."""
    states, ends = dict(watch.rules), list[Transition]()
    for rule in rules:
        states[rule.name], end = close_rule(rule, states.get(rule.name, RuleState()), at, why)
        ends += [end] if end else []
    return states, ends
