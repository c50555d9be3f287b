"""A programme as one record of its topic describes it, and the bytes by which a partition remembers that record."""

import struct
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from schemas.events import partition_key
from schemas.programs import Profile, Programme
from services.scoring.domain.layout import NEWER, UnknownLayoutError
from services.scoring.domain.profiles import DEFAULT, Profiles

VERSION = 1
_HEAD = struct.Struct(">Bq")
_PROFILES = TypeAdapter(tuple[Profile, ...])


class ProgrammeRecord(NamedTuple):
    tenant: str
    program: str
    profiles: Profiles
    offset: int

    @property
    def name(self) -> str:
        return partition_key(self.tenant, self.program)


class Unreadable(NamedTuple):
    """A record that says nothing: what was known of the programme stays."""

    name: str
    offset: int
    reason: str


def read_record(key: bytes | None, value: bytes | None, offset: int) -> ProgrammeRecord | Unreadable:
    """A record without a value takes the programme back: it has the defaults again."""
    name = (key or b"").decode(errors="replace")
    tenant, _, program = name.partition("/")
    if not tenant or not program:
        return Unreadable(name, offset, "the key must be tenant/program")
    if value is None:
        return ProgrammeRecord(tenant, program, DEFAULT, offset)
    try:
        programme = Programme.model_validate_json(value)
    except ValidationError as invalid:
        return Unreadable(name, offset, _words(invalid))
    if (programme.tenant, programme.id) != (tenant, program):
        return Unreadable(name, offset, f"it describes {partition_key(programme.tenant, programme.id)}")
    return ProgrammeRecord(tenant, program, Profiles(programme.profiles), offset)


def dump(record: ProgrammeRecord) -> bytes:
    """u8 version | i64 offset | the profiles as JSON"""
    return _HEAD.pack(VERSION, record.offset) + _PROFILES.dump_json(tuple(record.profiles.versions))


def load(name: str, data: bytes) -> ProgrammeRecord:
    """Raises UnknownLayoutError for what a newer service wrote, struct.error or ValueError for what is no layout."""
    version, offset = _HEAD.unpack_from(data)
    if not 1 <= version <= VERSION + NEWER:
        raise ValueError("no layout of a programme")
    if version != VERSION:
        raise UnknownLayoutError(f"programme {name} has layout {version}, this service knows {VERSION}")
    try:
        profiles = Profiles(_PROFILES.validate_json(data[_HEAD.size :]))
    except ValidationError as invalid:
        raise UnknownLayoutError(f"the profiles of {name} are of a newer service: {_words(invalid)}") from invalid
    tenant, _, program = name.partition("/")
    return ProgrammeRecord(tenant, program, profiles, offset)


def _words(invalid: ValidationError) -> str:
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
