"""Facts: what an event leaves behind for ever. They form a set that merges in any order, with any repeats."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain.bounds import NONE, UNSET
from services.scoring.domain.contents import content_of, reference, slot_of
from services.scoring.domain.kinds import EVIDENCE, GOALS, KIND_OF_TYPE, SLOTS, Kind, slots_of


class Key(NamedTuple):
    """The identity of a fact; its order is the order of facts. `uid` is a hash of source and id."""

    time: int
    kind: int
    uid: bytes
    slot: int


class Fact(NamedTuple):
    """What is known of a fact. `position` on the log decides between copies; NONE: only its mark has come so far.
    The rest is what its event said (contents.Content); `name` is kept where people have to read it."""

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
    """A mark on a fact; nothing can be marked that is none, and an erasure is for ever."""
    kind = KIND_OF_TYPE.get(target.type)
    if kind is None or kind == Kind.ERASED:
        return {}
    slot = reference(target.slot) if kind in GOALS else SLOTS.get(target.slot)
    if slot is None or (kind not in GOALS and slot not in slots_of(kind)):
        return {}
    return {Key(to_micros(target.time), kind.value, uid(target.source, target.id), slot): Fact(NONE, marked=True)}
