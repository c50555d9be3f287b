"""The work of a replay process: the rows of some relationships, from their records to the shadow table, in the columns
that the sink writes for the same events."""

import hashlib
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, NamedTuple

from schemas.events import OfPartition
from services.runtime.clickhouse import ClickHouse
from services.runtime.gc_tuning import raise_thresholds
from services.runtime.settings import Settings
from services.scoring.domain.bounds import NONE
from services.scoring.domain.bulk_digests import DigestRequest, digests
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.serialization import MODEL, SOURCE, event_id
from services.scoring.domain.verification import comparable
from services.scoring.flow.decoding import Refusal, event_of
from services.scoring.flow.replay.shadow import DONE, INSERT, SHADOW
from services.scoring.flow.replay.source import Upto


class ReplayJob(NamedTuple):
    """All records of a relationship in the source, in the order of the log."""

    relationship: str
    partition: int
    records: list[tuple[int, bytes]]


@dataclass
class JobTotals:
    """The result of some jobs. `refused`: records that are no events of their relationship. `digests`: of the rows by
    relationship, if they were only computed."""

    relationships: int = 0
    records: int = 0
    facts: int = 0
    rows: int = 0
    refused: int = 0
    digests: dict[str, bytes] = field(default_factory=dict)

    def add(self, other: "JobTotals") -> None:
        self.relationships += other.relationships
        self.records += other.records
        self.facts += other.facts
        self.rows += other.rows
        self.refused += other.refused
        self.digests |= other.digests


@dataclass(frozen=True)
class Task:
    """Common to all jobs. `warehouse` None: rows are only computed."""

    upto: Mapping[int, Upto]
    programmes: Mapping[int, Programmes]
    warehouse: Settings | None


def run_portion(task: Task, jobs: Sequence[ReplayJob]) -> JobTotals:
    """Raises ClickHouseError: then the same jobs may be repeated."""
    done, emissions, finished = JobTotals(), list[tuple[int, Emission]](), list[tuple[str, str, int, int]]()
    computed: list[DigestRequest] = []
    for name, partition, records in jobs:
        history = FullHistory()
        for position, value in records:
            event = event_of(value)
            if isinstance(event, Refusal | OfPartition) or event.partitionkey != name:
                done.refused += 1
            else:
                history.add(event, position)
        done.add(JobTotals(1, len(records), len(history.facts)))
        profiles, upto = task.programmes[partition].of(name, history.program), task.upto[partition]
        if task.warehouse is None:
            computed.append(DigestRequest(name, history.facts, profiles, upto.clock))
            continue
        for at, row in ScoreHistory(history.facts, profiles).rows(NONE, upto.clock).items():
            emission = Emission(name, history.program, at, history.position, row, changed=True, trigger=None)
            emissions.append((partition, emission))
        tenant, _, relationship = name.partition("/")
        finished.append((tenant, relationship, upto.position, upto.clock))
    if task.warehouse is not None:
        done.rows = len(emissions)
        with closing(ClickHouse(task.warehouse)) as clickhouse:
            # 1. The rows. 2. The list of completed relationships: a crash in between repeats the rows, and each
            # replaces itself.
            if emissions:
                clickhouse.insert_columns(SHADOW, columns(emissions), INSERT)
            done_of = zip(
                ("tenant_id", "relationship_id", "position", "clock"), zip(*finished, strict=True), strict=True
            )
            clickhouse.insert_columns(DONE, {name: list(values) for name, values in done_of}, INSERT)
    for request, (rows_of_it, digest) in zip(computed, digests(computed), strict=True):
        done.rows += rows_of_it
        done.digests[request.relationship] = digest
    return done


QUEUED_PORTIONS = 2
"""Portions per process that are submitted: one is being computed, one waits."""


def _start_process() -> None:
    """Ctrl-C reaches the whole process group; the main process decides what happens to the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_thresholds()


def run_jobs(task: Task, portions: Iterable[Sequence[ReplayJob]], processes: int) -> Iterator[JobTotals]:
    """In the order of completion. Raises what a job raises; portions already started are completed."""
    if processes == 1:
        yield from (run_portion(task, portion) for portion in portions)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _start_process) as pool:
        waiting: set[Future[JobTotals]] = set()
        for portion in portions:
            waiting.add(pool.submit(run_portion, task, portion))
            if len(waiting) >= QUEUED_PORTIONS * processes:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        for future in waiting:
            yield future.result()


MODE = "replay"
NEVER = 0
"""The value for "none" in columns of instants."""


def columns(emissions: Iterable[tuple[int, Emission]]) -> dict[str, list[Any]]:
    """Of rows with their partitions. A replayed row has no trigger, and no offset on the topic."""
    rows = [_table_row(partition, emission) for partition, emission in emissions]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _table_row(partition: int, emission: Emission) -> dict[str, Any]:
    """The columns of a row are what `verify` compares of it."""
    assert emission.row is not None, "a replay emits rows, never deletions"
    tenant, relationship = emission.relationship.split("/", 1)
    identity = f"{tenant}\0{SOURCE}\0{event_id(emission, MODE)}".encode()
    columns_of_row = comparable(emission.row)._asdict()
    names = columns_of_row.pop("names")
    of_parts = {"contributions": "factors", "deltas": "deltas", "values": "factor_values", "weights": "weights"}
    maps = {column: dict(zip(names, columns_of_row.pop(part), strict=True)) for part, column in of_parts.items()}
    maps["risk_terms"] = dict(zip(columns_of_row.pop("term_names"), columns_of_row.pop("effects"), strict=True))
    before = zip(
        ("as_of", "health", "band", "risk"), columns_of_row.pop("before") or (NEVER, 0, "none", 0), strict=True
    )
    return {
        "tenant_id": tenant,
        "program_id": emission.program,
        "relationship_id": relationship,
        "as_of": emission.as_of,
        # The warehouse's event id.
        "event_id": int.from_bytes(hashlib.blake2b(identity, digest_size=16).digest(), "big"),
        "kind": "changed",
        "mode": MODE,
        "recorded_at": emission.as_of,
        "position": emission.position,
        "version": 2 * emission.position,
        "is_deleted": 0,
        "log_partition": partition,
        "log_offset": 0,
        "cadence_days": columns_of_row.pop("cadence"),
        "last_contact": columns_of_row.pop("last_contact") or NEVER,
        "next_session": columns_of_row.pop("next_session") or NEVER,
        **{f"before_{name}": value for name, value in before},
        **columns_of_row,
        **maps,
        "calibrated": emission.row.calibration is not None,
        "model": MODEL,
    }
