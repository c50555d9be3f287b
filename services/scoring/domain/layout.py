"""The state of a relationship: its kept facts, and how far its rows are emitted. States merge. The byte layout is fixed
and versioned, with integers and names only, so that equal facts are equal bytes. Facts that are not in use have this
form in memory too.

facts: u16 count of names, then each name (u16 length, UTF-8), sorted | u32 count of facts, then each fact in key order
fact: i64 time, u8 kind, 16 bytes uid, i64 slot, i64 position, u8 marked, i64 first, i64 second, i64 ref, i64 value,
      u8 evidence, u16 index of the source, u16 index of the name
state: u8 version | i64 per field, in the order of MAX_FIELDS | i64 position and u16 length, UTF-8 of the programme
       | u32 length and bytes of the facts | u32 CRC-32 of all before | data derived from the facts (outlook)

Layout 2 of a state ends with its facts, without their length. Layout 1 had only a third of the kinds of facts: the
others are on the log, so a partition that holds layout 1 is rebuilt.
"""

import struct
import zlib
from collections.abc import ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from services.scoring.domain import memory
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Fact, Facts, Key, merged
from services.scoring.domain.memory import groups


class PartitionWatermark(NamedTuple):
    """Everything up to `offset` is in the states. All rows up to `clock` are emitted; those up to `clock_next` may
    be."""

    offset: int = NONE
    clock: int = NONE
    clock_next: int = NONE


class Enrolment(NamedTuple):
    """The programme of a relationship, as its first fact on the log named it; it never changes."""

    position: int
    program: str


NO_ENROLMENT = Enrolment(NONE, "")


@dataclass(slots=True)
class RelationshipState:
    """Treated as immutable; not frozen, because each event makes three and freezing takes four times as long.

    `position` is the greatest log position folded in. `clock`: rows due up to it are emitted. Rows are stale if a fact
    arrived below the floor (`stale_position`), a full group made them inexact (`inexact_until`), or a programme's
    profiles changed after they were emitted, until a heal has covered position and clock. `stale_programme`: how an
    older version recorded the profile change, as an offset of the topic of programmes."""

    facts: Facts = field(default_factory=dict)
    position: int = NONE
    clock: int = NONE
    stale_position: int = NONE
    inexact_until: int = NONE
    healed_position: int = NONE
    healed_clock: int = NONE
    stale_programme: int = NONE
    healed_programme: int = NONE
    enrolment: Enrolment = NO_ENROLMENT
    derived: bytes = field(default=b"", compare=False, repr=False)
    """The outlook as it was when the state was stored; empty where it has to be recomputed."""

    def merge(self, other: "RelationshipState") -> "RelationshipState":
        """Associative, commutative, idempotent: the union of the facts, then the same trimming; all else by maximum."""
        marks = {name: max(getattr(self, name), getattr(other, name)) for name in MAX_FIELDS}
        enrolments = [enrolment for enrolment in (self.enrolment, other.enrolment) if enrolment != NO_ENROLMENT]
        enrolment = min(enrolments, default=NO_ENROLMENT)
        # A heal stores no facts: keep the worker's facts and what is derived from them.
        for one, another in ((self, other), (other, self)):
            if not another.facts and one.derived:
                return RelationshipState(one.facts, **marks, enrolment=enrolment, derived=one.derived)
        return RelationshipState(memory.trimmed(merged(self.facts, other.facts)), **marks, enrolment=enrolment)

    def is_stale(self, clock: int) -> bool:
        return (
            self.stale_position > self.healed_position
            or min(clock, self.inexact_until) > self.healed_clock
            or self.stale_programme > self.healed_programme
        )

    def with_facts(self, facts: Facts, clock: int, position: int = NONE, derived: bytes = b"") -> "RelationshipState":
        """A copy with these facts, the newest of which came at `position`, and rows emitted up to `clock`. Runs for
        every event, so fields are listed one by one: `replace` takes as long as all the rest of storing."""
        return RelationshipState(
            facts,
            self.position if self.position > position else position,  # noqa: FURB136 (`max` takes three times as long)
            self.clock if self.clock > clock else clock,  # noqa: FURB136
            self.stale_position,
            self.inexact_until,
            self.healed_position,
            self.healed_clock,
            self.stale_programme,
            self.healed_programme,
            self.enrolment,
            derived,
        )


MAX_FIELDS = (
    "position",
    "clock",
    "stale_position",
    "inexact_until",
    "healed_position",
    "healed_clock",
    "stale_programme",
    "healed_programme",
)

VERSION = 3
NEWER = 8
"""Versions that a newer service may be ahead. Bytes with any other first byte are no layout of this service."""
_OLDEST_WITH_ALL_FACTS = 2
_HEAD = struct.Struct(f">B{len(MAX_FIELDS)}qqH")
_HEAD_1 = struct.Struct(">B6qqH")
_FACT = struct.Struct(">qB16sqqBqqqqBHH")
_KEY = struct.Struct(">qB16sq")
_WATERMARK = struct.Struct(">Bqqq")
_WATERMARK_VERSION = 1
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_max_fields = attrgetter(*MAX_FIELDS)


class UnknownLayoutError(Exception):
    """A newer version of the service wrote the bytes: they must be neither guessed nor overwritten."""


class PackedFacts(Mapping[Key, Fact]):
    """Facts that are unpacked on every access: keep the result of `unpacked` to work with them."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def unpacked(self) -> dict[Key, Fact]:
        """Raises struct.error, ValueError or LookupError for bytes that are no facts."""
        names, at = load_names(self.data)
        (count,) = _U32.unpack_from(self.data, at)
        at += _U32.size
        if len(self.data) != at + count * _FACT.size:
            raise ValueError(f"{count} facts were announced, and {len(self.data) - at} bytes follow")
        facts = {}
        for values in _FACT.iter_unpack(memoryview(self.data)[at:]):
            time, kind, uid, slot, position, marked, first, second, ref, value, evidence, source, name = values
            facts[Key(time, kind, uid, slot)] = Fact(
                position, bool(marked), first, second, ref, value, evidence, names[source], names[name]
            )
        return facts

    def __len__(self) -> int:
        (count,) = _U32.unpack_from(self.data, _names_end(self.data))
        return int(count)

    def __iter__(self) -> Iterator[Key]:
        at = _names_end(self.data) + _U32.size
        return (Key(*_KEY.unpack_from(self.data, begin)) for begin in range(at, len(self.data), _FACT.size))

    def __getitem__(self, key: Key) -> Fact:
        return self.unpacked()[key]

    def items(self) -> ItemsView[Key, Fact]:
        return self.unpacked().items()


def dump(state: RelationshipState) -> bytes:
    program, facts = state.enrolment.program.encode(), facts_bytes(state.facts)
    head = (
        _HEAD.pack(VERSION, *_max_fields(state), state.enrolment.position, len(program))
        + program
        + _U32.pack(len(facts))
    )
    # The facts are the bulk of the bytes: copy them once.
    return b"".join([head, facts, _U32.pack(zlib.crc32(facts, zlib.crc32(head))), state.derived])


def is_current(data: bytes) -> bool:
    """False if the facts have to be read from the log again. Raises UnknownLayoutError; ValueError or LookupError."""
    version = data[0]
    if not 1 <= version <= VERSION + NEWER:
        raise ValueError("no layout of a state")
    if not 1 <= version <= VERSION:
        raise UnknownLayoutError(f"the state has layout {version}, this service knows {VERSION}: upgrade the service")
    return version >= _OLDEST_WITH_ALL_FACTS


def load(data: bytes) -> RelationshipState:
    """From an outdated layout, only the enrolment and how far rows were emitted: those are stale. Raises
    UnknownLayoutError for a newer layout, and struct.error, ValueError or LookupError for other bytes."""
    head = _HEAD if is_current(data) else _HEAD_1
    version, *values, enrolment_position, length = head.unpack_from(data)
    at = head.size + length
    enrolment = Enrolment(enrolment_position, data[head.size : at].decode())
    if head is _HEAD_1:
        return RelationshipState(stale_position=values[0], enrolment=enrolment)
    marks = dict(zip(MAX_FIELDS, values, strict=True))
    if version != VERSION:
        facts = PackedFacts(data[at:])
        for key in facts.unpacked():
            groups(key)  # raises LookupError for a kind of fact that there is not
        return RelationshipState(facts, **marks, enrolment=enrolment)
    (size,) = _U32.unpack_from(data, at)
    begin, end = at + _U32.size, at + _U32.size + size
    # The checksum covers the facts: unpacking those of all relationships would make a start slow.
    if (zlib.crc32(data[:end]),) != _U32.unpack_from(data, end):
        raise ValueError("the bytes of a state are not those that were written")
    return RelationshipState(
        PackedFacts(data[begin:end]), **marks, enrolment=enrolment, derived=data[end + _U32.size :]
    )


def dump_watermark(watermark: PartitionWatermark) -> bytes:
    return _WATERMARK.pack(_WATERMARK_VERSION, *watermark)


def load_watermark(data: bytes) -> PartitionWatermark:
    """Raises as `load`."""
    version = data[0]
    if not 1 <= version <= _WATERMARK_VERSION + NEWER:
        raise ValueError("no layout of a watermark")
    if version != _WATERMARK_VERSION:
        raise UnknownLayoutError(f"the watermark has layout {version}, this service knows {_WATERMARK_VERSION}")
    _, *values = _WATERMARK.unpack(data)
    return PartitionWatermark(*values)


def packed(facts: Facts) -> PackedFacts:
    return facts if isinstance(facts, PackedFacts) else PackedFacts(facts_bytes(facts))


class FactBuffer:
    """The bytes of facts that are appended in order. They are packed on demand: those of a history that is never stored
    stay unpacked."""

    def __init__(self) -> None:
        self._facts: list[tuple[Key, Fact]] = []
        self._packed = bytearray()
        self._named = dump_names(())
        self._numbers: dict[str, int] = {}
        self._uses: dict[str, int] = {}

    def append(self, key: Key, fact: Fact) -> None:
        self._facts.append((key, fact))

    def packed_without(self, indexes: Sequence[int]) -> PackedFacts:
        """All facts but those at these indexes, which ascend."""
        # Facts appended since the last packing: one at a time for a live relationship.
        news, uses = self._facts[len(self._packed) // _FACT.size :], self._uses
        for _, fact in news:
            for name in (fact.source, fact.name):
                uses[name] = uses.get(name, 0) + 1
        if len(uses) > len(self._numbers):
            # A new name changes the numbers of all names: pack everything again.
            names = sorted(uses)
            self._named, self._numbers = dump_names(names), {name: number for number, name in enumerate(names)}
            news, self._packed = self._facts, bytearray()
        numbers = self._numbers
        for key, fact in news:
            self._packed += _FACT.pack(*key, *fact[:-2], numbers[fact.source], numbers[fact.name])
        if not indexes:
            return PackedFacts(b"".join((self._named, _U32.pack(len(self._facts)), self._packed)))
        packed_facts, parts, begin, gone = memoryview(self._packed), list[memoryview](), 0, dict[str, int]()
        for index in indexes:
            parts.append(packed_facts[begin : index * _FACT.size])
            begin = (index + 1) * _FACT.size
            _, fact = self._facts[index]
            for name in (fact.source, fact.name):
                gone[name] = gone.get(name, 0) + 1
        if any(self._uses[name] == count for name, count in gone.items()):
            # A name has no facts left, so all other names get another number.
            left_out = set(indexes)
            return PackedFacts(facts_bytes(dict(f for index, f in enumerate(self._facts) if index not in left_out)))
        return PackedFacts(
            b"".join((self._named, _U32.pack(len(self._facts) - len(indexes)), *parts, packed_facts[begin:]))
        )


def facts_bytes(facts: Facts) -> bytes:
    """The bytes by which states are compared: equal facts give equal bytes."""
    # An exact type check: isinstance with a Mapping takes ten times as long.
    if type(facts) is PackedFacts:
        return facts.data
    names = sorted({name for fact in facts.values() for name in (fact.source, fact.name)})
    numbers = {name: number for number, name in enumerate(names)}
    ordered = ((key, facts[key]) for key in sorted(facts))
    all_packed = [_FACT.pack(*key, *fact[:-2], numbers[fact.source], numbers[fact.name]) for key, fact in ordered]
    return b"".join([dump_names(names), _U32.pack(len(facts)), *all_packed])


def dump_names(names: Sequence[str]) -> bytes:
    """u16 count of names, then each name (u16 length, UTF-8)"""
    encoded = [name.encode() for name in names]
    return b"".join([_U16.pack(len(names)), *(_U16.pack(len(name)) + name for name in encoded)])


def _names_end(data: bytes) -> int:
    (count,) = _U16.unpack_from(data)
    at = _U16.size
    for _ in range(count):
        at += _U16.size + _U16.unpack_from(data, at)[0]
    return int(at)


def load_names(data: bytes, at: int = 0) -> tuple[list[str], int]:
    """The names, and the offset behind them."""
    (count,) = _U16.unpack_from(data, at)
    at, names = at + _U16.size, []
    for _ in range(count):
        (length,) = _U16.unpack_from(data, at)
        at += _U16.size
        names.append(data[at : at + length].decode())
        at += length
    return names, at
