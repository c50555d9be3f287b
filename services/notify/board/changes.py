"""Which subjects have changed, and up to which positions on the log that is known: so that a page which is looked at
gets what it has not seen yet."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.runtime.kafka import Record

LONGEST_SINCE = 8_000
_POSITION = re.compile(r"([spnda])([0-9]{1,5})\.([0-9]{1,18})")


class TopicPartition(NamedTuple):
    """A partition of one of the topics that are followed, by a letter."""

    topic: str
    partition: int


Positions = Mapping[TopicPartition, int]
"""The offset of the last record of each place that is known."""


def format_positions(positions: Positions) -> str:
    """`s0.17-s1.4`: the last offset of each place."""
    return "-".join(f"{place.topic}{place.partition}.{offset}" for place, offset in sorted(positions.items()))


def parse_positions(text: str) -> Positions:
    """Of anything: what is no position counts as not known, and is told again."""
    found = [_POSITION.fullmatch(part) for part in text[:LONGEST_SINCE].split("-")]
    return {TopicPartition(one[1], int(one[2])): int(one[3]) for one in found if one is not None}


@dataclass(frozen=True)
class SubjectChanges:
    """`keys` of subjects that have changed, and up to which count of changes these are all."""

    keys: list[str]
    count: int


class ChangeIndex:
    """Not for several threads at once: whoever has it takes a lock."""

    def __init__(self, letters: Mapping[str, str]) -> None:
        """`letters`: of the topics that have positions, by their names."""
        self._letters = letters
        self._positions: dict[TopicPartition, int] = {}
        # By subject: the last position of each place that was about it; and when it changed, the latest at the end.
        self._moved: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
        self._changed: dict[str, int] = {}
        self._count = 0

    def reach(self, record: Record) -> None:
        """Its position is known from now on, whatever it says."""
        letter = self._letters.get(record.topic)
        if letter is not None:
            self._positions[TopicPartition(letter, record.partition)] = record.offset

    def note(self, record: Record, key: str) -> None:
        """The record has changed the subject of this key."""
        self._count += 1
        self._changed.pop(key, None)
        self._changed[key] = self._count
        letter = self._letters.get(record.topic)
        if letter is not None:
            self._moved[key][TopicPartition(letter, record.partition)] = record.offset

    def positions(self) -> Positions:
        return dict(self._positions)

    def since(self, positions: Positions) -> SubjectChanges:
        """Of all that lies beyond these positions."""
        found = [key for key, at in self._moved.items() if any(o > positions.get(p, -1) for p, o in at.items())]
        return SubjectChanges(found, self._count)

    def after(self, count: int) -> SubjectChanges:
        found = []
        for key in reversed(self._changed):
            if self._changed[key] <= count:
                break
            found.append(key)
        return SubjectChanges(found, self._count)
