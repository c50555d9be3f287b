"""`rapport ingest connections check FILE` and `reload`."""

import os
from pathlib import Path

import click

from services.ingest.console import command_settings, report_errors
from services.ingest.flow.connections_reload import ReloadRefusedError, ask_to_reload
from services.ingest.sources.connections import POLL_SECONDS, ConnectionsError, describe_connections, load_connections

UNSET = "RAPPORT_INGEST_CONNECTIONS is not set: it names the file, for the processes of ingest and for this command"
NO_PROCESS = (
    "no process to ask: set RAPPORT_INGEST_RELOAD to the health ports of the processes of ingest, such as "
    f"127.0.0.1:8081,127.0.0.1:8082 (without this command a change is taken up within {2 * POLL_SECONDS:.0f} s)"
)


@click.group()
def connections() -> None:
    """Connections: the accounts of tools that send webhooks."""


@connections.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Read FILE (default: RAPPORT_INGEST_CONNECTIONS) and its secrets as ingest does at its start, and list the
    connections. Exits with 1 and lists every fault if ingest would not start."""
    with report_errors():
        settings = command_settings()
        named = file or settings.ingest_connections
        if named is None:
            raise click.ClickException(UNSET)
        try:
            loaded = load_connections(named, os.environ, settings.ingest_digest_key.get_secret_value())
        except ConnectionsError as wrong:
            raise click.ClickException(str(wrong)) from wrong
    for line in describe_connections(loaded):
        click.echo(line)


@connections.command("reload")
def reload_() -> None:
    """Make the running processes read their file of connections and its secrets again, now, and list the connections.

    They also do so by themselves a few seconds after a change. Exits with 1 and lists every fault if a process refuses
    the file: that process keeps its previous connections, and those after it are not asked. A process reads its
    environment variables only when it starts: put secrets that change into files.
    """
    with report_errors():
        settings = command_settings()
        if settings.ingest_connections is None:
            raise click.ClickException(UNSET)
        ports = (settings.ingest_work_health_port, settings.ingest_health_port)
        addresses = list(settings.ingest_reload) or [f"127.0.0.1:{port}" for port in ports if port]
        if not addresses:
            raise click.ClickException(NO_PROCESS)
        try:
            # The worker first: it must know every connection whose requests a gateway accepts.
            lines = [ask_to_reload(one, settings.ingest_digest_key.get_secret_value()) for one in addresses]
        except ReloadRefusedError as refused:
            raise click.ClickException(str(refused)) from refused
    for line in lines[-1]:
        click.echo(line)
    click.echo(f"taken up by {len(addresses)} processes: {len(lines[-1])} connections")
