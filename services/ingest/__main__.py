"""`rapport ingest`: the gateway and its commands."""

import sys

import click

from services.ingest import service
from services.ingest.commands.programs import programs
from services.ingest.commands.token_command import token
from services.ingest.importing.command import import_events
from services.ingest.settings import IngestSettings
from services.runtime import log
from services.runtime.settings import SettingsError, describe, load
from services.runtime.stop import on_signal


@click.group()
def main() -> None:
    """Raw input becomes trusted events."""


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def serve(check: bool) -> None:  # noqa: FBT001 (click passes options by name)
    """Serve POST /v1/events, and read the raw topic if it is configured."""
    settings = _settings()
    if check:
        click.echo(describe(settings))
        return
    log.configure(settings, "ingest")
    with on_signal() as stop:
        try:
            service.serve(settings, stop)
        except Exception as failure:  # noqa: BLE001 (the last line of a process that must not live on)
            log.get(__name__).error("ingest_failed", error=str(failure), exc_info=failure)
            sys.exit(1)


def _settings() -> IngestSettings:
    try:
        return load(IngestSettings, "ingest")
    except SettingsError as problem:
        click.echo(f"rapport ingest: {problem}", err=True)
        sys.exit(2)


main.add_command(token)
main.add_command(programs)
main.add_command(import_events)

if __name__ == "__main__":
    main()
