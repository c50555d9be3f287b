"""Applies the numbered SQL files, and checks whether the schema of a database is recent enough for this code."""

import threading
from collections.abc import Callable, Iterator
from importlib.resources import files

from services.runtime.clickhouse import ClickHouse, ClickHouseAwayError, ClickHouseError
from services.warehouse.domain.migration import Changed, Migration, Pending, Recorded, Topology, decide, statements
from services.warehouse.domain.retention import Retention, alter_ttl, ttl, ttl_of
from services.warehouse.domain.tables import FILL
from services.warehouse.domain.target import COPIED, STORED
from services.warehouse.flow.filling import fill_summaries, unfilled_tables

LEDGER = "mentoring.migrations"
# Unknown table, unknown database: no migration was ever applied.
NOTHING_THERE = frozenset({60, 81})


class SchemaError(Exception):
    """The tables do not match this code; the message says what to do."""


def migrations() -> tuple[Migration, ...]:
    """Return the files of this code in order, the ledger's own first."""
    folder = files("services.warehouse") / "migrations"
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".sql")), key=lambda p: p.name)
    return tuple(Migration(p.name.removesuffix(".sql"), p.read_text(encoding="utf-8")) for p in paths)


def migrate(clickhouse: ClickHouse, topology: Topology, report: Callable[[str], None]) -> None:
    """Bring the database to this code's schema, and report tables that must be filled until they are. Idempotent, also
    after a crash. Raises SchemaError when a file was changed after it was applied, and ClickHouseError."""
    ledger, *numbered = migrations()
    _run(clickhouse, topology, ledger)
    match decide(numbered, read_ledger(clickhouse)):
        case Changed(name):
            raise SchemaError(_changed_message(name))
        case Pending(pending):
            for migration in numbered:
                if migration not in pending:
                    report(f"is there {migration.name}")
            for migration in pending:
                _record(clickhouse, migration, "in_progress")
                _run(clickhouse, topology, migration)
                _record(clickhouse, migration, "completed")
                report(f"applied  {migration.name}")
    fill_summaries(clickhouse)
    if lacking := unfilled_tables(clickhouse):
        report(f"to fill  {', '.join(lacking)}: {FILL}")


def script(topology: Topology, retention: Retention) -> Iterator[str]:
    """Yield all statements that create this code's schema on an empty server, with the ledger's rows, to be run by hand
    in order. They are idempotent."""
    ledger, *numbered = migrations()
    for migration in (ledger, *numbered):
        yield from statements(topology.fill(migration.sql))
        if migration in numbered:
            row = f"('{migration.name}', '{migration.checksum}', 'completed')"
            yield f"INSERT INTO {LEDGER} (name, checksum, state) VALUES {row}"  # noqa: S608 (names of our files)
    for table in (one for one in (*STORED, *COPIED) if ttl(one, retention)):
        yield alter_ttl(table, ttl(table, retention), topology)


def retain(clickhouse: ClickHouse, topology: Topology, retention: Retention, report: Callable[[str], None]) -> None:
    """Set the TTL of every table. Expired rows are deleted in the background, at once and then whenever parts are
    merged. Raises ClickHouseError."""
    rows = clickhouse.query(
        "SELECT concat('mentoring.', name), engine_full FROM system.tables WHERE database = 'mentoring'"
    )
    there = {name: ttl_of(engine) for name, engine in rows}
    for table in (one for one in (*STORED, *COPIED) if one.kind):
        wanted = ttl(table, retention)
        if there[table.name] != wanted:
            clickhouse.command(alter_ttl(table, wanted, topology))
            report(f"keeps    {table.name}: {f'{retention.days_of(table.kind)} days' if wanted else 'for ever'}")


def read_ledger(clickhouse: ClickHouse) -> dict[str, Recorded]:
    try:
        rows = clickhouse.query(f"SELECT name, checksum, state FROM {LEDGER} FINAL")  # noqa: S608 (a constant)
    except ClickHouseError as error:
        if error.code in NOTHING_THERE:
            return {}
        raise
    return {name: Recorded(checksum, state) for name, checksum, state in rows}


def wait_for_schema(clickhouse: ClickHouse, stop: threading.Event, seconds: float) -> None:
    """Return when every migration of this code is completed, or `stop` is set. Raises SchemaError when that takes
    longer than `seconds`, and at once for problems that waiting does not solve."""
    problem, waited = _problem(clickhouse), 0.0
    while problem and waited < seconds and not stop.wait(0.5):
        waited += 0.5
        problem = _problem(clickhouse)
    if problem and not stop.is_set():
        raise SchemaError(f"{problem}, still after {seconds:.0f} s")


def _problem(clickhouse: ClickHouse) -> str:
    _, *numbered = migrations()
    try:
        decision = decide(numbered, read_ledger(clickhouse))
    except ClickHouseAwayError as away:
        return f"ClickHouse is away: {away}"
    match decision:
        case Changed(name):
            raise SchemaError(_changed_message(name))
        case Pending(()):
            return ""
        case Pending(pending):
            return f"the schema lacks {', '.join(m.name for m in pending)}: run `rapport warehouse migrate`"


def _changed_message(name: str) -> str:
    return (
        f"{name}.sql is not the file that was applied to this database. Migrations only go forward: "
        "restore the file, and put the change into a new one with the next number"
    )


def _run(clickhouse: ClickHouse, topology: Topology, migration: Migration) -> None:
    for statement in statements(topology.fill(migration.sql)):
        clickhouse.command(statement)


def _record(clickhouse: ClickHouse, migration: Migration, state: str) -> None:
    row = [migration.name, migration.checksum, state]
    clickhouse.insert(LEDGER, ["name", "checksum", "state"], [row], {"async_insert": 0})
