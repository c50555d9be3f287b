"""A watched relationship, as it is stored between two rows of scores: its window, and the state of each rule."""

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
    """The row that decided last: the greatest position, then the latest instant."""

    position: int
    as_of: StoredInstant


@dataclass(frozen=True, slots=True)
class Watch:
    """`reached`: the latest decided instant; `shown`: the row that explains open and pending alerts, None while there
    are none; `anchors`: where folding starts after corrections; `handling` and `notes` by rule; `revised`: rows were
    corrected, and none has decided since; `catch_up`: history is arriving; `sources`: digests of the sources it depends
    on; `frozen`: one of them is silent; by rule, `heard`: the recipients of the last episode that anybody was notified
    of, and `muted`: the silence that has kept it from people; `calls`: open support requests, with the side that made
    each; `scored`: how its newest row was computed."""

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
        """The next deadline of all rules and handlings; None while history arrives, since half a history may set wrong
        deadlines. While a source is silent only support requests go on."""
        if self.catch_up is not None:
            return None
        if self.frozen is not None:
            return self.due_of(SUPPORT_REQUESTED.name) if SUPPORT_REQUESTED.name in self.rules else None
        # No generator, and no call for each rule: this runs several times for every row of every pair.
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
        """Drop the row once nothing needs explaining: it is most of the size of a state."""
        if self.shown is None or self.catch_up is not None or self.frozen is not None:
            return self
        for state in self.rules.values():
            if state.dues or state.condition in OPEN:
                return self
        return replace(self, shown=None)

    def with_window(self, window: Window, rules: Mapping[str, RuleState]) -> "Watch":
        """Return the watch with this window and these conditions."""
        # Positional: `replace` takes three times as long, for every row of every pair.
        w = self
        return Watch(
            w.subject,
            window,
            w.mark,
            w.reached,
            w.shown,
            rules,
            w.anchors,
            w.handling,
            w.notes,
            w.revised,
            w.catch_up,
            w.sources,
            w.frozen,
            w.heard,
            w.muted,
            w.calls,
            w.scored,
        )

    def is_decided_by(self, new: ScoreRow) -> bool:
        """Return whether the row is newer than the one that decided last; in mode heal: not below its position, nor
        overtaken."""
        last, mark = self.mark, LastDecision(new.position, new.as_of)
        if last is None or mark > last:
            return True
        if new.mode != "heal" or mark.position < last.position:
            return False
        # A heal first deletes later rows that should not exist. One that is left arrived since it began.
        return not any(row.values is not None and row.as_of > new.as_of for row in self.window)

    def due_of(self, rule: str) -> Instant | None:
        state, handling = self.rules[rule], self.handling.get(rule)
        expires = handling.until if handling is not None and state.condition in OPEN else None
        if not state.dues:
            return expires
        return state.dues[0].at if expires is None else min(state.dues[0].at, expires)
