"""What a replay reads: the log, wherever a copy of it is kept."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol
from zlib import crc32

from services.scoring.flow.whole_log import Passed


class ReplaySourceError(Exception):
    """The source cannot be used; the message names the place and the reason."""


class Logged(NamedTuple):
    """A record of the log, not yet decoded."""

    relationship: str
    partition: int
    position: int
    value: bytes


class Upto(NamedTuple):
    """How far a partition is read: the position of its last record, and the clock up to which its rows are told."""

    position: int
    clock: int


class Part(NamedTuple):
    """One of so many parts of all relationships, each of which fits into memory."""

    number: int
    of: int

    def has(self, relationship: bytes) -> bool:
        return self.of == 1 or crc32(relationship) % self.of == self.number


class Source(Protocol):
    """`size` records in all. `upto` by partition. Those of a relationship come in the order of the log."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def upto(self) -> Mapping[int, Upto]: ...

    def records(self, part: Part, passed: Passed) -> Iterator[Logged]: ...
