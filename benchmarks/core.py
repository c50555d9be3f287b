"""What a relationship costs the core of scoring, without any broker: `python benchmarks/core.py --help`."""

import cProfile
import gc
import pstats
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

import click

from benchmarks import events
from benchmarks.machine import machine
from schemas.events import MENTORING_EVENT, OfRelationship
from schemas.primitives import to_micros
from services.runtime.garbage import collect_seldom
from services.scoring.domain import write_phases
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.bulk_digests import DigestRequest, digests
from services.scoring.domain.changelog import WATERMARK, ChangelogEntry, Recovery, watermark_entry
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.layout import PartitionWatermark
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.domain.profiles import DEFAULT, Programmes, programmes_of
from services.scoring.domain.serialization import score_event

FACTS = 60
"""Facts of a relationship: a month of a busy one."""
SAMPLES = 100
"""Relationships that differ; where there are more, the others are copies under other names."""
MIDNIGHTS = 3
LAST_EVENTS = 400
SELDOM = 7
"""Of so many events one is left where little happens."""

Figures = Mapping[str, float]


class Aim(NamedTuple):
    what: str
    most: float


AIMS = (
    Aim("an in-order event, us of CPU", 250),
    Aim("an in-order event, calls", 200),
    Aim("an in-order event, calls of our own functions", 200),
    Aim("an in-order event, files", 12),
    Aim("an in-order event of seven months, us of CPU", 250),
    Aim("an in-order event of seven months, calls", 200),
    Aim("250,000 midnights, s of CPU", 15),
    Aim("a relationship in memory, kB", 7),
    Aim("a start with 1,000,000 relationships, s of CPU", 120),
    Aim("a row of a whole history, us of CPU", 10),
)


@click.command()
@click.option("--relationships", type=click.IntRange(SAMPLES), default=10_000, show_default=True)
def main(relationships: int) -> None:
    """An event that comes in order, alone in its run; a midnight of many relationships; what each takes in memory and
    at a start; a row of whole histories, as replay and verify compute them. CPU time of one process, from records to
    the bytes that are written; large numbers are told by the slope."""
    found: dict[str, float] = {}
    measures: tuple[tuple[Callable[[int], Figures], int], ...] = (
        (live, LAST_EVENTS),
        (live_for_months, LAST_EVENTS),
        (midnights, relationships),
        (memory, relationships),
        (histories, SAMPLES),
    )
    for measure, size in measures:
        # Each in a process of its own: what one leaves in memory costs no other.
        with ProcessPoolExecutor(1, get_context("spawn"), collect_seldom) as pool:
            found |= pool.submit(measure, size).result()
    for what, most in AIMS:
        met = "met" if found[what] <= most else "MISSED"
        click.echo(f"{what:50} {found[what]:10,.1f}   aim {most:,g}: {met}")
    click.echo(f"{relationships:,} relationships of {FACTS} facts, on {machine()}.")


def live(count: int) -> Figures:
    """The last events of a log, each in a run of its own; half of them are timed, of the others the calls counted: of
    our own functions, and of all, Python's own included. What became due before an event is not its cost."""
    found = _in_order(list(_records(SAMPLES * FACTS, SAMPLES)), count)
    return {
        "an in-order event, us of CPU": found.spent,
        "an in-order event, calls": found.calls,
        "an in-order event, calls of our own functions": found.own_calls,
        "an in-order event, files": found.files,
    }


def live_for_months(count: int) -> Figures:
    """The same of relationships in which as much happens in seven months: most of it is beyond what a state keeps
    whole."""
    records = list(islice(_records(SAMPLES * FACTS * SELDOM, SAMPLES), 0, None, SELDOM))
    found = _in_order(records, count)
    return {
        "an in-order event of seven months, us of CPU": found.spent,
        "an in-order event of seven months, calls": found.calls,
    }


class InOrder(NamedTuple):
    """Of one event on the average; `files` of ours that an event in the middle passes."""

    spent: float
    calls: float
    own_calls: float
    files: float


def _in_order(records: Sequence[write_phases.LogRecord], count: int) -> InOrder:
    worker = write_phases.PartitionProcessor(1, ScoredPartition(Programmes(), {}, PartitionWatermark()), {})
    spent, calls, own_calls, files = 0.0, 0, 0, list[int]()
    for place, record in enumerate(records):
        assert record.event is not None, "the benchmark's log holds nothing but events"
        _written(worker.tick(to_micros(record.event.recordedtime)))
        if len(records) - count <= place < len(records) - count // 2:
            began = time.process_time()
            _written(worker.run([record]))
            spent += time.process_time() - began
        elif place >= len(records) - count // 2:
            profile = cProfile.Profile()
            profile.runcall(_written, worker.run([record]))
            # What pstats publishes of its figures has no types.
            stats: Any = pstats.Stats(profile)
            ours = [
                (file, of[1]) for (file, _, _), of in stats.stats.items() if "/services/" in file or "/schemas/" in file
            ]
            calls += stats.total_calls
            own_calls += sum(made for _, made in ours)
            files.append(len({file for file, _ in ours}))
        else:
            _written(worker.run([record]))
    counted = len(files)
    return InOrder(spent / (count // 2) * 1e6, calls / counted, own_calls / counted, median(files))


def midnights(relationships: int) -> Figures:
    worker = _taken(_changelog(relationships))
    rows, spent = 0, 0.0
    for _ in range(MIDNIGHTS):
        midnight = (worker.partition.clock // DAY + 1) * DAY
        # What comes before it by itself, as meetings that begin, is no midnight.
        _written(worker.tick(midnight - 1))
        began = time.process_time()
        rows += _written(worker.tick(midnight))
        spent += time.process_time() - began
    return {"250,000 midnights, s of CPU": spent / rows * 250_000}


def memory(relationships: int) -> Figures:
    """Twice: the difference is what so many more take, the first time pays for what all share."""
    entries = list(_changelog(relationships))
    sizes, spent, kept = [], [], []
    for _ in range(2):
        began = time.process_time()
        kept.append(_taken(entries))
        spent.append(time.process_time() - began)
        gc.collect()
        sizes.append(_resident())
    assert [len(worker.partition.states) for worker in kept] == [relationships] * 2, "not all were taken"
    return {
        "a relationship in memory, kB": (sizes[1] - sizes[0]) / relationships / 1e3,
        "a start with 1,000,000 relationships, s of CPU": spent[1] / relationships * 1e6,
    }


def histories(relationships: int) -> Figures:
    accounts: dict[str, FullHistory] = defaultdict(FullHistory)
    until = NONE
    for record in _records(relationships * FACTS, relationships):
        if isinstance(record.event, OfRelationship):
            accounts[record.key].add(record.event, record.offset)
            until = to_micros(record.event.time) + 90 * DAY
    began = time.process_time()
    found = digests([DigestRequest(name, account.facts, DEFAULT, until) for name, account in accounts.items()])
    spent = time.process_time() - began
    return {"a row of a whole history, us of CPU": spent / sum(rows for rows, _ in found) * 1e6}


def _records(count: int, relationships: int) -> Iterator[write_phases.LogRecord]:
    for offset, (key, value) in enumerate(events.log(count, relationships)):
        yield write_phases.LogRecord(offset, key.decode(), MENTORING_EVENT.validate_json(value))


def _written(phases: Iterable[write_phases.Phase]) -> int:
    """The bytes of all that a worker writes; how many of it are rows."""
    rows = 0
    for phase in phases:
        for write in phase:
            if isinstance(write, Emission):
                score_event(write)
                rows += 1
    return rows


def _changelog(relationships: int) -> Iterator[ChangelogEntry]:
    """As a worker leaves it that has applied FACTS events of each."""
    worker = write_phases.PartitionProcessor(1, ScoredPartition(Programmes(), {}, PartitionWatermark()), {})
    samples: dict[str, bytes | None] = {}
    for record in _records(SAMPLES * FACTS, SAMPLES):
        for phase in worker.run([record]):
            samples.update((write.name, write.value) for write in phase if isinstance(write, ChangelogEntry))
    del samples[WATERMARK]
    values = list(samples.values())
    for number in range(relationships):
        yield ChangelogEntry(f"{events.TENANT}/rel-{number:07}", 1, values[number % len(values)])
    yield watermark_entry(
        1, PartitionWatermark(worker.partition.offset, worker.partition.clock, worker.partition.clock)
    )


def _taken(entries: Iterable[ChangelogEntry]) -> write_phases.PartitionProcessor:
    recovery = Recovery()
    for entry in entries:
        recovery.add(entry.key, entry.value)
    recovery.finish()
    partition = ScoredPartition(programmes_of(recovery.profiles.values()), recovery.states, recovery.watermark)
    for _ in partition.schedule_all():
        pass
    return write_phases.PartitionProcessor(2, partition, recovery.generations)


def _resident() -> int:
    """Bytes of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
