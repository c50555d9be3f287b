"""The binary layout of a state: fixed, versioned, integers and source names only, so that equal facts are equal bytes.

u8 version | i64 per mark, in the order of state.MARKS | facts
facts: u16 count, then each source name (u16 length, UTF-8), sorted | u32 count, then each fact in key order
fact: i64 time, u8 kind, 16 bytes uid, i64 slot, i64 position, u8 marked, i64 first, i64 second, i64 ref,
      u8 evidence, u16 index of the source name
"""

import struct

from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.state import MARKS, Home, State

VERSION = 1
_HEAD = struct.Struct(f">B{len(MARKS)}qqH")
_FACT = struct.Struct(">qB16sqqBqqqBH")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class UnknownLayoutError(Exception):
    """The bytes were written by a newer version of the service: it must not guess, and it must not overwrite them."""


def dump(state: State) -> bytes:
    marks = (getattr(state, name) for name in MARKS)
    program = state.home.program.encode()
    head = _HEAD.pack(VERSION, *marks, state.home.position, len(program))
    return head + program + facts_bytes(state.facts)


def facts_bytes(facts: Facts) -> bytes:
    """What is compared between states: equal facts give equal bytes."""
    names = sorted({fact.source for fact in facts.values()})
    index = {name: number for number, name in enumerate(names)}
    out = [_U16.pack(len(names))]
    out += [_U16.pack(len(encoded)) + encoded for encoded in (name.encode() for name in names)]
    out.append(_U32.pack(len(facts)))
    for key in sorted(facts):
        position, marked, first, second, ref, evidence, source = facts[key]
        out.append(_FACT.pack(*key, position, marked, first, second, ref, evidence, index[source]))
    return b"".join(out)


def load(data: bytes) -> State:
    """Raises UnknownLayoutError for a version that this code does not know."""
    if data[0] != VERSION:
        raise UnknownLayoutError(f"the state has layout {data[0]}, this service knows {VERSION}: upgrade the service")
    _, *marks, home_position, length = _HEAD.unpack_from(data)
    at = _HEAD.size + length
    home = Home(home_position, data[_HEAD.size : at].decode())
    return State(_load_facts(data, at), **dict(zip(MARKS, marks, strict=True)), home=home)


def _load_facts(data: bytes, at: int) -> dict[Key, Fact]:
    names, at = _load_names(data, at)
    (count,) = _U32.unpack_from(data, at)
    at += _U32.size
    facts = {}
    for values in _FACT.iter_unpack(data[at : at + count * _FACT.size]):
        time, kind, uid, slot, position, marked, first, second, ref, evidence, source = values
        key = Key(time, kind, uid, slot)
        facts[key] = Fact(position, bool(marked), first, second, ref, evidence, names[source])
    return facts


def _load_names(data: bytes, at: int) -> tuple[list[str], int]:
    (count,) = _U16.unpack_from(data, at)
    at += _U16.size
    names = []
    for _ in range(count):
        (length,) = _U16.unpack_from(data, at)
        at += _U16.size
        names.append(data[at : at + length].decode())
        at += length
    return names, at
