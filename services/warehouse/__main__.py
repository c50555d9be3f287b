"""`rapport warehouse`: the sink, the schema, the dictionary, backups, logins and the prepared queries."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import click
from pydantic import ValidationError

from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.gc_tuning import freeze_heap
from services.runtime.kafka import KafkaError
from services.runtime.settings import SettingsError, describe, load
from services.runtime.stop import on_signal
from services.validation_errors import reason_of
from services.warehouse import dictionary, service
from services.warehouse.answers import FORMATS, format_answer
from services.warehouse.catalogue import ParameterError, Query
from services.warehouse.catalogue import queries as ready_queries
from services.warehouse.domain.migration import Topology
from services.warehouse.domain.tables import FILL
from services.warehouse.domain.target import Feed, feed_of
from services.warehouse.flow.applying import RolesError, apply, passwords, read_roles
from services.warehouse.flow.backups import BackupError, back_up, set_back
from services.warehouse.flow.backups import restore as restore_backup
from services.warehouse.flow.filling import unfilled_tables
from services.warehouse.flow.migrator import SchemaError, retain, script
from services.warehouse.flow.migrator import migrate as bring_up_to_date
from services.warehouse.flow.recompute_all import recompute_all
from services.warehouse.flow.reconciling import reconcile as compare
from services.warehouse.settings import WarehouseSettings

MAX_DIFFERENCES = 20


@click.group()
def main() -> None:
    """Store the topics in ClickHouse, for data teams."""


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def serve(check: bool) -> None:  # noqa: FBT001 (click passes options by name)
    """Store the records of the log until SIGTERM."""
    settings = _settings()
    if check:
        click.echo(describe(settings))
        return
    run(settings, feed_of(settings.log_epoch))


def run(settings: WarehouseSettings, feed: Feed) -> None:
    """Serve until SIGTERM. On a failure, log one line of level error and exit with code 1."""
    log.configure(settings, "warehouse")
    freeze_heap()
    with on_signal() as stop:
        try:
            service.serve(settings, feed, stop)
        except SchemaError as problem:
            log.get(__name__).error("schema_too_old", error=str(problem))
            sys.exit(1)
        except Exception as failure:  # noqa: BLE001 (logs why the process ends)
            log.get(__name__).error("warehouse_failed", error=reason_of(failure), exc_info=failure)
            sys.exit(1)


@main.command()
@click.option("--print", "printed", is_flag=True, help="Print all statements for an empty server, and run none.")
@click.option("--cluster", help="Overrides RAPPORT_WAREHOUSE_CLUSTER; empty: one server.")
@click.option("--fill", is_flag=True, help="Fill new tables too, as `recompute` does, before dashboards read them.")
def migrate(*, printed: bool, cluster: str | None, fill: bool) -> None:
    """Create or update the tables and views, and set the retention of rows to RAPPORT_WAREHOUSE_KEEP_..._DAYS.
    Idempotent."""
    settings = _settings() if cluster is None else _settings(warehouse_cluster=cluster)
    topology = Topology(settings.warehouse_cluster)
    if printed:
        click.echo("".join(f"{one};\n\n" for one in script(topology, settings.retention)), nl=False)
        return
    with _reported_errors(), closing(ClickHouse(settings)) as clickhouse:
        bring_up_to_date(clickhouse, topology, click.echo)
        retain(clickhouse, topology, settings.retention, click.echo)
        if fill and (lacking := unfilled_tables(clickhouse)):
            recompute_all(clickhouse, lambda doing: click.echo(f"  {doing}", err=True), settings.retention)
            click.echo(f"filled   {', '.join(lacking)}")


@main.command()
def recompute() -> None:
    """Recompute all derived tables, for example after the scores were replaced. The service may keep running."""
    settings = _settings()
    with _reported_errors(), closing(ClickHouse(settings)) as clickhouse:
        relationships, days = recompute_all(
            clickhouse, lambda doing: click.echo(f"  {doing}", err=True), settings.retention
        )
    click.echo(f"recomputed {relationships} relationships and {days} days of programmes")


@main.command()
def reconcile() -> None:
    """Compare the log with the tables, by ranges of offsets and by days, up to the stored offsets. Exits with code 1 if
    they differ or if a table must be filled. The service may keep running."""
    settings = _settings()
    rows: Counter[str] = Counter()
    differences: list[str] = []
    with _reported_errors(), closing(ClickHouse(settings)) as clickhouse:
        for one in compare(
            settings, feed_of(settings.log_epoch), clickhouse, lambda doing: click.echo(doing, err=True)
        ):
            rows[one.table] += one.rows
            differences += [f"{one.table}, partition {one.partition}: {words}" for words in one.differences]
        differences += [f"{table}: perhaps not filled, {FILL}" for table in unfilled_tables(clickhouse)]
    for table, count in rows.items():
        click.echo(f"{table}: {count} rows on the log")
    for words in differences[:MAX_DIFFERENCES]:
        click.echo(words)
    if differences:
        raise click.ClickException(f"log and tables differ in {len(differences)} places")
    click.echo("equal")


@main.command()
@click.argument("name")
def backup(name: str) -> None:
    """Back up all databases under NAME, to RAPPORT_WAREHOUSE_BACKUPS. The service may keep running."""
    settings = _settings()
    with _reported_errors():
        back_up(settings, feed_of(settings.log_epoch), name, lambda doing: click.echo(f"  {doing}", err=True))
    click.echo(f"backed up as {name}")


@main.command()
@click.argument("name")
@click.option(
    "--offsets-only", is_flag=True, help="The databases are restored already: reset only the offsets of the service."
)
def restore(name: str, *, offsets_only: bool) -> None:
    """Restore the backup NAME into a server without our databases while the service is stopped. Afterwards the service
    reads again what was stored after the backup."""
    settings = _settings()
    feed = feed_of(settings.log_epoch)
    with _reported_errors():
        if offsets_only:
            set_back(settings, feed, name)
        else:
            restore_backup(settings, feed, name, lambda doing: click.echo(f"  {doing}", err=True))
    click.echo(f"restored {name}")


@main.command()
@click.option("--format", "kind", type=click.Choice(dictionary.FORMATS), default="markdown", show_default=True)
def docs(kind: str) -> None:
    """Print the data dictionary: every table, view and column with its comment, preceded by the tables that must be
    filled. `dbt` prints the marts as dbt sources."""
    with _reported_errors(), closing(ClickHouse(_settings())) as clickhouse:
        click.echo(dictionary.render(dictionary.read_dictionary(clickhouse), kind, _unfilled_warning()), nl=False)


@main.group()
def roles() -> None:
    """Manage logins of a server: the rights of the sink, migrations, analysts, readers and single programmes."""


@roles.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def apply_roles(file: Path) -> None:
    r"""Create or change the logins of FILE (TOML). Passwords come from the environment. Harmless to repeat, and to be
    repeated after `migrate`: views of single programmes are made anew.

    \b
    [[login]]
    name = "spruce"
    role = "program"        # sink, migrator, analyst, reader; a program names tenant and program
    tenant = "acme"
    program = "spruce"
    password_env = "SPRUCE_PASSWORD"
    """
    settings = _settings()
    with _reported_errors(), closing(ClickHouse(settings)) as clickhouse:
        logins = passwords(read_roles(file))
        apply(clickhouse, Topology(settings.warehouse_cluster), logins)
        for login, _ in logins:
            click.echo(f"{login.name}: {login.role}{f' ({login.database})' if login.database else ''}")


@main.command()
@click.argument("name", required=False)
@click.option(
    "--param", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; every query accepts tenant and program."
)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--sql", is_flag=True, help="Print the statement instead of running it, and its question on stderr.")
def queries(name: str | None, *, given: tuple[str, ...], kind: str, sql: bool) -> None:
    """List the prepared queries with their questions, or run the one named NAME with the reader's login."""
    by_name = {query.name: query for query in ready_queries()}
    if name is None:
        width = max(map(len, by_name))
        for query in by_name.values():
            click.echo(f"{query.name.ljust(width)}  {query.question}")
    elif name not in by_name:
        raise click.ClickException(f"there is no query {name!r}; there are {', '.join(by_name)}")
    elif sql:
        click.echo(by_name[name].comment, nl=False, err=True)
        click.echo(by_name[name].statement, nl=False)
    else:
        click.echo(ask(by_name[name], given, kind), nl=False)
        if lacking := _unfilled_warning():
            click.echo(lacking, err=True)


def ask(query: Query, given: Sequence[str], kind: str) -> str:
    """Run the query with the reader's login and return the answer as text."""
    settings = _settings()
    login = {"clickhouse_user": settings.warehouse_reader, "clickhouse_password": settings.warehouse_reader_password}
    with _reported_errors(), closing(ClickHouse(settings.model_copy(update=login))) as reader:
        return format_answer(reader.query_with_columns(query.statement, query.parsed_parameters(given)), kind)


def _unfilled_warning() -> str:
    """Return a warning for answers if tables may lack earlier rows and our own login can see that; otherwise
    nothing."""
    with suppress(ClickHouseError), closing(ClickHouse(_settings())) as clickhouse:
        if lacking := unfilled_tables(clickhouse):
            return f"answers may lack what was stored before, {FILL}: {', '.join(lacking)}"
    return ""


def _settings(**others: str) -> WarehouseSettings:
    try:
        found = load(WarehouseSettings, "warehouse")
        return WarehouseSettings.model_validate(found.model_dump() | others) if others else found
    except ValidationError as invalid:
        raise click.ClickException(f"--cluster: {invalid.errors(include_url=False)[0]['msg']}") from invalid
    except SettingsError as problem:
        click.echo(f"rapport warehouse: {problem}", err=True)
        sys.exit(2)


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Turn external failures into one line on stderr and exit code 1."""
    try:
        yield
    except (SchemaError, RolesError, ParameterError, BackupError) as problem:
        raise click.ClickException(str(problem)) from problem
    except ClickHouseError as problem:
        raise click.ClickException(f"ClickHouse: {problem}") from problem
    except KafkaError as problem:
        raise click.ClickException(f"Kafka: {problem}") from problem


if __name__ == "__main__":
    main()
