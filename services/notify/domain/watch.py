"""A subject under watch, as it is kept between two rows of scores: its window, and what is known of each rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from schemas.alerts import Handling
from schemas.primitives import Id, Instant, Side
from schemas.rules import SUPPORT_REQUESTED
from schemas.scores import ScoreRow
from services.notify.domain.folding import Anchor
from services.notify.domain.guards import CatchUp, Frozen, ScoredBy
from services.notify.domain.handling import with_handling
from services.notify.domain.ids import AlertSubject, Recipient
from services.notify.domain.lifecycle import OPEN, RuleState
from services.notify.domain.window import StoredInstant, Window

Anchors = Mapping[str, Anchor]


class LastDecision(NamedTuple):
    """Which row decided last: the greatest position, then the latest instant."""

    position: int
    as_of: StoredInstant


@dataclass(frozen=True, slots=True)
class Watch:
    """`reached`: the latest instant that was decided; `shown`: the row that explains what is open or coming, None while
    there is nothing; `anchors`: from where rules are folded when rows were corrected; `handling` and `notes`: who looks
    after an alert, and what was left for the next, by rule; `revised`: rows were corrected, and none has decided since;
    `catch_up`: history is being told; `sources`: digests of those it depends on; `frozen`: one of them is silent;
    `heard`: the destinations that were told of the last episode of which anybody was, and `muted`: the silence that has
    kept it from people, by rule; `calls`: the open requests for support, with the side that made each;
    `scored`: how its newest row was computed."""

    subject: AlertSubject
    window: Window = ()
    mark: LastDecision | None = None
    reached: StoredInstant | None = None
    shown: ScoreRow | None = None
    rules: Mapping[str, RuleState] = field(default_factory=dict)
    anchors: Anchors = field(default_factory=dict)
    handling: Mapping[str, Handling] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    revised: bool = False
    catch_up: CatchUp | None = None
    sources: tuple[str, ...] = ()
    frozen: Frozen | None = None
    heard: Mapping[str, tuple[Recipient, ...]] = field(default_factory=dict)
    muted: Mapping[str, str] = field(default_factory=dict)
    calls: Mapping[Id, Side] = field(default_factory=dict)
    scored: ScoredBy | None = None

    @property
    def due(self) -> Instant | None:
        """The next deadline of all rules, and of those who look after their alerts; none while history is told, of
        which a deadline may be the half. While a source is silent only a call for support goes on."""
        if self.catch_up is not None:
            return None
        if self.frozen is not None:
            return self.due_of(SUPPORT_REQUESTED.name) if SUPPORT_REQUESTED.name in self.rules else None
        # No generator, and no call for each rule: it is asked several times of every row of every pair.
        soonest: Instant | None = None
        for state in self.rules.values():
            if state.dues and (soonest is None or state.dues[0].at < soonest):
                soonest = state.dues[0].at
        for name in self.handling:
            due = self.due_of(name) if name in self.rules else None
            if due is not None and (soonest is None or due < soonest):
                soonest = due
        return soonest

    @property
    def is_open(self) -> bool:
        return any(state.condition in OPEN for state in self.rules.values())

    def with_handling_of(self, rule: str, handling: Handling) -> "Watch":
        return replace(self, handling=with_handling(self.handling, rule, handling))

    def drop_unused_row(self) -> "Watch":
        """Without the row that nothing will be explained by: it is most of the size of a state."""
        if self.shown is None or self.catch_up is not None or self.frozen is not None:
            return self
        for state in self.rules.values():
            if state.dues or state.condition in OPEN:
                return self
        return replace(self, shown=None)

    def with_window(self, window: Window, rules: Mapping[str, RuleState]) -> "Watch":
        """With this window and these conditions."""
        # By place: `replace` takes three times as long, for every row of every pair.
        one = self
        return Watch(
            one.subject,
            window,
            one.mark,
            one.reached,
            one.shown,
            rules,
            one.anchors,
            one.handling,
            one.notes,
            one.revised,
            one.catch_up,
            one.sources,
            one.frozen,
            one.heard,
            one.muted,
            one.calls,
            one.scored,
        )

    def is_decided_by(self, new: ScoreRow) -> bool:
        """Whether the row is above the one that decided last; in mode heal: not below its position, nor overtaken."""
        last, mark = self.mark, LastDecision(new.position, new.as_of)
        if last is None or mark > last:
            return True
        if new.mode != "heal" or mark.position < last.position:
            return False
        # Rows beyond its own that should not have been, a heal deletes first. One that stands was told since it began.
        return not any(row.values is not None and row.as_of > new.as_of for row in self.window)

    def due_of(self, rule: str) -> Instant | None:
        state, handling = self.rules[rule], self.handling.get(rule)
        expires = handling.until if handling is not None and state.condition in OPEN else None
        if not state.dues:
            return expires
        return state.dues[0].at if expires is None else min(state.dues[0].at, expires)
