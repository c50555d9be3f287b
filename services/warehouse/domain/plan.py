"""The plan of a batch: the range to be stored, kept as offset metadata before any insert. After a crash exactly this
range is sent again, so that each range is eventually stored and its rows can be counted."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_FORM = re.compile(r"v1;last=(\d+);n=(\d+);crc=([0-9a-f]{8})")


@dataclass(frozen=True)
class Plan:
    """`first` is the committed offset itself; `count` and `crc` cover the values from `first` to `last`."""

    first: int
    last: int
    count: int
    crc: int

    def to_metadata(self) -> str:
        return f"v1;last={self.last};n={self.count};crc={self.crc:08x}"


@dataclass(frozen=True)
class Broken:
    """The log no longer holds the planned range."""

    reason: str


def plan(offsets: Sequence[int], values: Sequence[bytes | None]) -> Plan:
    crc = 0
    for value in values:
        crc = zlib.crc32(value or b"", crc)
    return Plan(offsets[0], offsets[-1], len(offsets), crc)


def parse_metadata(first: int, metadata: str) -> Plan | None:
    """Return None if there is no plan, or one of another version: the range is then stored as it is polled."""
    found = _FORM.fullmatch(metadata)
    return Plan(first, int(found[1]), int(found[2]), int(found[3], 16)) if found else None


def broken(planned: Plan, found: Plan, *, plain: bool) -> Broken | None:
    """Compare the log with the plan; topics with holes are compared by the ends of the range only."""
    if found.last != planned.last or (plain and found.first != planned.first):
        return Broken(f"planned {planned.first}..{planned.last}, the log gives {found.first}..{found.last}")
    if plain and (found.count, found.crc) != (planned.count, planned.crc):
        return Broken(f"{planned.first}..{planned.last} holds other records than were planned")
    return None
