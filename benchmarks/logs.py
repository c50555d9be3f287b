"""The logs that contestants run on, each made once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import broker, events
from benchmarks.broker import PARTITIONS, Written
from benchmarks.changelog import changelog
from benchmarks.lineup import LogName
from services.runtime.settings import Settings

RELATIONSHIPS = 1_000
"""Among which the events are: a run of 500 records touches some 200 of those on its partition."""


@dataclass(frozen=True)
class Sizes:
    """`records`: of the changelog."""

    events: int
    records: int


@dataclass(frozen=True)
class Workshop:
    sizes: Sizes
    settings: Settings
    folder: Path


class Log(NamedTuple):
    """A topic or a file; `size`: bytes of all values."""

    place: str
    records: int
    size: int

    def __str__(self) -> str:
        return f"{self.records:,} records of {self.size / self.records:,.0f} bytes"


def made(name: LogName, workshop: Workshop) -> Log:
    return _MAKERS[name](workshop)


def _events(workshop: Workshop) -> Log:
    broker.create(workshop.settings, ("events",))
    written = (Written(key, value) for key, value in events.log(workshop.sizes.events, RELATIONSHIPS))
    return Log("events", *broker.fill(workshop.settings, "events", written))


def _changelog(workshop: Workshop) -> Log:
    """Not compacted, so that every round reads the same."""
    broker.create(workshop.settings, ("changelog",))
    written = changelog(max(workshop.sizes.records, PARTITIONS))
    return Log("changelog", *broker.fill(workshop.settings, "changelog", written))


def _file(workshop: Workshop) -> Log:
    return _written(workshop.folder / "events.jsonl", _values(workshop.sizes))


def _values(sizes: Sizes) -> Iterator[bytes]:
    return (value for _, value in events.log(sizes.events, RELATIONSHIPS))


def _written(path: Path, lines: Iterator[bytes]) -> Log:
    count = size = 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
            count, size = count + 1, size + len(line)
    return Log(str(path), count, size)


_MAKERS: dict[LogName, Callable[[Workshop], Log]] = {
    "events": _events,
    "changelog": _changelog,
    "file": _file,
}
