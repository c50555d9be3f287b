"""The binary layout of a state: fixed and versioned.

u8 version | i64 per mark, in the order of state.MARKS | i64 position and u16 length, UTF-8 of the programme
| u32 length and bytes of the facts (packing) | u32 CRC-32 of all before | what is derived of the facts (outlook)
Layout 2 ends with its facts, whose length is not told. Layout 1 knew a third of the kinds of facts only: what it lacks
is on the log, so a partition that holds it is rebuilt.
"""

import struct
import zlib
from operator import attrgetter

from services.scoring.domain.memory import groups
from services.scoring.domain.packing import PackedFacts, facts_bytes
from services.scoring.domain.state import MARKS, Home, RelationshipState

VERSION = 3
NEWER = 8
"""So many versions a newer service may be ahead. Bytes that begin otherwise were written by none."""
_OLDEST_WITH_ALL_FACTS = 2
_HEAD = struct.Struct(f">B{len(MARKS)}qqH")
_HEAD_1 = struct.Struct(">B6qqH")
_U32 = struct.Struct(">I")
_marks = attrgetter(*MARKS)


class UnknownLayoutError(Exception):
    """The bytes were written by a newer version of the service: it must not guess, and it must not overwrite them."""


def dump(state: RelationshipState) -> bytes:
    program, facts = state.home.program.encode(), facts_bytes(state.facts)
    head = _HEAD.pack(VERSION, *_marks(state), state.home.position, len(program))
    whole = b"".join([head, program, _U32.pack(len(facts)), facts])
    return b"".join([whole, _U32.pack(zlib.crc32(whole)), state.derived])


def is_current(data: bytes) -> bool:
    """False for an older layout, whose facts have to be read from the log again. Raises UnknownLayoutError, and
    ValueError or LookupError for what is no layout at all."""
    version = data[0]
    if not 1 <= version <= VERSION + NEWER:
        raise ValueError("no layout of a state")
    if not 1 <= version <= VERSION:
        raise UnknownLayoutError(f"the state has layout {version}, this service knows {VERSION}: upgrade the service")
    return version >= _OLDEST_WITH_ALL_FACTS


def load(data: bytes) -> RelationshipState:
    """Of an older layout only the home and how far it told rows: those are stale. Raises UnknownLayoutError, and
    struct.error, ValueError or LookupError for what is no layout at all."""
    head = _HEAD if is_current(data) else _HEAD_1
    version, *values, home_position, length = head.unpack_from(data)
    at = head.size + length
    home = Home(home_position, data[head.size : at].decode())
    if head is _HEAD_1:
        return RelationshipState(stale_position=values[0], home=home)
    facts, derived = _parts(data, at) if version == VERSION else (_checked(data[at:]), b"")
    return RelationshipState(facts, **dict(zip(MARKS, values, strict=True)), home=home, derived=derived)


def _parts(data: bytes, at: int) -> tuple[PackedFacts, bytes]:
    """The sum vouches for the facts: to unpack those of all relationships would make a start long."""
    (length,) = _U32.unpack_from(data, at)
    begin, end = at + _U32.size, at + _U32.size + length
    (told,) = _U32.unpack_from(data, end)
    if zlib.crc32(data[:end]) != told:
        raise ValueError("the bytes of a state are not those that were written")
    return PackedFacts(data[begin:end]), data[end + _U32.size :]


def _checked(data: bytes) -> PackedFacts:
    facts = PackedFacts(data).checked()
    for key in facts:
        groups(key)  # raises LookupError for a kind of fact that there is not
    return facts
