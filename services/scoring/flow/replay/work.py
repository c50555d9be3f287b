"""What a process of a replay does: the rows of some relationships, from their records to the shadow, whose columns are
those that the sink writes from the events that tell them."""

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
from services.runtime.garbage import collect_seldom
from services.runtime.settings import Settings
from services.scoring.domain.bounds import NONE, millionths
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.row import HistoryRow, PrecedingRow
from services.scoring.domain.serialization import MODEL, SOURCE, UNCALIBRATED, event_id, told_columns
from services.scoring.domain.whole_histories import WholeHistory, digests
from services.scoring.flow.decoding import Refusal, event_of
from services.scoring.flow.replay.shadow import DONE, INSERT, SHADOW
from services.scoring.flow.replay.source import Upto


class ReplayJob(NamedTuple):
    """All records of a relationship that the source has, in the order of the log."""

    relationship: str
    partition: int
    records: list[tuple[int, bytes]]


@dataclass
class Worked:
    """What came of some jobs. `refused`: records that are no events of their relationship. `digests` of the rows by
    relationship, where they were only computed."""

    relationships: int = 0
    records: int = 0
    facts: int = 0
    rows: int = 0
    refused: int = 0
    digests: dict[str, bytes] = field(default_factory=dict)

    def add(self, other: "Worked") -> None:
        self.relationships += other.relationships
        self.records += other.records
        self.facts += other.facts
        self.rows += other.rows
        self.refused += other.refused
        self.digests |= other.digests


@dataclass(frozen=True)
class Task:
    """The same for all jobs. `warehouse` None: rows are only computed."""

    upto: Mapping[int, Upto]
    programmes: Mapping[int, Programmes]
    warehouse: Settings | None


def work(task: Task, jobs: Sequence[ReplayJob]) -> Worked:
    """Raises ClickHouseError: then the same jobs may be done again."""
    done, emissions, marks = Worked(), list[tuple[int, Emission]](), list[tuple[str, Upto]]()
    computed: list[WholeHistory] = []
    for job in jobs:
        account, refused = _account(job)
        done.add(Worked(1, len(job.records), len(account.facts), 0, refused))
        profiles = task.programmes[job.partition].of(job.relationship, account.program)
        upto = task.upto[job.partition]
        if task.warehouse is None:
            computed.append(WholeHistory(job.relationship, account.facts, profiles, upto.clock))
            continue
        place, rows = (job.relationship, account.program), ScoreHistory(account.facts, profiles).rows(NONE, upto.clock)
        done.rows += len(rows)
        emissions += [
            (job.partition, Emission(*place, at, account.position, row, changed=True, trigger=None))
            for at, row in rows.items()
        ]
        marks.append((job.relationship, upto))
    if task.warehouse is not None:
        _store(task.warehouse, emissions, marks)
    for history, (rows_of_it, digest) in zip(computed, digests(computed), strict=True):
        done.rows += rows_of_it
        done.digests[history.relationship] = digest
    return done


def _account(job: ReplayJob) -> tuple[FullHistory, int]:
    account, refused = FullHistory(), 0
    for position, value in job.records:
        event = event_of(value)
        if isinstance(event, Refusal | OfPartition) or event.partitionkey != job.relationship:
            refused += 1
        else:
            account.add(event, position)
    return account, refused


def _store(settings: Settings, emissions: Sequence[tuple[int, Emission]], marks: Sequence[tuple[str, Upto]]) -> None:
    with closing(ClickHouse(settings)) as clickhouse:
        # 1. The rows. 2. That they are there: a crash in between repeats them, and each replaces itself.
        if emissions:
            clickhouse.insert_columns(SHADOW, columns(emissions), INSERT)
        names = [relationship.split("/", 1) for relationship, _ in marks]
        done: dict[str, Sequence[Any]] = {
            "tenant_id": [tenant for tenant, _ in names],
            "relationship_id": [relationship for _, relationship in names],
            "position": [upto.position for _, upto in marks],
            "clock": [upto.clock for _, upto in marks],
        }
        clickhouse.insert_columns(DONE, done, INSERT)


AHEAD = 2
"""Portions per process that are handed over: one is worked on, one waits."""


def worked(task: Task, portions: Iterable[Sequence[ReplayJob]], processes: int) -> Iterator[Worked]:
    """In the order in which they are done. Raises whatever the work raises; what is under way then is finished."""
    if processes == 1:
        yield from (work(task, portion) for portion in portions)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _alone) as pool:
        waiting: set[Future[Worked]] = set()
        for portion in portions:
            waiting.add(pool.submit(work, task, portion))
            if len(waiting) >= AHEAD * processes:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        for future in waiting:
            yield future.result()


def _alone() -> None:
    """Ctrl-C goes to the whole terminal; the main process decides what becomes of the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    collect_seldom()


MODE = "replay"
NEVER = 0
"""How columns of instants say "none"."""


def columns(emissions: Iterable[tuple[int, Emission]]) -> dict[str, list[Any]]:
    """Of rows with the partitions that they belong to. A replayed row has no trigger, and no place on the topic."""
    found: dict[str, list[Any]] = {}
    for partition, emission in emissions:
        assert emission.row is not None, "a replay tells rows that are, and none that were"
        values = _place(partition, emission) | _score(emission.row) | _before(emission.row.before)
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def _place(partition: int, emission: Emission) -> dict[str, Any]:
    tenant, relationship = emission.relationship.split("/", 1)
    return {
        "tenant_id": tenant,
        "program_id": emission.program,
        "relationship_id": relationship,
        "as_of": emission.as_of,
        "event_id": _uuid(tenant, event_id(emission, MODE)),
        "kind": "changed",
        "mode": MODE,
        "recorded_at": emission.as_of,
        "position": emission.position,
        "version": 2 * emission.position,
        "is_deleted": 0,
        "log_partition": partition,
        "log_offset": 0,
    }


def _uuid(tenant: str, identity: str) -> int:
    """The warehouse's number for an event."""
    return int.from_bytes(hashlib.blake2b(f"{tenant}\0{SOURCE}\0{identity}".encode(), digest_size=16).digest(), "big")


def _score(row: HistoryRow) -> dict[str, Any]:
    evaluation = row.evaluation
    names, values, weights, contributions, deltas = told_columns(row)
    return {
        "causes": row.causes,
        "health": evaluation.health,
        "band": evaluation.band,
        "caps": evaluation.caps,
        "risk": evaluation.risk,
        "factors": dict(zip(names, contributions, strict=True)),
        "deltas": dict(zip(names, deltas, strict=True)),
        "factor_values": dict(zip(names, values, strict=True)),
        "weights": dict(zip(names, map(millionths, weights), strict=True)),
        "risk_terms": dict(evaluation.terms),
        "confidence": evaluation.confidence,
        "trend": row.trend,
        "status": row.status,
        "started": row.started,
        "cadence_days": millionths(row.cadence),
        "last_contact": row.last_contact or NEVER,
        "next_session": row.next_session or NEVER,
        "open_requests": row.open_requests,
        "sources": row.sources,
        "calibrated": row.calibration is not None,
        "profile": row.profile,
        "model": MODEL,
        "calibration": row.calibration or UNCALIBRATED,
    }


def _before(before: PrecedingRow | None) -> dict[str, Any]:
    if before is None:
        return {"before_as_of": NEVER, "before_health": 0, "before_band": "none", "before_risk": 0}
    evaluation = before.evaluation
    return {
        "before_as_of": before.at,
        "before_health": evaluation.health,
        "before_band": evaluation.band,
        "before_risk": evaluation.risk,
    }
