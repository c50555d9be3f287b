"""`rapport scoring replay`: all rows computed afresh from the log, into a shadow that takes the table's place."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from services.runtime.clickhouse import ClickHouse
from services.scoring.domain.telling import MODEL
from services.scoring.domain.verification import combined
from services.scoring.flow.heal.heal import Place, Progress
from services.scoring.flow.replay.pool import worked
from services.scoring.flow.replay.shadow import Changes, Phase, Shadow
from services.scoring.flow.replay.source import Part, Source
from services.scoring.flow.replay.work import Job, Task, Worked
from services.scoring.flow.sink import await_sink

RECORDS_AT_ONCE = 2_000_000
"""Records in memory: about a gigabyte."""
PORTION = 5_000
"""Records that a process takes at once: some seconds of work."""
TOGETHER = 200
"""Relationships that it takes at once, at the most."""
FOLLOWS = 10
"""Looks at what live scoring tells meanwhile; one that never rests is caught up with after the exchange."""


@dataclass(frozen=True)
class Effort:
    processes: int
    progress: Progress


@dataclass(frozen=True)
class Wish:
    """`recompute` the derived tables when the scores are exchanged; `keep` the table from before; `restart`: forget
    what an earlier replay has filled."""

    recompute: Callable[[], object]
    keep: bool = False
    restart: bool = False


@dataclass
class Computed:
    """`skipped`: records of relationships that an earlier replay, which was cut off, had done."""

    worked: Worked = field(default_factory=Worked)
    skipped: int = 0
    seconds: float = 0.0

    @property
    def hash(self) -> str:
        """Of the rows of a dry run: that of `verify` up to the same instant."""
        return combined(self.worked.digests)


@dataclass(frozen=True)
class Replayed:
    """`kept`: under which name the table from before is still there. `computed` None: a replay that was cut off after
    the exchange was brought to its end."""

    computed: Computed | None
    changes: Changes
    kept: str | None


def rehearse(task: Task, source: Source, effort: Effort) -> Computed:
    """Computes everything and stores nothing. Raises what the source raises."""
    return _computed(task, source, set(), effort)


def replay(place: Place, task: Task, source: Source, effort: Effort, wish: Wish) -> Replayed:
    """Cut off anywhere, the next call goes on. Raises UnusableShadowError, SinkBehindError, ClickHouseError, KafkaError
    and what the source raises."""
    with closing(ClickHouse(place.settings)) as clickhouse:
        shadow, computed = Shadow(clickhouse, f"{MODEL} from {source.name}"), None
        if wish.restart:
            shadow.forget()
        if shadow.phase() != Phase.EXCHANGED:
            shadow.begin()
            computed = _computed(task, source, shadow.done(), effort)
            _follow(place, shadow, effort.progress)
            shadow.exchange()
        effort.progress("taking over what was told last", 0, 0)
        await_sink(place.settings, place.names.scores, place.sink)
        shadow.bring_over()
        effort.progress("comparing", 0, 0)
        changes = shadow.changes()
        # Before the end: cut off here, the next call does it again.
        effort.progress("recomputing what is derived from scores", 0, 0)
        wish.recompute()
        return Replayed(computed, changes, shadow.end(keep=wish.keep))


def _computed(task: Task, source: Source, done: set[str], effort: Effort) -> Computed:
    began, found = time.monotonic(), Computed()
    parts = -(-source.size // RECORDS_AT_ONCE)
    for number in range(parts):
        jobs = _read(source, Part(number, parts), effort.progress)
        found.skipped += sum(len(job.records) for name, job in jobs.items() if name in done)
        left = [job for name, job in jobs.items() if name not in done]
        for some in worked(task, _portions(left), effort.processes):
            found.worked.add(some)
            effort.progress("computing", found.skipped + found.worked.records, source.size)
    found.seconds = time.monotonic() - began
    return found


def _read(source: Source, part: Part, progress: Progress) -> dict[str, Job]:
    jobs: dict[str, Job] = {}
    read = 0

    def passed(count: int) -> None:
        nonlocal read
        read += count
        progress("reading", read, source.size)

    for name, partition, position, value in source.records(part, passed):
        jobs.setdefault(name, Job(name, partition, [])).records.append((position, value))
    return jobs


def _portions(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    some: list[Job] = []
    records = 0
    for job in jobs:
        some.append(job)
        records += len(job.records)
        if records >= PORTION or len(some) >= TOGETHER:
            yield some
            some, records = [], 0
    if some:
        yield some


def _follow(place: Place, shadow: Shadow, progress: Progress) -> None:
    """Until nothing is left to follow."""
    for _ in range(FOLLOWS):
        progress("following live scoring", 0, 0)
        await_sink(place.settings, place.names.scores, place.sink)
        shadow.follow()
        if shadow.is_level():
            return
