"""Facts: what an event leaves behind for ever. They form a set that merges in any order, with any repeats."""

import hashlib
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain.bounds import HOUR, MINUTE, NONE, UNSET

LATE_NOTICE_HOURS = 24
"""A cancellation with less notice is late: the other's day was already planned."""


class Kind(IntEnum):
    """The number stands in stored states: it never changes."""

    STARTED = 1
    PAUSED = 2
    RESUMED = 3
    ENDED = 4
    SCHEDULED = 5
    RESCHEDULED = 6
    CANCELLED = 7
    HELD = 8
    MISSED = 9
    MESSAGE = 10


KIND_OF_TYPE: Mapping[str, Kind] = {
    "mentoring.relationship.started.v1": Kind.STARTED,
    "mentoring.relationship.paused.v1": Kind.PAUSED,
    "mentoring.relationship.resumed.v1": Kind.RESUMED,
    "mentoring.relationship.ended.v1": Kind.ENDED,
    "mentoring.session.scheduled.v1": Kind.SCHEDULED,
    "mentoring.session.rescheduled.v1": Kind.RESCHEDULED,
    "mentoring.session.cancelled.v1": Kind.CANCELLED,
    "mentoring.session.held.v1": Kind.HELD,
    "mentoring.session.missed.v1": Kind.MISSED,
    "mentoring.message.sent.v1": Kind.MESSAGE,
}
CAUSE_OF_KIND: Mapping[int, str] = {
    kind.value: type_.removeprefix("mentoring.").removesuffix(".v1") for type_, kind in KIND_OF_TYPE.items()
}
CONTACTS = frozenset({Kind.HELD.value, Kind.MESSAGE.value})

# Slots: what chooses a fact's group besides its kind.
PLAIN = 0
MENTOR, MENTEE, BOTH = 1, 2, 3
LATE = 4
SLOTS: Mapping[str, int] = {"": PLAIN, "mentor": MENTOR, "mentee": MENTEE, "both": BOTH, "late": LATE}

# The strongest evidence wins where several facts tell one meeting.
EVIDENCE: Mapping[str, int] = {"inferred": 0, "self_reported": 1, "calendar": 2, "admin": 3, "observed": 4}


class Key(NamedTuple):
    """The identity of a fact; its order is the order of facts. `uid` is a hash of source and id."""

    time: int
    kind: int
    uid: bytes
    slot: int


class Fact(NamedTuple):
    """What is known of a fact. `position` on the log decides between copies; NONE: only its mark has come so far.
    `first` and `second` are times (or the cadence in microseconds), `ref` names a session or a pause, 0 none."""

    position: int
    marked: bool
    first: int = UNSET
    second: int = UNSET
    ref: int = 0
    evidence: int = 0
    source: str = ""

    @property
    def stands(self) -> bool:
        return self.position != NONE and not self.marked


Facts = Mapping[Key, Fact]


def facts_of(event: OfRelationship, position: int) -> Facts:
    """The fact an event states, or the mark it sets on another; nothing if its type is not scored."""
    if isinstance(event.data, p.EventRetracted):
        return _mark(event.data)
    kind = KIND_OF_TYPE.get(event.type)
    if kind is None:
        return {}
    key = Key(to_micros(event.time), kind.value, uid(event.source, event.id), _slot(event.data))
    first, second, ref = _content(event.data)
    evidence = EVIDENCE[event.data.evidence]
    return {
        key: Fact(position, marked=False, first=first, second=second, ref=ref, evidence=evidence, source=event.source)
    }


def uid(source: str, event_id: str) -> bytes:
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def merged(ours: Facts, theirs: Facts) -> dict[Key, Fact]:
    """The union. Of two copies the one first on the log stays, whatever the other says; marks are never lost."""
    out = dict(ours)
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
    kind, slot = KIND_OF_TYPE.get(target.type), SLOTS.get(target.slot)
    if kind is None or slot is None:
        return {}
    return {Key(to_micros(target.time), kind.value, uid(target.source, target.id), slot): Fact(NONE, marked=True)}


def _slot(data: p.Payload) -> int:
    match data:
        case p.MessageSent():
            return SLOTS[data.by]
        case p.SessionMissed():
            return SLOTS[data.absent]
        case p.SessionCancelled(notice_hours=hours) if hours is not None and hours < LATE_NOTICE_HOURS:
            return LATE
        case _:
            return PLAIN


def _content(data: p.Payload) -> tuple[int, int, int]:
    match data:
        case p.RelationshipStarted(cadence_days=days):
            return UNSET if days is None else round(days * 24 * HOUR), UNSET, 0
        case p.RelationshipPaused():
            begin = UNSET if data.from_ is None else to_micros(data.from_)
            return begin, UNSET if data.until is None else to_micros(data.until), reference(data.pause_id)
        case p.RelationshipResumed(pause_id=pause_id):
            return UNSET, UNSET, 0 if pause_id is None else reference(pause_id)
        case p.SessionScheduled():
            return to_micros(data.starts_at), to_micros(data.ends_at), reference(data.session_id)
        case p.SessionHeld():
            start = to_micros(data.started_at)
            return start, start + round((data.minutes or 0) * MINUTE), reference(data.session_id)
        case p.SessionMissed(session_id=session_id) | p.SessionCancelled(session_id=session_id):
            return UNSET, UNSET, reference(session_id)
        case _:
            return UNSET, UNSET, 0


def reference(name: str) -> int:
    """A session or pause id as a number in [1, 2^63)."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1 | 1
