"""An index of changed subjects by position on the log, so that an open page gets exactly the changes that it has not
seen."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.runtime.kafka import Record

LONGEST_SINCE = 8_000
_POSITION = re.compile(r"([spnda])([0-9]{1,5})\.([0-9]{1,18})")


class TopicPartition(NamedTuple):
    """A partition of a followed topic, which is named by a letter."""

    topic: str
    partition: int


Positions = Mapping[TopicPartition, int]
"""The offset of the last applied record of each partition."""


def format_positions(positions: Positions) -> str:
    """`s0.17-s1.4`: the last offset of each partition."""
    return "-".join(
        f"{partition.topic}{partition.partition}.{offset}" for partition, offset in sorted(positions.items())
    )


def parse_positions(text: str) -> Positions:
    """Parse any text: an invalid position counts as unknown, and its changes are sent again."""
    found = [_POSITION.fullmatch(part) for part in text[:LONGEST_SINCE].split("-")]
    return {TopicPartition(one[1], int(one[2])): int(one[3]) for one in found if one is not None}


@dataclass(frozen=True)
class SubjectChanges:
    """`keys` of changed subjects, and the number of changes that they include."""

    keys: list[str]
    count: int


class ChangeIndex:
    """Not thread-safe: the owner holds a lock."""

    def __init__(self, letters: Mapping[str, str]) -> None:
        """`letters`: by topic name, for topics that have positions."""
        self._letters = letters
        self._positions: dict[TopicPartition, int] = {}
        # By subject: the last position of each partition that changed it; and its change number, the latest at the end.
        self._last_positions: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
        self._change_numbers: dict[str, int] = {}
        self._count = 0

    def record_position(self, record: Record) -> None:
        """Record the position, whatever the record says."""
        letter = self._letters.get(record.topic)
        if letter is not None:
            self._positions[TopicPartition(letter, record.partition)] = record.offset

    def record_change(self, record: Record, key: str) -> None:
        """Record that the record has changed the subject of this key."""
        self._count += 1
        self._change_numbers.pop(key, None)
        self._change_numbers[key] = self._count
        letter = self._letters.get(record.topic)
        if letter is not None:
            self._last_positions[key][TopicPartition(letter, record.partition)] = record.offset

    def positions(self) -> Positions:
        return dict(self._positions)

    def since(self, positions: Positions) -> SubjectChanges:
        """Return the changes beyond these positions."""
        found = [
            key for key, at in self._last_positions.items() if any(o > positions.get(p, -1) for p, o in at.items())
        ]
        return SubjectChanges(found, self._count)

    def after(self, count: int) -> SubjectChanges:
        found = []
        for key in reversed(self._change_numbers):
            if self._change_numbers[key] <= count:
                break
            found.append(key)
        return SubjectChanges(found, self._count)
