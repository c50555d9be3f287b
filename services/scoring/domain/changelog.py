"""The changelog of one partition: states and the watermark, each under the generation of the assignment that wrote it.

A worker that lost its partition may still write for a moment. Its records carry another generation, so they never
replace a successor's; recovery merges all generations of a key, to which an old state adds nothing wrong."""

import struct
from collections import defaultdict
from typing import NamedTuple

from services.scoring.domain import layout
from services.scoring.domain.partition import Watermark
from services.scoring.domain.state import State

WATERMARK = "\0watermark"
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


def state_entry(relationship: str, generation: int, state: State) -> Entry:
    return Entry(relationship, generation, layout.dump(state))


def watermark_entry(generation: int, watermark: Watermark) -> Entry:
    return Entry(WATERMARK, generation, _WATERMARK.pack(_WATERMARK_VERSION, *watermark))


class Recovery:
    """Folds changelog records, in any order of generations, into states and watermark."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.watermark = Watermark()
        self.generations: dict[str, set[int]] = defaultdict(set)
        self._last: dict[str, dict[int, bytes]] = defaultdict(dict)

    def add(self, key: bytes, value: bytes | None) -> None:
        """Of one generation the last record of a key counts, as for compaction."""
        name, (generation,) = key[: -_GENERATION.size].decode(), _GENERATION.unpack(key[-_GENERATION.size :])
        if value is None:
            self._last[name].pop(generation, None)
        else:
            self._last[name][generation] = value

    def finish(self) -> "Recovery":
        """Merges the generations. Raises layout.UnknownLayoutError."""
        for name, values in self._last.items():
            if not values:
                continue
            self.generations[name] = set(values)
            if name == WATERMARK:
                self.watermark = max(map(_load_watermark, values.values()))
            else:
                self.states[name] = _merged(list(values.values()))
        self._last.clear()
        return self


def _merged(values: list[bytes]) -> State:
    first, *rest = map(layout.load, values)
    for other in rest:
        first = first.merge(other)
    return first


def _load_watermark(value: bytes) -> Watermark:
    version = value[0]
    if version != _WATERMARK_VERSION:
        raise layout.UnknownLayoutError(f"the watermark has layout {version}, this service knows {_WATERMARK_VERSION}")
    _, offset, clock, clock_next = _WATERMARK.unpack(value)
    return Watermark(offset, clock, clock_next)
