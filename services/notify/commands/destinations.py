"""`rapport notify destinations`: check a file of them, or list those that are configured."""

import os
from pathlib import Path

import click

from services.notify.channels.destinations import DestinationsError, listed
from services.notify.channels.destinations_file import load_destinations
from services.notify.commands.common import destinations_or_exit, fail, settings_or_exit


@click.group()
def destinations() -> None:
    """Where messages can go."""


@destinations.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Validate a file of destinations, with the secrets that it names; nothing is sent."""
    try:
        found = load_destinations(file, os.environ)
    except DestinationsError as faults:
        fail(str(faults))
    for line in listed(found):
        click.echo(line)
    click.echo(f"{len(found.destinations)} destinations are valid")


@destinations.command("list")
def list_() -> None:
    """List the destinations of the settings and of their file, without addresses and secrets."""
    for line in listed(destinations_or_exit(settings_or_exit())):
        click.echo(line)
