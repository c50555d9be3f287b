"""`rapport ingest project`: folds the log into the roster and the bookings, and what is said of people into the
directory, up to their ends, and says how far it is."""

import sys
import threading
import time
from contextlib import closing
from functools import partial

import click

from services.ingest.console import explained, quiet_settings
from services.ingest.flow.people.projector import projector
from services.ingest.flow.people.standing_records import FoldedOffsets
from services.ingest.flow.supervise import supervise
from services.runtime.health import Health
from services.runtime.loop import TryLaterError, later_if_away
from services.runtime.stop import on_signal

ASKED_SECONDS = 0.5
SHOWN_SECONDS = 2.0


@click.command()
def project() -> None:
    """Fold the log into mentoring.roster and mentoring.bookings, and what is said of people into mentoring.directory,
    once: for a log that was written before these topics were there. `rapport ingest work` does the same while it runs,
    and may run meanwhile; an interrupted fold goes on where it stopped."""
    with explained(), on_signal() as stop:
        settings, began = quiet_settings(), time.monotonic()
        with closing(FoldedOffsets(settings)) as folded, projector(settings, Health(), stop) as parts:
            supervise({**parts, "progress": partial(_watch, folded, stop)}, stop)
        if folded.left:
            click.echo("stopped before the end of the log: run it again, it goes on from here", err=True)
            sys.exit(130)
        click.echo(f"projected up to the end of the log in {time.monotonic() - began:.0f} s")


def _watch(folded: FoldedOffsets, stop: threading.Event) -> None:
    """Returns when the end as it was at the beginning is reached, which ends the other parts too."""
    shown_at = time.monotonic()
    while not stop.wait(ASKED_SECONDS):
        try:
            with later_if_away():
                told = f"{folded.ask():,} records of the log are left"
        except TryLaterError as away:
            told = str(away)
        if not folded.left:
            return
        if time.monotonic() - shown_at >= SHOWN_SECONDS:
            shown_at = time.monotonic()
            click.echo(told, err=True)
