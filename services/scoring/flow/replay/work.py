"""What a process of a replay does: the rows of some relationships, from their records to the shadow."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.events import ClockReached
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.scoring.domain.account import Account
from services.scoring.domain.bounds import NONE
from services.scoring.domain.history import History
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.row import Row
from services.scoring.domain.verification import digest, statement
from services.scoring.flow.decoding import Refusal, event_of
from services.scoring.flow.replay.rows import columns
from services.scoring.flow.replay.shadow_sql import DONE, INSERT, SHADOW
from services.scoring.flow.replay.source import Upto


class Job(NamedTuple):
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


def work(task: Task, jobs: Sequence[Job]) -> Worked:
    """Raises ClickHouseError: then the same jobs may be done again."""
    done, emissions, marks = Worked(), list[tuple[int, Emission]](), list[tuple[str, Upto]]()
    for job in jobs:
        account, refused = _account(job)
        profiles = task.programmes[job.partition].of(job.relationship, account.program)
        upto = task.upto[job.partition]
        rows = History(account.facts, profiles).rows(NONE, upto.clock)
        done.add(Worked(1, len(job.records), len(account.facts), len(rows), refused))
        if task.warehouse is None:
            done.digests[job.relationship] = digest(job.relationship, {at: statement(r) for at, r in rows.items()})
        else:
            emissions += [(job.partition, emission) for emission in _emissions(job, account, rows)]
            marks.append((job.relationship, upto))
    if task.warehouse is not None:
        _store(task.warehouse, emissions, marks)
    return done


def _account(job: Job) -> tuple[Account, int]:
    account, refused = Account(), 0
    for position, value in job.records:
        event = event_of(value)
        if isinstance(event, Refusal | ClockReached) or event.partitionkey != job.relationship:
            refused += 1
        else:
            account.add(event, position)
    return account, refused


def _emissions(job: Job, account: Account, rows: Mapping[int, Row]) -> list[Emission]:
    name, program, position = job.relationship, account.program, account.position
    return [Emission(name, program, at, position, row, changed=True, trigger=None) for at, row in rows.items()]


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
