"""Measures the cost of a relationship in the core of scoring, without a broker: `python benchmarks/core.py --help`."""

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
from services.runtime.gc_tuning import raise_thresholds
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
"""Distinct relationships; beyond this number they are copies under other names."""
MIDNIGHTS = 3
LAST_EVENTS = 400
KEEP_EVERY = 7
"""For infrequent activity, keep one of this many events."""

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
    """Measure an in-order event alone in its batch; a midnight of many relationships; memory and start-up per
    relationship; and a row of whole histories, as replay and verify compute them. CPU time of one process, from records
    to the bytes that are written; large numbers are extrapolated from the slope."""
    found: dict[str, float] = {}
    measures: tuple[tuple[Callable[[int], Figures], int], ...] = (
        (live, LAST_EVENTS),
        (live_for_months, LAST_EVENTS),
        (midnights, relationships),
        (memory, relationships),
        (histories, SAMPLES),
    )
    for measure, size in measures:
        # Each measurement runs in a separate process, so that its memory does not affect others.
        with ProcessPoolExecutor(1, get_context("spawn"), raise_thresholds) as pool:
            found |= pool.submit(measure, size).result()
    for what, most in AIMS:
        met = "met" if found[what] <= most else "MISSED"
        click.echo(f"{what:50} {found[what]:10,.1f}   aim {most:,g}: {met}")
    click.echo(f"{relationships:,} relationships of {FACTS} facts, on {machine()}.")


def live(count: int) -> Figures:
    """Process the last events of a log, each in its own batch; time one half, and count calls in the other: of our own
    functions, and of all including Python's. Work that became due before an event does not count."""
    found = _in_order(list(_records(SAMPLES * FACTS, SAMPLES)), count)
    return {
        "an in-order event, us of CPU": found.spent,
        "an in-order event, calls": found.calls,
        "an in-order event, calls of our own functions": found.own_calls,
        "an in-order event, files": found.files,
    }


def live_for_months(count: int) -> Figures:
    """The same for relationships with as many events in seven months: most are older than what a state keeps
    in full."""
    records = list(islice(_records(SAMPLES * FACTS * KEEP_EVERY, SAMPLES), 0, None, KEEP_EVERY))
    found = _in_order(records, count)
    return {
        "an in-order event of seven months, us of CPU": found.spent,
        "an in-order event of seven months, calls": found.calls,
    }


class InOrder(NamedTuple):
    """Averages per event; `files` of ours that the median event passes."""

    spent: float
    calls: float
    own_calls: float
    files: float


def _in_order(records: Sequence[write_phases.LogRecord], count: int) -> InOrder:
    worker = write_phases.PartitionProcessor(1, ScoredPartition(Programmes(), {}, PartitionWatermark()), {})
    spent, calls, own_calls, files = 0.0, 0, 0, list[int]()
    for place, record in enumerate(records):
        assert record.event is not None, "the benchmark's log holds nothing but events"
        _serialize_all(worker.tick(to_micros(record.event.recordedtime)))
        if len(records) - count <= place < len(records) - count // 2:
            began = time.process_time()
            _serialize_all(worker.run([record]))
            spent += time.process_time() - began
        elif place >= len(records) - count // 2:
            profile = cProfile.Profile()
            profile.runcall(_serialize_all, worker.run([record]))
            # The figures of pstats are untyped.
            stats: Any = pstats.Stats(profile)
            ours = [
                (file, of[1]) for (file, _, _), of in stats.stats.items() if "/services/" in file or "/schemas/" in file
            ]
            calls += stats.total_calls
            own_calls += sum(made for _, made in ours)
            files.append(len({file for file, _ in ours}))
        else:
            _serialize_all(worker.run([record]))
    counted = len(files)
    return InOrder(spent / (count // 2) * 1e6, calls / counted, own_calls / counted, median(files))


def midnights(relationships: int) -> Figures:
    worker = _recovered(_changelog(relationships))
    rows, spent = 0, 0.0
    for _ in range(MIDNIGHTS):
        midnight = (worker.partition.clock // DAY + 1) * DAY
        # Work due before midnight, such as starting meetings, is not part of it.
        _serialize_all(worker.tick(midnight - 1))
        began = time.process_time()
        rows += _serialize_all(worker.tick(midnight))
        spent += time.process_time() - began
    return {"250,000 midnights, s of CPU": spent / rows * 250_000}


def memory(relationships: int) -> Figures:
    """Measure twice: the difference is the marginal cost, the first includes shared memory."""
    entries = list(_changelog(relationships))
    sizes, spent, kept = [], [], []
    for _ in range(2):
        began = time.process_time()
        kept.append(_recovered(entries))
        spent.append(time.process_time() - began)
        gc.collect()
        sizes.append(_resident())
    assert [len(worker.partition.states) for worker in kept] == [relationships] * 2, "not all were taken"
    return {
        "a relationship in memory, kB": (sizes[1] - sizes[0]) / relationships / 1e3,
        "a start with 1,000,000 relationships, s of CPU": spent[1] / relationships * 1e6,
    }


def histories(relationships: int) -> Figures:
    histories_by_key: dict[str, FullHistory] = defaultdict(FullHistory)
    until = NONE
    for record in _records(relationships * FACTS, relationships):
        if isinstance(record.event, OfRelationship):
            histories_by_key[record.key].add(record.event, record.offset)
            until = to_micros(record.event.time) + 90 * DAY
    began = time.process_time()
    found = digests([DigestRequest(name, history.facts, DEFAULT, until) for name, history in histories_by_key.items()])
    spent = time.process_time() - began
    return {"a row of a whole history, us of CPU": spent / sum(rows for rows, _ in found) * 1e6}


def _records(count: int, relationships: int) -> Iterator[write_phases.LogRecord]:
    for offset, (key, value) in enumerate(events.log(count, relationships)):
        yield write_phases.LogRecord(offset, key.decode(), MENTORING_EVENT.validate_json(value))


def _serialize_all(phases: Iterable[write_phases.Phase]) -> int:
    """Serialize everything that a worker writes; return the number of rows."""
    rows = 0
    for phase in phases:
        for write in phase:
            if isinstance(write, Emission):
                score_event(write)
                rows += 1
    return rows


def _changelog(relationships: int) -> Iterator[ChangelogEntry]:
    """The changelog of a worker that has applied FACTS events of each relationship."""
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


def _recovered(entries: Iterable[ChangelogEntry]) -> write_phases.PartitionProcessor:
    recovery = Recovery()
    for entry in entries:
        recovery.add(entry.key, entry.value)
    recovery.finish()
    partition = ScoredPartition(programmes_of(recovery.profiles.values()), recovery.states, recovery.watermark)
    for _ in partition.schedule_all():
        pass
    return write_phases.PartitionProcessor(2, partition, recovery.generations)


def _resident() -> int:
    """Return the resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
