"""The profiles of a programme as a partition has applied them, and the bytes by which its changelog remembers them.

They are events of the log, so the place among the other events decides. A partition remembers the last, because nobody
who starts on it reads the log from its beginning."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from schemas.events import ProfileSet, partition_key
from schemas.programs import Profile
from services.scoring.domain.bounds import NONE
from services.scoring.domain.layout import NEWER, UnknownLayoutError
from services.scoring.domain.profiles import Profiles, Programmes

VERSION = 2
"""Layout 1 had an offset of the topic of programmes, from before profiles were events of the log."""
_HEAD = struct.Struct(">Bq")
_PROFILES = TypeAdapter(tuple[Profile, ...])


class AppliedProfiles(NamedTuple):
    """`position` of the event on the log; NONE: they were told before profiles were events of it."""

    tenant: str
    program: str
    profiles: Profiles
    position: int

    @property
    def name(self) -> str:
        return partition_key(self.tenant, self.program)


def applied_profiles(event: ProfileSet, position: int) -> AppliedProfiles:
    return AppliedProfiles(event.tenant, event.program, Profiles(event.data.profiles), position)


def programmes_of(applied: Iterable[AppliedProfiles]) -> Programmes:
    programmes = Programmes()
    for one in applied:
        programmes.apply(*one)
    return programmes


def dump(applied: AppliedProfiles) -> bytes:
    """u8 version | i64 position | the profiles as JSON"""
    return _HEAD.pack(VERSION, applied.position) + _PROFILES.dump_json(tuple(applied.profiles.versions))


def load(name: str, data: bytes) -> AppliedProfiles:
    """Raises UnknownLayoutError for what a newer service wrote, struct.error or ValueError for what is no layout."""
    version, position = _HEAD.unpack_from(data)
    if not 1 <= version <= VERSION + NEWER:
        raise ValueError("no layout of a programme's profiles")
    if version > VERSION:
        raise UnknownLayoutError(f"the profiles of {name} have layout {version}, this service knows {VERSION}")
    try:
        profiles = Profiles(_PROFILES.validate_json(data[_HEAD.size :]))
    except ValidationError as invalid:
        raise UnknownLayoutError(f"the profiles of {name} are of a newer service: {_words(invalid)}") from invalid
    tenant, _, program = name.partition("/")
    return AppliedProfiles(tenant, program, profiles, position if version == VERSION else NONE)


def _words(invalid: ValidationError) -> str:
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
