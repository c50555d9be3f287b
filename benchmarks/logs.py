"""The logs that contestants read, each built once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import broker, events
from benchmarks.broker import PARTITIONS, NewRecord
from benchmarks.changelog import changelog
from benchmarks.lineup import LogName
from services.runtime.settings import Settings

RELATIONSHIPS = 1_000
"""Number of relationships: a batch of 500 records touches some 200 of those on its partition."""


@dataclass(frozen=True)
class Sizes:
    """`events` of the log, `records` of the changelog."""

    events: int
    records: int


@dataclass(frozen=True)
class LogContext:
    sizes: Sizes
    settings: Settings
    folder: Path


class Log(NamedTuple):
    """A topic or a file; `size`: bytes of all values."""

    location: str
    records: int
    size: int

    def __str__(self) -> str:
        return f"{self.records:,} records of {self.size / self.records:,.0f} bytes"


def build_log(name: LogName, context: LogContext) -> Log:
    return _BUILDERS[name](context)


def _events(context: LogContext) -> Log:
    broker.create(context.settings, ("events",))
    records = (NewRecord(key, value) for key, value in events.log(context.sizes.events, RELATIONSHIPS))
    return Log("events", *broker.fill(context.settings, "events", records))


def _changelog(context: LogContext) -> Log:
    """Not compacted, so that every round reads the same records."""
    broker.create(context.settings, ("changelog",))
    records = changelog(max(context.sizes.records, PARTITIONS))
    return Log("changelog", *broker.fill(context.settings, "changelog", records))


def _file(context: LogContext) -> Log:
    return _write_lines(context.folder / "events.jsonl", _values(context.sizes))


def _values(sizes: Sizes) -> Iterator[bytes]:
    return (value for _, value in events.log(sizes.events, RELATIONSHIPS))


def _write_lines(path: Path, lines: Iterator[bytes]) -> Log:
    count = size = 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
            count, size = count + 1, size + len(line)
    return Log(str(path), count, size)


_BUILDERS: dict[LogName, Callable[[LogContext], Log]] = {
    "events": _events,
    "changelog": _changelog,
    "file": _file,
}
