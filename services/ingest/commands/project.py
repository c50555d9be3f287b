"""`rapport ingest project`: folds the log into the roster and the bookings, and what is said of people into the
directory, up to their ends, and says how far it is."""

import sys
import threading
import time
from functools import partial

import click

from services.ingest.commands.console import explained, quiet_settings
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.people.followers import ProjectionFollower
from services.ingest.flow.people.projector import projector
from services.ingest.flow.supervise import supervise
from services.runtime.health import Health
from services.runtime.stop import on_signal

SHOWN_SECONDS = 2.0


@click.command()
def project() -> None:
    """Fold the log into mentoring.roster and mentoring.bookings, and what is said of people into mentoring.directory,
    once: for a log that was written before these topics were there. `rapport ingest work` does the same while it runs,
    and may run meanwhile; an interrupted fold goes on where it stopped."""
    with explained(), on_signal() as stop:
        settings, health = quiet_settings(), Health()
        follower = ProjectionFollower(settings, Projection(), Health())
        began = time.monotonic()
        with projector(settings, health, stop) as parts:
            watching = {"follower": partial(follower.run, stop), "progress": partial(_watch, follower, stop)}
            supervise({**parts, **watching}, stop)
        if not follower.is_caught_up:
            click.echo("stopped before the end of the log: run it again, it goes on from here", err=True)
            sys.exit(130)
        click.echo(f"projected up to the end of the log in {time.monotonic() - began:.0f} s")


def _watch(follower: ProjectionFollower, stop: threading.Event) -> None:
    """Returns when the end as it was at the beginning is reached, which ends the other parts too."""
    while not stop.wait(SHOWN_SECONDS) and not follower.is_caught_up:
        click.echo(f"{follower.behind:,} records of the log are left", err=True)
