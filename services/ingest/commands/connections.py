"""`rapport ingest connections check FILE` and `reload`."""

import os
from pathlib import Path

import click

from services.ingest.console import command_settings, explained
from services.ingest.flow.connections_reload import ReloadRefusedError, ask_to_reload
from services.ingest.sources.connections import POLL_SECONDS, ConnectionsError, listed, load_connections

UNSET = "RAPPORT_INGEST_CONNECTIONS is not set: it names the file, for the processes of ingest and for this command"
NOBODY = (
    "no process to ask: set RAPPORT_INGEST_RELOAD to the health ports of the processes of ingest, such as "
    f"127.0.0.1:8081,127.0.0.1:8082 (without this command a change is taken up within {2 * POLL_SECONDS:.0f} s)"
)


@click.group()
def connections() -> None:
    """The tools that send webhooks."""


@connections.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Read FILE (default: RAPPORT_INGEST_CONNECTIONS) as ingest would when it starts, with its secrets, and list what
    it holds. Ends with 1 and every fault if it would not start."""
    with explained():
        settings = command_settings()
        named = file or settings.ingest_connections
        if named is None:
            raise click.ClickException(UNSET)
        try:
            found = load_connections(named, os.environ, settings.ingest_digest_key.get_secret_value())
        except ConnectionsError as wrong:
            raise click.ClickException(str(wrong)) from wrong
    for line in listed(found):
        click.echo(line)


@connections.command("reload")
def reload_() -> None:
    """Let the running processes read their file of connections and its secrets again, now, and list what it holds.

    They do so by themselves a few seconds after a change. Ends with 1 and every fault if one of them refuses the file:
    that one goes on with what it had, and those after it are not asked. What a variable of the environment holds a
    process learns only when it starts: secrets that change belong into files."""
    with explained():
        settings = command_settings()
        if settings.ingest_connections is None:
            raise click.ClickException(UNSET)
        ports = (settings.ingest_work_health_port, settings.ingest_health_port)
        addresses = list(settings.ingest_reload) or [f"127.0.0.1:{port}" for port in ports if port]
        if not addresses:
            raise click.ClickException(NOBODY)
        try:
            # In this order: what a gateway takes, the worker has to know.
            lines = [ask_to_reload(one, settings.ingest_digest_key.get_secret_value()) for one in addresses]
        except ReloadRefusedError as refused:
            raise click.ClickException(str(refused)) from refused
    for line in lines[-1]:
        click.echo(line)
    click.echo(f"taken up by {len(addresses)} processes: {len(lines[-1])} connections")
