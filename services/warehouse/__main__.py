"""`rapport warehouse`: the sink, the schema, the readers' login and the ready queries."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.settings import SettingsError, describe, load
from services.runtime.stop import on_signal
from services.validation_errors import reason_of
from services.warehouse import service
from services.warehouse.catalogue import queries as ready_queries
from services.warehouse.domain.migration import Topology
from services.warehouse.domain.target import Feed, feed_of
from services.warehouse.flow.everything import recompute_everything
from services.warehouse.flow.migrator import SchemaError
from services.warehouse.flow.migrator import migrate as bring_up_to_date
from services.warehouse.roles import READER, NoUsersInSqlError, create_reader
from services.warehouse.settings import WarehouseSettings


@click.group()
def main() -> None:
    """Topics into ClickHouse, for data teams."""


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def serve(check: bool) -> None:  # noqa: FBT001 (click passes options by name)
    """Store what arrives on the log, until SIGTERM."""
    settings = _settings()
    if check:
        click.echo(describe(settings))
        return
    run(settings, feed_of(settings.log_epoch))


def run(settings: WarehouseSettings, feed: Feed) -> None:
    """Serves until SIGTERM; one log line of level error and exit code 1 when it cannot go on."""
    log.configure(settings, "warehouse")
    with on_signal() as stop:
        try:
            service.serve(settings, feed, stop)
        except SchemaError as problem:
            log.get(__name__).error("schema_too_old", error=str(problem))
            sys.exit(1)
        except Exception as failure:  # noqa: BLE001 (the last line of a process that must not live on)
            log.get(__name__).error("warehouse_failed", error=reason_of(failure), exc_info=failure)
            sys.exit(1)


@main.command()
def migrate() -> None:
    """Create the tables and views, or bring them up to date. Harmless to repeat."""
    settings = _settings()
    with _explained():
        bring_up_to_date(ClickHouse(settings), Topology(settings.warehouse_cluster), click.echo)


@main.command()
def recompute() -> None:
    """Compute all derived tables anew, for example after the scores were replaced. The service may run on."""
    with _explained(), closing(ClickHouse(_settings())) as clickhouse:
        relationships, days = recompute_everything(clickhouse, lambda doing: click.echo(f"  {doing}", err=True))
    click.echo(f"recomputed {relationships} relationships and {days} days of programmes")


@main.command()
@click.option(
    "--reader-password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for if left out."
)
def roles(reader_password: str) -> None:
    """Create the login `reader`, which reads everything and changes nothing."""
    settings = _settings()
    with _explained():
        create_reader(ClickHouse(settings), Topology(settings.warehouse_cluster), reader_password)
    click.echo(f"the login {READER} may read mentoring_mart and mentoring")


@main.command()
@click.argument("name", required=False)
def queries(name: str | None) -> None:
    """List the ready queries, or print the one named NAME: its question on stderr, the statement on stdout."""
    known = {query.name: query for query in ready_queries()}
    if name is None:
        width = max(map(len, known))
        for query in known.values():
            click.echo(f"{query.name.ljust(width)}  {query.question}")
    elif name in known:
        click.echo(known[name].comment, nl=False, err=True)
        click.echo(known[name].statement, nl=False)
    else:
        raise click.ClickException(f"there is no query {name!r}; there are {', '.join(known)}")


def _settings() -> WarehouseSettings:
    try:
        return load(WarehouseSettings, "warehouse")
    except SettingsError as problem:
        click.echo(f"rapport warehouse: {problem}", err=True)
        sys.exit(2)


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what can go wrong outside of the program into one line and exit code 1."""
    try:
        yield
    except (SchemaError, NoUsersInSqlError) as problem:
        raise click.ClickException(str(problem)) from problem
    except ClickHouseError as problem:
        raise click.ClickException(f"ClickHouse: {problem}") from problem


if __name__ == "__main__":
    main()
