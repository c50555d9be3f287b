"""Facts: what an event permanently leaves behind. They form a set that merges in any order and with any repeats."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain.bounds import HOUR, MINUTE, NONE, UNSET, millionths
from services.scoring.domain.kinds import BOTH, EVIDENCE, GOALS, LATE, PLAIN, SLOTS, FactKind, slots_of

LATE_NOTICE_HOURS = 24
"""A cancellation with less notice counts as late: the other side's day was already planned."""
SMART_UNKNOWN = -1
FIT = {"not_good": 0, "undecided": 1, "good": 2}
IMMEDIATE = 1
_RATING = 4
"""Steps of the scale 1 to 5."""


class Content(NamedTuple):
    """`slot` selects the fact's group besides its kind. `first` and `second` are times (or the cadence in
    microseconds). `ref` identifies a session, a pause or a request, 0 for none. `value`: millionths of a rating's or a
    progress's scale; the number of true SMART flags; fit; priority."""

    slot: int = PLAIN
    first: int = UNSET
    second: int = UNSET
    ref: int = 0
    value: int = 0
    name: str = ""


def reference(name: str) -> int:
    """Hash a session, goal, pause or request id to a number in [1, 2^63)."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1 | 1


class Key(NamedTuple):
    """The identity of a fact; its order is the order of facts. `uid` is a hash of source and id."""

    time: int
    kind: int
    uid: bytes
    slot: int


class Fact(NamedTuple):
    """`position` on the log decides between copies; NONE: only a retraction mark has arrived so far. The other fields
    come from the event (Content); `name` is kept where people read it."""

    position: int
    marked: bool
    first: int = UNSET
    second: int = UNSET
    ref: int = 0
    value: int = 0
    evidence: int = 0
    source: str = ""
    name: str = ""

    @property
    def stands(self) -> bool:
        return self.position != NONE and not self.marked


Facts = Mapping[Key, Fact]


def facts_of(event: OfRelationship, position: int) -> Facts:
    """The fact that an event states, or the mark it sets on another fact; empty if the event does not affect a
    score."""
    data, source, reader = event.data, event.source, _READERS_BY_TYPE.get(event.type)
    if reader is None:
        return _mark(data) if isinstance(data, p.EventRetracted) else {}
    kind, read = reader
    content = read(data)
    if content is None:
        return {}
    slot, first, second, ref, value, name = content
    key = Key(to_micros(event.time), kind, uid(source, event.id), slot)
    evidence = EVIDENCE[data.evidence]
    # Few sources report many facts: interning keeps one string per source in memory.
    return {key: Fact(position, False, first, second, ref, value, evidence, intern(source), name)}  # noqa: FBT003


def _paused(data: p.RelationshipPaused) -> Content:
    first, second = (UNSET if moment is None else to_micros(moment) for moment in (data.from_, data.until))
    return Content(PLAIN, first, second, reference(data.pause_id))


def _scheduled(data: p.SessionScheduled) -> Content:
    return Content(PLAIN, to_micros(data.starts_at), to_micros(data.ends_at), reference(data.session_id))


def _held(data: p.SessionHeld) -> Content:
    begin = to_micros(data.started_at)
    return Content(PLAIN, begin, begin + round((data.minutes or 0) * MINUTE), reference(data.session_id))


def _cancelled(data: p.SessionCancelled) -> Content:
    hours = data.notice_hours
    return Content(PLAIN if hours is None or hours >= LATE_NOTICE_HOURS else LATE, ref=reference(data.session_id))


def _goal_set(data: p.GoalSet) -> Content:
    smart = data.smart
    return Content(reference(data.goal_id), value=SMART_UNKNOWN if smart is None else sum(flag for _, flag in smart))


def _rated(by: str, share: float) -> Content:
    return Content(SLOTS[by], value=millionths(share))


_OF_SIDE = {side: Content(SLOTS[side]) for side in ("mentor", "mentee")}
# A table: testing a payload against every class in turn takes as long as storing all its facts.
_READERS: Mapping[str, tuple[FactKind, Callable[[Any], Content | None]]] = {
    "relationship.started": (
        FactKind.STARTED,
        lambda d: Content(first=UNSET if d.cadence_days is None else round(d.cadence_days * 24 * HOUR)),
    ),
    "relationship.paused": (FactKind.PAUSED, _paused),
    "relationship.resumed": (
        FactKind.RESUMED,
        lambda d: Content(ref=0 if d.pause_id is None else reference(d.pause_id)),
    ),
    "relationship.ended": (FactKind.ENDED, lambda _: Content()),
    "session.scheduled": (FactKind.SCHEDULED, _scheduled),
    "session.rescheduled": (FactKind.RESCHEDULED, _scheduled),
    "session.cancelled": (FactKind.CANCELLED, _cancelled),
    "session.held": (FactKind.HELD, _held),
    "session.missed": (FactKind.MISSED, lambda d: Content(SLOTS[d.absent], ref=reference(d.session_id))),
    "message.sent": (FactKind.MESSAGE, lambda d: _OF_SIDE[d.by]),
    "relationship.erased": (FactKind.ERASED, lambda _: Content()),
    "goal.set": (FactKind.GOAL_SET, _goal_set),
    "goal.revised": (FactKind.GOAL_REVISED, _goal_set),
    "goal.progressed": (
        FactKind.GOAL_PROGRESSED,
        lambda d: Content(reference(d.goal_id), value=millionths(d.percent / 100)),
    ),
    "goal.achieved": (FactKind.GOAL_ACHIEVED, lambda d: Content(reference(d.goal_id))),
    "goal.missed": (FactKind.GOAL_MISSED, lambda d: Content(reference(d.goal_id))),
    "goal.abandoned": (FactKind.GOAL_ABANDONED, lambda d: Content(reference(d.goal_id))),
    "milestone.celebrated": (FactKind.CELEBRATED, lambda d: Content(SLOTS.get(d.by, BOTH))),
    "feedback.given": (
        FactKind.FEEDBACK,
        lambda d: _rated(d.by, (d.rating - d.scale_min) / (d.scale_max - d.scale_min)),
    ),
    # Without a rating there is nothing to score.
    "checkin.answered": (
        FactKind.CHECKIN,
        lambda d: None if d.rating is None else _rated(d.by, (d.rating - 1) / _RATING),
    ),
    "fit.rated": (FactKind.FIT, lambda d: Content(SLOTS[d.by], value=FIT[d.fit])),
    # Well-being is asked of mentees.
    "pulse.answered": (FactKind.PULSE, lambda d: None if d.by == "mentor" else _rated(d.by, (d.rating - 1) / _RATING)),
    "reflection.recorded": (FactKind.REFLECTION, lambda d: _OF_SIDE[d.by]),
    "skill.assessed": (FactKind.SKILL, lambda d: _OF_SIDE[d.by]),
    "introduction.made": (FactKind.INTRODUCTION, lambda d: _OF_SIDE[d.by]),
    "resource.shared": (FactKind.RESOURCE, lambda d: _OF_SIDE[d.by]),
    "support.requested": (
        FactKind.REQUESTED,
        lambda d: Content(
            ref=reference(d.request_id), value=IMMEDIATE if d.priority == "immediate" else 0, name=d.request_id
        ),
    ),
    "support.resolved": (FactKind.RESOLVED, lambda d: Content(ref=reference(d.request_id))),
    "relationship.expectations_agreed": (FactKind.AGREED, lambda _: Content()),
    "preparation.completed": (FactKind.PREPARED, lambda d: _OF_SIDE[d.by]),
}
"""By event name: the fact kind and the reader of its payload. A reader returns None if the event is no fact."""
_READERS_BY_TYPE = {f"mentoring.{name}.v1": (kind.value, read) for name, (kind, read) in _READERS.items()}
KIND_OF_TYPE: Mapping[str, FactKind] = {f"mentoring.{name}.v1": kind for name, (kind, _) in _READERS.items()}
CAUSE_OF_KIND: Mapping[int, str] = {kind.value: name for name, (kind, _) in _READERS.items()}


def uid(source: str, event_id: str) -> bytes:
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def merged(ours: Facts, theirs: Facts) -> dict[Key, Fact]:
    """The union. Of two copies, the first on the log stays, whatever the other contains; marks are never lost."""
    out = dict(ours.items())
    merge_into(out, theirs)
    return out


def merge_into(existing: dict[Key, Fact], facts: Facts) -> None:
    """As merged, in place, for folding a long log."""
    for key, fact in facts.items():
        copy = existing.get(key)
        existing[key] = fact if copy is None else _earliest_copy(copy, fact)


def adds_nothing(existing: Facts, facts: Facts) -> bool:
    """Whether every fact is a copy of an existing one that stays unchanged."""
    return all(key in existing and _earliest_copy(existing[key], fact) == existing[key] for key, fact in facts.items())


def _earliest_copy(a: Fact, b: Fact) -> Fact:
    keep = b if a.position == NONE or NONE < b.position < a.position else a
    return keep._replace(marked=a.marked or b.marked)


def _mark(target: p.EventRetracted) -> Facts:
    """A mark on a fact. Events that are no facts cannot be marked, and an erasure is permanent."""
    kind = KIND_OF_TYPE.get(target.type)
    if kind is None or kind == FactKind.ERASED:
        return {}
    slot = reference(target.slot) if kind in GOALS else SLOTS.get(target.slot)
    if slot is None or (kind not in GOALS and slot not in slots_of(kind)):
        return {}
    return {Key(to_micros(target.time), kind.value, uid(target.source, target.id), slot): Fact(NONE, marked=True)}


@dataclass
class FullHistory:
    """All facts of a relationship, added in log order. `position` is the greatest position of its facts, as in its
    state; `program` is the programme of the first one."""

    program: str = ""
    position: int = NONE
    facts: dict[Key, Fact] = field(default_factory=dict)

    def add(self, event: OfRelationship, position: int) -> None:
        facts = facts_of(event, position)
        if not facts:
            return
        if self.position == NONE:
            self.program = event.program
        self.position = position
        merge_into(self.facts, facts)
