"""The changelog of one partition: states, the watermark, and the profiles of programmes as they were applied. Each
record carries the generation of the assignment that wrote it.

A worker that lost its partition may still write for a moment. Its records carry another generation, so they never
replace a successor's. Recovery merges all generations of a key; merging an old state is harmless. Profiles are stored
because a starting worker does not read the log from its beginning.

A record of foreign origin stops no worker: if it cannot be read it is set aside. Where it hides a state or the
watermark, the log, which has everything, is read again from its beginning."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from schemas.programs import Profile
from services.scoring.domain import layout
from services.scoring.domain.bounds import NONE
from services.scoring.domain.layout import PartitionWatermark, RelationshipState, UnknownLayoutError
from services.scoring.domain.profiles import AppliedProfiles, Profiles

WATERMARK = "\0watermark"
PROGRAMME = "\0programme\0"
_GENERATION = struct.Struct(">Q")
PROFILES_VERSION = 2
"""Layout 1 had an offset of the topic of programmes, from before profiles were events of the log."""
_PROFILES_HEAD = struct.Struct(">Bq")
_PROFILES = TypeAdapter(tuple[Profile, ...])


class ChangelogEntry(NamedTuple):
    """A changelog record: `value` None deletes what an older generation wrote."""

    name: str
    generation: int
    value: bytes | None

    @property
    def key(self) -> bytes:
        return self.name.encode() + _GENERATION.pack(self.generation)


class Discarded(ChangelogEntry):
    """Deletes a record that this service did not write, whatever its key: `name` holds one character per byte of the
    key."""

    @property
    def key(self) -> bytes:
        return self.name.encode("latin-1")


def state_entry(relationship: str, generation: int, state: RelationshipState) -> ChangelogEntry:
    return ChangelogEntry(relationship, generation, layout.dump(state))


def watermark_entry(generation: int, watermark: PartitionWatermark) -> ChangelogEntry:
    return ChangelogEntry(WATERMARK, generation, layout.dump_watermark(watermark))


def programme_entry(generation: int, applied: AppliedProfiles) -> ChangelogEntry:
    return ChangelogEntry(PROGRAMME + applied.name, generation, dump_profiles(applied))


# Raised by reading bytes that are no layout of this service; a newer layout raises UnknownLayoutError.
NO_LAYOUT = (struct.error, ValueError, LookupError, ArithmeticError, TypeError, MemoryError)


class Recovery:
    """Folds changelog records, in any order of generations, into states, the watermark, and for each programme the
    profiles that are last on the log. `unreadable`: the keys of records that were set aside."""

    def __init__(self) -> None:
        self.states: dict[str, RelationshipState] = {}
        self.watermark = PartitionWatermark()
        self.profiles: dict[str, AppliedProfiles] = {}
        self.generations: dict[str, set[int]] = defaultdict(set)
        self._last: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.unreadable: set[bytes] = set()
        self._needs_reread = False

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """Within one generation the last record of a key counts, as in compaction."""
        try:
            key = key or b""
            name, (generation,) = key[: -_GENERATION.size].decode(), _GENERATION.unpack(key[-_GENERATION.size :])
            tenant, _, rest = name.removeprefix(PROGRAMME).partition("/")
            if name != WATERMARK and not (tenant and rest):
                raise ValueError("no tenant/relationship, no tenant/program and no watermark")
        except NO_LAYOUT:
            (self.unreadable.discard if value is None else self.unreadable.add)(key or b"")
            return
        if value is None:
            self._last[name].pop(generation, None)
        else:
            self._last[name][generation] = value

    def finish(self) -> "Recovery":
        for _ in self.merge_all():
            pass
        return self

    def merge_all(self) -> Iterator[str]:
        """Merge the generations, one name per step. States of an older layout lack facts, and unreadable ones have
        none: then the watermark is reset, so that the log is read again from its beginning. Raises
        layout.UnknownLayoutError."""
        while self._last:
            name, values = self._last.popitem()
            if values:
                self.generations[name] = set(values)
                try:
                    self._merge(name, list(values.values()))
                except NO_LAYOUT:
                    self.unreadable |= {ChangelogEntry(name, generation, None).key for generation in values}
                    self._needs_reread = True
            yield name
        if self._needs_reread:
            self.watermark = PartitionWatermark()
            self.states = {name: reset_for_reread(state) for name, state in self.states.items()}

    def _merge(self, name: str, values: list[bytes]) -> None:
        if name == WATERMARK:
            self.watermark = max(map(layout.load_watermark, values))
        elif name.startswith(PROGRAMME):
            program = name.removeprefix(PROGRAMME)
            self.profiles[program] = max((load_profiles(program, v) for v in values), key=lambda a: a.position)
        else:
            outdated = not all(map(layout.is_current, values))
            self.states[name] = reduce(RelationshipState.merge, map(layout.load, values))
            self._needs_reread = self._needs_reread or outdated


def reset_for_reread(state: RelationshipState) -> RelationshipState:
    """The remainder of a state whose log is read again: its programme, and that its rows may be wrong."""
    return RelationshipState(stale_position=max(state.position, state.stale_position), enrolment=state.enrolment)


def dump_profiles(applied: AppliedProfiles) -> bytes:
    """u8 version | i64 position | the profiles as JSON"""
    return _PROFILES_HEAD.pack(PROFILES_VERSION, applied.position) + _PROFILES.dump_json(
        tuple(applied.profiles.versions)
    )


def load_profiles(name: str, data: bytes) -> AppliedProfiles:
    """Raises UnknownLayoutError for a newer service's bytes, struct.error or ValueError for bytes that are no
    layout."""
    version, position = _PROFILES_HEAD.unpack_from(data)
    if not 1 <= version <= PROFILES_VERSION + layout.NEWER:
        raise ValueError("no layout of a programme's profiles")
    if version > PROFILES_VERSION:
        raise UnknownLayoutError(f"the profiles of {name} have layout {version}, this service knows {PROFILES_VERSION}")
    try:
        profiles = Profiles(_PROFILES.validate_json(data[_PROFILES_HEAD.size :]))
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
        words = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise UnknownLayoutError(f"the profiles of {name} are of a newer service: {words}") from invalid
    tenant, _, program = name.partition("/")
    return AppliedProfiles(tenant, program, profiles, position if version == PROFILES_VERSION else NONE)
