"""`rapport scoring replay`: recompute all rows from the log into a shadow table that replaces the table in use; and its
source as requested, `kafka` or a file."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.clickhouse import ClickHouse
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.serialization import MODEL
from services.scoring.domain.verification import combined
from services.scoring.flow.heal import HealEnvironment, Progress
from services.scoring.flow.histories import kind_of
from services.scoring.flow.log_reading import stored
from services.scoring.flow.replay.shadow import Changes, Phase, ShadowTable
from services.scoring.flow.replay.source import FileSource, KafkaSource, ReplaySource, ReplaySourceError, SourcePart
from services.scoring.flow.replay.work import JobTotals, ReplayJob, Task, run_jobs
from services.scoring.flow.sink import await_sink

RECORDS_AT_ONCE = 2_000_000
"""Records in memory: about a gigabyte."""
RECORDS_PER_PORTION = 5_000
"""Records per portion of a process: some seconds of work."""
RELATIONSHIPS_PER_PORTION = 200
"""Most relationships per portion."""
FOLLOW_ATTEMPTS = 10
"""Attempts to catch up with live scoring; if it never pauses, the rest is copied after the exchange."""


@dataclass(frozen=True)
class Effort:
    processes: int
    progress: Progress


@dataclass(frozen=True)
class ReplayOptions:
    """`recompute` the derived tables when the scores are exchanged; `keep` the previous table; `restart`: discard what
    an earlier replay has filled. `cluster`: where the table is replicated."""

    recompute: Callable[[], object]
    keep: bool = False
    restart: bool = False
    cluster: str = ""


@dataclass
class Computed:
    """`skipped`: records of relationships that an earlier, interrupted replay had completed."""

    totals: JobTotals = field(default_factory=JobTotals)
    skipped: int = 0
    seconds: float = 0.0

    @property
    def hash(self) -> str:
        """Of the rows of a dry run: equal to that of `verify` up to the same instant."""
        return combined(self.totals.digests)


@dataclass(frozen=True)
class Replayed:
    """`kept`: the name of the previous table, if it still exists. `computed` None: completed a replay that was
    interrupted after the exchange."""

    computed: Computed | None
    changes: Changes
    kept: str | None


def dry_run(task: Task, source: ReplaySource, effort: Effort) -> Computed:
    """Compute everything and store nothing. Raises what the source raises."""
    return _compute_all(task, source, set(), effort, lambda: None)


def replay(
    environment: HealEnvironment, task: Task, source: ReplaySource, effort: Effort, options: ReplayOptions
) -> Replayed:
    """After an interruption at any point, the next call continues. Raises UnusableShadowError, SinkBehindError,
    MaintenanceLostError, ClickHouseError, KafkaError and what the source raises."""
    with closing(ClickHouse(environment.settings)) as clickhouse:
        shadow, computed = ShadowTable(clickhouse, f"{MODEL} from {source.name}", options.cluster), None
        if options.restart:
            shadow.forget()
        if shadow.phase() != Phase.EXCHANGED:
            environment.check()
            shadow.begin()
            computed = _compute_all(task, source, shadow.done(), effort, environment.check)
            # Follow live scoring until the shadow has caught up.
            for _ in range(FOLLOW_ATTEMPTS):
                effort.progress("following live scoring", 0, 0)
                await_sink(environment.settings, environment.topics.scores, environment.sink)
                environment.check()
                shadow.follow()
                if shadow.is_caught_up():
                    break
            environment.check()
            shadow.exchange()
        effort.progress("copying the last rows of live scoring", 0, 0)
        await_sink(environment.settings, environment.topics.scores, environment.sink)
        environment.check()
        shadow.copy_late_rows()
        effort.progress("comparing", 0, 0)
        changes = shadow.changes()
        # Before the end: after an interruption here, the next call repeats it.
        effort.progress("recomputing what is derived from scores", 0, 0)
        options.recompute()
        environment.check()
        return Replayed(computed, changes, shadow.end(keep=options.keep))


def _compute_all(
    task: Task, source: ReplaySource, done: set[str], effort: Effort, check: Callable[[], object]
) -> Computed:
    began, found, read = time.monotonic(), Computed(), 0

    def passed(count: int) -> None:
        nonlocal read
        read += count
        effort.progress("reading", read, source.size)

    parts = -(-source.size // RECORDS_AT_ONCE)
    for number in range(parts):
        jobs: dict[str, ReplayJob] = {}
        read = 0
        for name, partition, position, value in source.records(SourcePart(number, parts), passed):
            jobs.setdefault(name, ReplayJob(name, partition, [])).records.append((position, value))
        found.skipped += sum(len(job.records) for name, job in jobs.items() if name in done)
        left = [job for name, job in jobs.items() if name not in done]
        for some in run_jobs(task, _portions(left), effort.processes):
            check()
            found.totals.add(some)
            effort.progress("computing", found.skipped + found.totals.records, source.size)
    found.seconds = time.monotonic() - began
    return found


def _portions(jobs: Sequence[ReplayJob]) -> Iterator[Sequence[ReplayJob]]:
    some: list[ReplayJob] = []
    records = 0
    for job in jobs:
        some.append(job)
        records += len(job.records)
        if records >= RECORDS_PER_PORTION or len(some) >= RELATIONSHIPS_PER_PORTION:
            yield some
            some, records = [], 0
    if some:
        yield some


KAFKA = "kafka"


@dataclass(frozen=True)
class ReplayOrigin:
    """A source, and the profiles by which each of its partitions is scored."""

    source: ReplaySource
    programmes: Mapping[int, Programmes]


def origin(environment: HealEnvironment, asked: str) -> ReplayOrigin:
    """The origin of a replay that replaces the table: scored by the profiles that each partition has applied, as its
    live rows are. Raises ReplaySourceError, KafkaError."""
    stored_states = stored(environment.settings, environment.topics)
    if not stored_states.watermarks:
        raise ReplaySourceError("scoring has stored nothing yet: there is nothing to replay")
    if asked == KAFKA:
        return ReplayOrigin(
            KafkaSource(environment.settings, environment.topics, stored_states), stored_states.programmes
        )
    source = _file(asked)
    if not source.has_positions:
        raise ReplaySourceError(
            f"{asked}: its records have no partition and offset, so what live scoring has emitted since is unknown: "
            "only --dry-run can read it"
        )
    missing = sorted(stored_states.watermarks.keys() - source.upto.keys())
    if missing:
        raise ReplaySourceError(f"{asked}: has nothing of the partitions {missing} of the log")
    return ReplayOrigin(source, stored_states.programmes)


def file_origin(asked: str) -> ReplayOrigin:
    """A file alone, without broker and database: scored by the profiles that it sets. Raises ReplaySourceError."""
    source = _file(asked)
    return ReplayOrigin(source, source.programmes)


def _file(asked: str) -> FileSource:
    file = Path(asked)
    if not file.is_file():
        raise ReplaySourceError(f"{asked}: there is no such file; else say {KAFKA}")
    if kind_of(file) != ".jsonl":
        raise ReplaySourceError(f"{file}: must be named .jsonl or .jsonl.gz")
    return FileSource(file)
