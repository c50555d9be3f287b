"""`rapport scoring verify`: the rows in ClickHouse against the truth computed afresh from the log."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.primitives import from_micros, to_micros
from schemas.topics import SCORES
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Partition, Reader
from services.runtime.settings import Settings
from services.scoring.domain.facts import Facts
from services.scoring.domain.history import History
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.verification import Statement, Verdict, statement
from services.scoring.flow.log_reading import Stored, stored, true_facts
from services.scoring.names import Names

SINK_GROUP = "rapport-warehouse"
RELATIONSHIPS_AT_ONCE = 100
SINK_WITHIN = 120
"""Seconds that the sink may take to store what was told before the check began."""
ATTEMPTS = 3
"""A log that grows meanwhile makes a difference that is none: then the check is repeated."""
# The order of columns is that of _stored_statement.
_STORED = """
SELECT concat(tenant_id, '/', relationship_id) AS relationship, as_of, causes, health, band, risk,
       factors, factor_values, weights, deltas, before_as_of, before_health, before_band, before_risk
FROM mentoring.score_history FINAL
WHERE as_of <= {until:DateTime64(6, 'UTC')} AND concat(tenant_id, '/', relationship_id) IN {names:Array(String)}
"""
_NAMES = """
SELECT DISTINCT concat(tenant_id, '/', relationship_id) FROM mentoring.score_history FINAL
WHERE as_of <= {until:DateTime64(6, 'UTC')}
"""

Progress = Callable[[str], None]


class NotVerifiableError(Exception):
    """There is nothing to compare yet, or the warehouse does not catch up."""


@dataclass(frozen=True)
class Report:
    until: int
    verdict: Verdict
    stale: Sequence[str]
    relationships: int


def verify(settings: Settings, until: int | None, progress: Progress) -> Report:
    """Raises NotVerifiableError, KafkaError, ClickHouseError."""
    for attempt in range(1, ATTEMPTS + 1):
        progress("reading the stored states")
        before = stored(settings, Names())
        report = _compared(settings, before, until, progress)
        if report.verdict.equal or before.watermarks == stored(settings, Names()).watermarks:
            return report
        progress(f"the log has grown meanwhile, attempt {attempt} of {ATTEMPTS} is repeated")
    return report


def _compared(settings: Settings, known: Stored, until: int | None, progress: Progress) -> Report:
    clock = known.clock
    if clock is None:
        raise NotVerifiableError("scoring has stored nothing yet")
    until = clock if until is None else min(until, clock)
    progress("waiting for the warehouse to store what was told")
    _await_sink(settings)
    progress("reading the log")
    facts = true_facts(settings, Names(), known.watermarks)
    verdict = Verdict()
    stale = set(known.stale)
    warehouse = ClickHouse(settings)
    names = sorted((facts.keys() | _names(warehouse, until)) - stale)
    for begin in range(0, len(names), RELATIONSHIPS_AT_ONCE):
        progress(f"computing and comparing, {begin} of {len(names)} relationships done")
        chunk = names[begin : begin + RELATIONSHIPS_AT_ONCE]
        table = _stored_rows(warehouse, chunk, until)
        for name in chunk:
            verdict.add(name, _true_rows(facts.get(name, {}), until), table.get(name, {}))
    return Report(until, verdict, sorted(stale), len(names))


def _true_rows(facts: Facts, until: int) -> dict[int, Statement]:
    rows = History(facts, DEFAULT).rows(-1, until)
    return {as_of: statement(row) for as_of, row in rows.items()}


def _names(warehouse: ClickHouse, until: int) -> set[str]:
    return {name for (name,) in warehouse.query(_NAMES, {"until": from_micros(until)})}


def _stored_rows(warehouse: ClickHouse, names: Sequence[str], until: int) -> dict[str, dict[int, Statement]]:
    found: dict[str, dict[int, Statement]] = {}
    for name, as_of, *columns in warehouse.query(_STORED, {"until": from_micros(until), "names": list(names)}):
        found.setdefault(name, {})[_micros(as_of)] = _stored_statement(columns)
    return found


def _stored_statement(columns: Sequence[Any]) -> Statement:
    causes, health, band, risk, factors, values, weights, deltas, *before = columns
    parts = sorted((name, values[name], weights[name], points, deltas[name]) for name, points in factors.items())
    told = None if before[2] == "none" else (_micros(before[0]), before[1], before[2], before[3])
    return Statement(tuple(causes), health, band, risk, tuple(parts), told)


def _micros(moment: datetime) -> int:
    """clickhouse-connect gives naive datetimes where the column's zone is UTC."""
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _await_sink(settings: Settings) -> None:
    deadline = time.monotonic() + SINK_WITHIN
    reader = Reader(settings, SINK_GROUP)
    try:
        ends = reader.end_offsets(reader.assign([SCORES.name]))
        while behind := _behind(reader, ends):
            if time.monotonic() > deadline:
                raise NotVerifiableError(
                    f"the warehouse is {behind} records behind; is `rapport warehouse serve` running?"
                )
            time.sleep(0.2)
    finally:
        reader.close()


def _behind(reader: Reader, ends: Mapping[Partition, int]) -> int:
    behind = 0
    for partition, end in ends.items():
        committed = reader.committed(partition)
        behind += end - (committed.offset if committed else 0)
    return behind
