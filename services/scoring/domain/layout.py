"""The binary layout of a state: fixed, versioned, integers and names only, so that equal facts are equal bytes.

u8 version | i64 per mark, in the order of state.MARKS | i64 position and u16 length, UTF-8 of the programme | facts
facts: u16 count, then each name (u16 length, UTF-8), sorted | u32 count, then each fact in key order
fact: i64 time, u8 kind, 16 bytes uid, i64 slot, i64 position, u8 marked, i64 first, i64 second, i64 ref, i64 value,
      u8 evidence, u16 index of the source, u16 index of the name
Layout 1 knew a third of the kinds of facts only. What it lacks is on the log, so a partition that holds it is rebuilt.
"""

import struct

from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.state import MARKS, Home, State

VERSION = 2
NEWER = 8
"""So many versions a newer service may be ahead. Bytes that begin otherwise were written by none."""
_HEAD = struct.Struct(f">B{len(MARKS)}qqH")
_HEAD_1 = struct.Struct(">B6qqH")
_FACT = struct.Struct(">qB16sqqBqqqqBHH")
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
    names = sorted({name for fact in facts.values() for name in (fact.source, fact.name)})
    index = {name: number for number, name in enumerate(names)}
    out = [_U16.pack(len(names))]
    out += [_U16.pack(len(encoded)) + encoded for encoded in (name.encode() for name in names)]
    out.append(_U32.pack(len(facts)))
    for key in sorted(facts):
        *numbers, source, name = facts[key]
        out.append(_FACT.pack(*key, *numbers, index[source], index[name]))
    return b"".join(out)


def is_current(data: bytes) -> bool:
    """False for an older layout, whose facts have to be read from the log again. Raises UnknownLayoutError, and
    ValueError or LookupError for what is no layout at all."""
    version = data[0]
    if not 1 <= version <= VERSION + NEWER:
        raise ValueError("no layout of a state")
    if not 1 <= version <= VERSION:
        raise UnknownLayoutError(f"the state has layout {version}, this service knows {VERSION}: upgrade the service")
    return version == VERSION


def load(data: bytes) -> State:
    """Of an older layout only the home and how far it told rows: those are stale. Raises UnknownLayoutError."""
    head = _HEAD if is_current(data) else _HEAD_1
    _, *values, home_position, length = head.unpack_from(data)
    at = head.size + length
    home = Home(home_position, data[head.size : at].decode())
    if head is _HEAD_1:
        return State(stale_position=values[0], home=home)
    return State(_load_facts(data, at), **dict(zip(MARKS, values, strict=True)), home=home)


def _load_facts(data: bytes, at: int) -> dict[Key, Fact]:
    names, at = _load_names(data, at)
    (count,) = _U32.unpack_from(data, at)
    at += _U32.size
    facts = {}
    if len(data) != at + count * _FACT.size:
        raise ValueError(f"{count} facts were announced, and {len(data) - at} bytes follow")
    for values in _FACT.iter_unpack(data[at : at + count * _FACT.size]):
        time, kind, uid, slot, position, marked, first, second, ref, value, evidence, source, name = values
        facts[Key(time, kind, uid, slot)] = Fact(
            position, bool(marked), first, second, ref, value, evidence, names[source], names[name]
        )
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
