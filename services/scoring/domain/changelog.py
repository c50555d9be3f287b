"""The changelog of one partition: states, the watermark, and the profiles of programmes as they were applied, each
under the generation of the assignment that wrote it.

A worker that lost its partition may still write for a moment. Its records carry another generation, so they never
replace a successor's; recovery merges all generations of a key, to which an old state adds nothing wrong.

What nobody of ours has written stops nobody: a record that cannot be read is put aside, and where it hides a state or
the watermark, the log, which has everything, is read again from its beginning."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from services.scoring.domain import applied_profiles, layout
from services.scoring.domain.applied_profiles import AppliedProfiles
from services.scoring.domain.partition import PartitionWatermark
from services.scoring.domain.state import RelationshipState

WATERMARK = "\0watermark"
PROGRAMME = "\0programme\0"
_GENERATION = struct.Struct(">Q")
_WATERMARK = struct.Struct(">Bqqq")
_WATERMARK_VERSION = 1


class ChangelogEntry(NamedTuple):
    """A changelog record: `value` None deletes what an older generation wrote."""

    name: str
    generation: int
    value: bytes | None

    @property
    def key(self) -> bytes:
        return self.name.encode() + _GENERATION.pack(self.generation)


class Discarded(ChangelogEntry):
    """Deletes what nobody of ours wrote, whatever its key is: `name` holds one character for each byte of it."""

    @property
    def key(self) -> bytes:
        return self.name.encode("latin-1")


def discarded(key: bytes) -> ChangelogEntry:
    return Discarded(key.decode("latin-1"), 0, None)


def state_entry(relationship: str, generation: int, state: RelationshipState) -> ChangelogEntry:
    return ChangelogEntry(relationship, generation, layout.dump(state))


def watermark_entry(generation: int, watermark: PartitionWatermark) -> ChangelogEntry:
    return ChangelogEntry(WATERMARK, generation, _WATERMARK.pack(_WATERMARK_VERSION, *watermark))


def programme_entry(generation: int, applied: AppliedProfiles) -> ChangelogEntry:
    return ChangelogEntry(PROGRAMME + applied.name, generation, applied_profiles.dump(applied))


# What reading bytes raises that are no layout of ours; a newer layout is another thing.
NO_LAYOUT = (struct.error, ValueError, LookupError, ArithmeticError, TypeError, MemoryError)


class Recovery:
    """Folds changelog records, in any order of generations, into states, watermark, and of each programme the profiles
    that stand last on the log. `unreadable`: the keys of what was put aside."""

    def __init__(self) -> None:
        self.states: dict[str, RelationshipState] = {}
        self.watermark = PartitionWatermark()
        self.profiles: dict[str, AppliedProfiles] = {}
        self.generations: dict[str, set[int]] = defaultdict(set)
        self._last: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.unreadable: set[bytes] = set()
        self._outdated = False

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """Of one generation the last record of a key counts, as for compaction."""
        try:
            name, generation = _parsed(key or b"")
        except NO_LAYOUT:
            (self.unreadable.discard if value is None else self.unreadable.add)(key or b"")
            return
        if value is None:
            self._last[name].pop(generation, None)
        else:
            self._last[name][generation] = value

    def finish(self) -> "Recovery":
        for _ in self.merging():
            pass
        return self

    def merging(self) -> Iterator[str]:
        """Merges the generations, one name a step. States of an older layout lack facts, and those that cannot be read
        have none: without a watermark the log is read again from its beginning. Raises layout.UnknownLayoutError."""
        while self._last:
            name, values = self._last.popitem()
            if values:
                self.generations[name] = set(values)
                try:
                    self._merge(name, list(values.values()))
                except NO_LAYOUT:
                    self.unreadable |= {ChangelogEntry(name, generation, None).key for generation in values}
                    self._outdated = True
            yield name
        if self._outdated:
            self.watermark = PartitionWatermark()
            self.states = {name: unread(state) for name, state in self.states.items()}

    def _merge(self, name: str, values: list[bytes]) -> None:
        if name == WATERMARK:
            self.watermark = max(map(_load_watermark, values))
        elif name.startswith(PROGRAMME):
            program = name.removeprefix(PROGRAMME)
            self.profiles[program] = max((applied_profiles.load(program, v) for v in values), key=lambda a: a.position)
        else:
            outdated = not all(map(layout.is_current, values))
            self.states[name] = _merged(values)
            self._outdated = self._outdated or outdated


def unread(state: RelationshipState) -> RelationshipState:
    """What is left of a state whose log is read again: its programme, and that its rows may be wrong."""
    return RelationshipState(stale_position=max(state.position, state.stale_position), home=state.home)


def _parsed(key: bytes) -> tuple[str, int]:
    """Raises one of NO_LAYOUT for a key that none of ours is like."""
    name, (generation,) = key[: -_GENERATION.size].decode(), _GENERATION.unpack(key[-_GENERATION.size :])
    tenant, _, rest = name.removeprefix(PROGRAMME).partition("/")
    if name != WATERMARK and not (tenant and rest):
        raise ValueError("no tenant/relationship, no tenant/program and no watermark")
    return name, generation


def _merged(values: list[bytes]) -> RelationshipState:
    """Raises one of NO_LAYOUT."""
    first, *rest = map(layout.load, values)
    for other in rest:
        first = first.merge(other)
    return first


def _load_watermark(value: bytes) -> PartitionWatermark:
    version = value[0]
    if not 1 <= version <= _WATERMARK_VERSION + layout.NEWER:
        raise ValueError("no layout of a watermark")
    if version != _WATERMARK_VERSION:
        raise layout.UnknownLayoutError(f"the watermark has layout {version}, this service knows {_WATERMARK_VERSION}")
    _, offset, clock, clock_next = _WATERMARK.unpack(value)
    return PartitionWatermark(offset, clock, clock_next)
