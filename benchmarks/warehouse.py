"""Measures each ready query over a large history, and bytes per row: `--help`."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

import click

from benchmarks.machine import machine
from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.warehouse.catalogue import Query, queries
from services.warehouse.domain.migration import ONE_SERVER
from services.warehouse.flow.filling import unfilled_tables
from services.warehouse.flow.migrator import migrate
from services.warehouse.flow.recompute_all import recompute_all
from services.warehouse.settings import WarehouseSettings

# A year of programmes: pairs have events and scores about as often as in a live organisation.
DAYS = 364
BATCH_SIZE = 200_000
QUERY_PARAMETERS = {"relationship": "r-7", "person": "p-7", "at": "2024-06-30 12:00:00"}
ONE_PROGRAM_AIM, SCAN_AIM = 0.1, 0.5
# As the sink inserts: rows of one month at a time. Without this setting, splitting blocks by partition and searching
# for duplicates (there are none here) would take three times as long as everything else.
INSERT_SETTINGS = "SETTINGS optimize_on_insert = 0"
# Number n belongs to pair n % pairs; each pair's instants are spread evenly over the year.
KEYS = """
    'acme' AS tenant_id, concat('program-', toString((number % {pairs}) % {programs})) AS program_id,
    concat('r-', toString(number % {pairs})) AS relationship_id,
    toDateTime64('2024-01-01 00:00:00', 6, 'UTC')
        + toIntervalSecond(intDiv(number, {pairs}) * intDiv({days} * 86400, {each}) + number % 3600) AS at
"""
EVENTS = """
INSERT INTO mentoring.events
(
    tenant_id, program_id, relationship_id, occurred_at, event_id, type, source, id, recorded_at, actor, evidence,
    session_id, minutes, people, payload, position, version, log_partition, log_offset
)
WITH
    intDiv(number, {pairs}) AS turn,
    multiIf(turn = 0, 'relationship.started', turn = 1, 'relationship.expectations_agreed', turn = 2,
        'preparation.completed', turn = 3, 'goal.set', number % 5000 = 4321 AND turn % 5 = 4, 'event.retracted',
        turn = {each} - 1 AND number % 10 = 0, 'relationship.ended', turn % 100 = 60, 'skill.assessed',
        turn % 100 = 70, 'goal.achieved', turn % 100 = 80, 'introduction.made', turn % 100 = 90, 'resource.shared',
        turn % 200 = 150, 'support.requested', turn % 100 = 25, 'goal.revised', turn % 40 = 13, 'feedback.given',
        turn % 5 = 1, 'session.held', turn % 10 = 2, 'session.scheduled', turn % 10 = 7, 'goal.progressed',
        'message.sent') AS kind,
    if(turn % 2, 'mentor', 'mentee') AS side
SELECT
    tenant_id, program_id, relationship_id, at, reinterpretAsUUID(sipHash128(number)),
    concat('mentoring.', kind, '.v1'), '/tools/zoom', concat('e-', toString(number)), at + toIntervalSecond(30), side,
    'observed', if(startsWith(kind, 'session.'), concat('s-', toString(number)), ''), if(kind = 'session.held', 45, 0),
    if(turn = 0, [concat('p-', toString(intDiv(number % {pairs}, 2))), concat('q-', toString(number % {pairs}))], []),
    multiIf(
        turn = 0,
        format('{{{{"by":"admin","mentors":["p-{{}}"],"mentees":["q-{{}}"],"kind":"one_to_one","cohort":"c-{{}}"}}}}',
            toString(intDiv(number % {pairs}, 2)), toString(number % {pairs}), toString(number % 20)),
        kind = 'feedback.given',
        format('{{{{"by":"{{}}","rating":4,"scale_min":1,"scale_max":5,"about":"session"}}}}', side),
        kind = 'goal.set',
        format('{{{{"by":"{{}}","goal_id":"g-{{}}","smart":{{{{"specific":true,"measurable":false}}}}}}}}', side,
            toString(number % {pairs})),
        kind = 'skill.assessed', format('{{{{"by":"{{}}","skill":"listening","before":2,"after":3}}}}', side),
        kind = 'relationship.ended', '{{"by":"admin","planned":false,"reason_code":"moved","initiated_by":"mentee"}}',
        kind = 'event.retracted',
        format('{{{{"by":"admin","source":"/tools/zoom","id":"e-{{}}","type":"mentoring.message.sent.v1","time":"{{}}"}}}}',
            toString(number - {pairs}), formatDateTime(at - toIntervalSecond(
                intDiv({days} * 86400, {each}) + number % 3600 - (number - {pairs}) % 3600), '%FT%TZ')),
        turn % 5 = 4,
        format('{{{{"by":"{{}}","evidence":"observed","channel":"chat","reply_to":"e-{{}}"}}}}', side,
            toString(number - {pairs})),
        format('{{{{"by":"{{}}","evidence":"observed","channel":"chat"}}}}', side)
    ),
    number, 9223372036854775808 - number, number % 12, number
FROM (SELECT number, {keys} FROM numbers({first}, {count}) WHERE toYYYYMM(at) = {month})
"""
SCORES = """
INSERT INTO mentoring.{table}
(
    tenant_id, program_id, relationship_id, as_of, event_id, causes, health, band, risk, factors, deltas, factor_values,
    weights, risk_terms, confidence, trend, status, started, cadence_days, last_contact, sources, profile, model, kind,
    mode, recorded_at, position, version, log_partition, log_offset
)
WITH sipHash64(number) AS drawn, toInt32(drawn % 100000000) AS points
SELECT
    tenant_id, program_id, relationship_id, at, reinterpretAsUUID(sipHash128(number)), ['fact'], points,
    multiIf(points >= 75000000, 'thriving', points >= 50000000, 'steady', points >= 25000000, 'strained', 'critical'),
    toInt32(drawn % 1000000), map('rhythm', intDiv(points, 2), 'goals', points - intDiv(points, 2)),
    map('rhythm', 100, 'goals', -100), map('rhythm', 500000, 'goals', 500000),
    map('rhythm', 25000000, 'goals', 20000000), map('base', 500000), 400000, 0, 'active',
    toDateTime64('2024-01-01 00:00:00', 6, 'UTC'), 14000000, at, ['/tools/zoom'], 'default-1', '2026-1', 'changed',
    'live',
    at, number, 2 * number, number % 12, number
FROM (SELECT number, {keys} FROM numbers({first}, {count}) WHERE toYYYYMM(at) = {month})
"""
MONTHS = "SELECT DISTINCT toYYYYMM(at) AS month FROM (SELECT {keys} FROM numbers({first}, {count})) ORDER BY month"


@click.command(help=__doc__)
@click.option("--rows", default=20_000_000, show_default=True, help="Number of events, and of scores.")
@click.option("--each", default=400, show_default=True, help="Events per pair.")
@click.option("--programs", default=50, show_default=True, help="Number of programmes.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each query; the median counts.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the filled tables here and reuse them.")
def main(rows: int, each: int, programs: int, rounds: int, folder: Path | None) -> None:
    click.echo(f"{machine()}: {rows} events and scores, {rows // each} pairs, {programs} programmes")
    kept, folder = folder is not None, folder or Path(tempfile.mkdtemp(prefix="rapport-warehouse-"))
    try:
        with (
            LocalClickHouse(ClickHouseConfig(folder)) as server,
            closing(ClickHouse(WarehouseSettings(clickhouse=server.url))) as clickhouse,
        ):
            measure(clickhouse, ServerProcess(server.pid), Size(rows, each, programs, rounds))
    finally:
        if not kept:
            shutil.rmtree(folder)


@dataclass(frozen=True)
class Size:
    rows: int
    each: int
    programs: int
    rounds: int


@dataclass(frozen=True)
class ServerProcess:
    """Its CPU seconds are comparable even if other processes run on the machine."""

    pid: int

    def cpu(self) -> float:
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(clickhouse: ClickHouse, server: ServerProcess, size: Size) -> None:
    migrate(clickhouse, ONE_SERVER, lambda _: None)
    [(filled_rows,)] = clickhouse.query("SELECT max(log_offset) + 1 FROM mentoring.score_revisions")
    if filled_rows < size.rows:
        with report_cost(server, "filled"):
            fill(clickhouse, size, filled_rows)
    # Also if it was filled by an earlier version with other derived tables.
    if filled_rows < size.rows or unfilled_tables(clickhouse):
        with report_cost(server, "recomputed"):
            recompute_all(clickhouse, lambda _: None)
    with report_cost(server, "merged"):
        merge(clickhouse)
    for name, count, on_disk in clickhouse.query(
        "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'mentoring' "
        "GROUP BY table HAVING sum(rows) > 100 ORDER BY table"
    ):
        click.echo(f"{name:20} {count:>12} rows {on_disk / count:8.1f} bytes per row")
    click.echo(
        f"\n{'query':20} {'one programme':>14} {'CPU':>8} {'all':>10} {'CPU':>8}   (seconds, median of {size.rounds})"
    )
    for query in queries():
        one, everything = (time_query(clickhouse, server, query, program, size.rounds) for program in ("program-3", ""))
        beyond = "beyond the aim" if one[0] > ONE_PROGRAM_AIM or everything[0] > SCAN_AIM else ""
        click.echo(
            f"{query.name:20} {one[0]:14.3f} {one[1]:8.2f} {everything[0]:10.3f} {everything[1]:8.2f}   {beyond}"
        )


@contextmanager
def report_cost(server: ServerProcess, what: str) -> Iterator[None]:
    began, cpu = time.monotonic(), server.cpu()
    yield
    click.echo(f"{what} in {time.monotonic() - began:.0f} s, {server.cpu() - cpu:.0f} CPU seconds")


def fill(clickhouse: ClickHouse, size: Size, filled_rows: int) -> None:
    """Continues an interrupted filling."""
    pairs = size.rows // size.each
    names: Mapping[str, object] = {"pairs": pairs, "programs": size.programs, "days": DAYS, "each": size.each}
    for first in range(filled_rows // BATCH_SIZE * BATCH_SIZE, size.rows, BATCH_SIZE):
        count = min(BATCH_SIZE, size.rows - first)
        numbers = {"first": first, "count": count, "keys": KEYS.format(**names), **names}
        for (month,) in clickhouse.query(MONTHS.format(**numbers)):
            clickhouse.command(f"{EVENTS.format(month=month, **numbers)} {INSERT_SETTINGS}")
            for table in ("score_history", "score_revisions"):
                clickhouse.command(f"{SCORES.format(table=table, month=month, **numbers)} {INSERT_SETTINGS}")


def merge(clickhouse: ClickHouse) -> None:
    """Do what ClickHouse's background merges do within days for a table that grows for a year: here a year is filled in
    minutes, and recomputing has written existing rows again."""
    for table, partition in clickhouse.query(
        "SELECT table, partition_id FROM system.parts WHERE active AND database = 'mentoring' "
        "GROUP BY table, partition_id HAVING count() > 1 ORDER BY ALL"
    ):
        clickhouse.command(f"OPTIMIZE TABLE mentoring.{table} PARTITION ID '{partition}' FINAL")


def time_query(
    clickhouse: ClickHouse, server: ServerProcess, query: Query, program: str, rounds: int
) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    parameters = {key: value for key, value in QUERY_PARAMETERS.items() if key in query.parameters} | {
        "tenant": "acme",
        "program": program,
    }
    bound = query.parsed_parameters([f"{key}={value}" for key, value in parameters.items()])
    seconds: list[tuple[float, float]] = []
    for _ in range(rounds):
        began, cpu = time.monotonic(), server.cpu()
        clickhouse.query(query.statement, bound)
        seconds.append((time.monotonic() - began, server.cpu() - cpu))
    return median(wall for wall, _ in seconds), median(cpu for _, cpu in seconds)


if __name__ == "__main__":
    main()
