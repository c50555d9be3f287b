"""Facts: what an event leaves behind for ever. They form a set that merges in any order, with any repeats."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain.bounds import HOUR, MINUTE, NONE, ONE, UNSET, millionths
from services.scoring.domain.kinds import BOTH, EVIDENCE, GOALS, KIND_OF_TYPE, LATE, PLAIN, SLOTS, FactKind, slots_of

LATE_NOTICE_HOURS = 24
"""A cancellation with less notice is late: the other's day was already planned."""
SMART_UNKNOWN = -1
FIT = {"not_good": 0, "undecided": 1, "good": 2}
IMMEDIATE = 1
_RATING = 4
"""Steps of the scale 1 to 5."""


class Content(NamedTuple):
    """`first` and `second` are times (or the cadence in microseconds), `ref` names a session, a pause or a request,
    0 none. `value`: millionths of a rating's or a progress's scale; SMART flags that are true; fit; priority."""

    first: int = UNSET
    second: int = UNSET
    ref: int = 0
    value: int = 0
    name: str = ""


def slot_of(data: p.Payload) -> int | None:
    """What chooses the fact's group besides its kind; None: such an event is no fact."""
    match data:
        case p.PulseAnswered(by="mentor") | p.CheckinAnswered(rating=None):
            return None  # Well-being is asked of mentees; a check-in without a rating says nothing a score could read.
        case p.GoalChanged(goal_id=goal_id):
            return reference(goal_id)
        case p.SessionMissed(absent=side):
            return SLOTS[side]
        case p.SessionCancelled(notice_hours=hours):
            return PLAIN if hours is None or hours >= LATE_NOTICE_HOURS else LATE
        case p.MilestoneCelebrated(by=actor):
            return SLOTS.get(actor, BOTH)
        case p.OneSided(by=side):
            return SLOTS[side]
        case _:
            return PLAIN


def content_of(data: p.Payload) -> Content:  # noqa: C901, PLR0911, PLR0912 (one case per payload)
    match data:
        case p.RelationshipStarted(cadence_days=days):
            return Content(first=UNSET if days is None else round(days * 24 * HOUR))
        case p.RelationshipPaused(pause_id=pause_id):
            return Content(_micros(data.from_), _micros(data.until), reference(pause_id))
        case p.RelationshipResumed(pause_id=pause_id):
            return Content(ref=0 if pause_id is None else reference(pause_id))
        case p.SessionScheduled(session_id=session_id, starts_at=start, ends_at=end):
            return Content(to_micros(start), to_micros(end), reference(session_id))
        case p.SessionHeld(session_id=session_id):
            begin = to_micros(data.started_at)
            return Content(begin, begin + round((data.minutes or 0) * MINUTE), reference(session_id))
        case p.SessionMissed(session_id=session_id) | p.SessionCancelled(session_id=session_id):
            return Content(ref=reference(session_id))
        case p.GoalSet(smart=smart):
            return Content(value=SMART_UNKNOWN if smart is None else sum(flag for _, flag in smart))
        case p.GoalProgressed(percent=percent):
            return Content(value=millionths(percent / 100))
        case p.FeedbackGiven(rating=rating, scale_min=low, scale_max=high):
            return Content(value=millionths((rating - low) / (high - low)))
        case p.CheckinAnswered(rating=rating) if rating is not None:
            return Content(value=(rating - 1) * ONE // _RATING)
        case p.PulseAnswered(rating=rating):
            return Content(value=(rating - 1) * ONE // _RATING)
        case p.FitRated(fit=fit):
            return Content(value=FIT[fit])
        case p.SupportRequested(request_id=name, priority=priority):
            return Content(ref=reference(name), value=IMMEDIATE if priority == "immediate" else 0, name=name)
        case p.SupportResolved(request_id=name):
            return Content(ref=reference(name))
        case _:
            return Content()


def reference(name: str) -> int:
    """A session, goal, pause or request id as a number in [1, 2^63)."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1 | 1


def _micros(moment: datetime | None) -> int:
    return UNSET if moment is None else to_micros(moment)


class Key(NamedTuple):
    """The identity of a fact; its order is the order of facts. `uid` is a hash of source and id."""

    time: int
    kind: int
    uid: bytes
    slot: int


class Fact(NamedTuple):
    """What is known of a fact. `position` on the log decides between copies; NONE: only its mark has come so far.
    The rest is what its event said (Content); `name` is kept where people have to read it."""

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
    """The fact an event states, or the mark it sets on another; nothing if it is none to a score."""
    if isinstance(event.data, p.EventRetracted):
        return _mark(event.data)
    kind, slot = KIND_OF_TYPE.get(event.type), slot_of(event.data)
    if kind is None or slot is None:
        return {}
    key = Key(to_micros(event.time), kind.value, uid(event.source, event.id), slot)
    first, second, ref, value, name = content_of(event.data)
    evidence = EVIDENCE[event.data.evidence]
    return {key: Fact(position, False, first, second, ref, value, evidence, event.source, name)}  # noqa: FBT003


def uid(source: str, event_id: str) -> bytes:
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def merged(ours: Facts, theirs: Facts) -> dict[Key, Fact]:
    """The union. Of two copies the one first on the log stays, whatever the other says; marks are never lost."""
    out = dict(ours.items())
    merge_into(out, theirs)
    return out


def merge_into(known: dict[Key, Fact], facts: Facts) -> None:
    """The same in place, for folding a long log."""
    for key, fact in facts.items():
        copy = known.get(key)
        known[key] = fact if copy is None else _first(copy, fact)


def adds_nothing(known: Facts, facts: Facts) -> bool:
    """Whether every one of the facts is a copy of a known one that stays as it is."""
    return all(key in known and _first(known[key], fact) == known[key] for key, fact in facts.items())


def _first(a: Fact, b: Fact) -> Fact:
    keep = b if a.position == NONE or NONE < b.position < a.position else a
    return keep._replace(marked=a.marked or b.marked)


def _mark(target: p.EventRetracted) -> Facts:
    """A mark on a fact; nothing can be marked that is none, and an erasure is for ever."""
    kind = KIND_OF_TYPE.get(target.type)
    if kind is None or kind == FactKind.ERASED:
        return {}
    slot = reference(target.slot) if kind in GOALS else SLOTS.get(target.slot)
    if slot is None or (kind not in GOALS and slot not in slots_of(kind)):
        return {}
    return {Key(to_micros(target.time), kind.value, uid(target.source, target.id), slot): Fact(NONE, marked=True)}


@dataclass
class FullHistory:
    """Grows event by event, in log order. `position` is the greatest that its facts came at, as of its state; `program`
    is what the first of them named."""

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
