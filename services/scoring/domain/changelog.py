"""The changelog of one partition: states, the watermark, and what the partition was told of the programmes, each under
the generation of the assignment that wrote it.

A worker that lost its partition may still write for a moment. Its records carry another generation, so they never
replace a successor's; recovery merges all generations of a key, to which an old state adds nothing wrong.

What nobody of ours has written stops nobody: a record that cannot be read is put aside, and where it hides a state or
the watermark, the log, which has everything, is read again from its beginning."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from services.scoring.domain import layout, programme_record
from services.scoring.domain.memory import groups
from services.scoring.domain.partition import Watermark
from services.scoring.domain.programme_record import ProgrammeRecord
from services.scoring.domain.state import State

WATERMARK = "\0watermark"
PROGRAMME = "\0programme\0"
_GENERATION = struct.Struct(">Q")
_WATERMARK = struct.Struct(">Bqqq")
_WATERMARK_VERSION = 1


class Entry(NamedTuple):
    """A changelog record: `value` None deletes what an older generation wrote."""

    name: str
    generation: int
    value: bytes | None

    @property
    def key(self) -> bytes:
        return self.name.encode() + _GENERATION.pack(self.generation)


class Discarded(Entry):
    """Deletes what nobody of ours wrote, whatever its key is: `name` holds one character for each byte of it."""

    @property
    def key(self) -> bytes:
        return self.name.encode("latin-1")


def discarded(key: bytes) -> Entry:
    return Discarded(key.decode("latin-1"), 0, None)


def state_entry(relationship: str, generation: int, state: State) -> Entry:
    return Entry(relationship, generation, layout.dump(state))


def watermark_entry(generation: int, watermark: Watermark) -> Entry:
    return Entry(WATERMARK, generation, _WATERMARK.pack(_WATERMARK_VERSION, *watermark))


def programme_entry(generation: int, record: ProgrammeRecord) -> Entry:
    return Entry(PROGRAMME + record.name, generation, programme_record.dump(record))


# What reading bytes raises that are no layout of ours; a newer layout is another thing.
NO_LAYOUT = (struct.error, ValueError, LookupError, ArithmeticError, TypeError, MemoryError)


class Recovery:
    """Folds changelog records, in any order of generations, into states, watermark, and what was told of programmes:
    of each the latest record last. `unreadable`: the keys of what was put aside."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.watermark = Watermark()
        self.told: dict[str, list[ProgrammeRecord]] = {}
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
                    self.unreadable |= {Entry(name, generation, None).key for generation in values}
                    # What was told of a programme is told again from its topic.
                    self._outdated = self._outdated or not name.startswith(PROGRAMME)
            yield name
        if self._outdated:
            self.watermark = Watermark()
            self.states = {name: unread(state) for name, state in self.states.items()}

    def _merge(self, name: str, values: list[bytes]) -> None:
        if name == WATERMARK:
            self.watermark = max(map(_load_watermark, values))
        elif name.startswith(PROGRAMME):
            program = name.removeprefix(PROGRAMME)
            self.told[program] = sorted((programme_record.load(program, v) for v in values), key=lambda r: r.offset)
        else:
            outdated = not all(map(layout.is_current, values))
            self.states[name] = _merged(values)
            self._outdated = self._outdated or outdated


def unread(state: State) -> State:
    """What is left of a state whose log is read again: its programme, and that its rows may be wrong."""
    return State(stale_position=max(state.position, state.stale_position), home=state.home)


def _parsed(key: bytes) -> tuple[str, int]:
    """Raises one of NO_LAYOUT for a key that none of ours is like."""
    name, (generation,) = key[: -_GENERATION.size].decode(), _GENERATION.unpack(key[-_GENERATION.size :])
    tenant, _, rest = name.removeprefix(PROGRAMME).partition("/")
    if name != WATERMARK and not (tenant and rest):
        raise ValueError("no tenant/relationship, no tenant/program and no watermark")
    return name, generation


def _merged(values: list[bytes]) -> State:
    """Raises one of NO_LAYOUT."""
    first, *rest = map(layout.load, values)
    for other in rest:
        first = first.merge(other)
    for key in first.facts:
        groups(key)  # raises LookupError for a kind of fact that there is not
    return first


def _load_watermark(value: bytes) -> Watermark:
    version = value[0]
    if not 1 <= version <= _WATERMARK_VERSION + layout.NEWER:
        raise ValueError("no layout of a watermark")
    if version != _WATERMARK_VERSION:
        raise layout.UnknownLayoutError(f"the watermark has layout {version}, this service knows {_WATERMARK_VERSION}")
    _, offset, clock, clock_next = _WATERMARK.unpack(value)
    return Watermark(offset, clock, clock_next)
