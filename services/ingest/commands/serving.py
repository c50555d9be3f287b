"""`rapport ingest serve` and `rapport ingest work`: the processes; and `rapport ingest project`, a part of `work` that
ends by itself."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from importlib import import_module

import click

from services.ingest import service
from services.ingest.console import explained, quiet_settings
from services.ingest.flow.people.projected_topics import FoldedOffsets
from services.ingest.flow.people.projector import projector
from services.ingest.flow.supervise import supervise
from services.ingest.settings import IngestSettings
from services.ingest.sources.connections import ConnectionsError, listed
from services.ingest.sources.tool import Connection
from services.ingest.workers import inherited, serve_in_workers
from services.runtime import log
from services.runtime.gc_tuning import freeze_imports
from services.runtime.health import Health
from services.runtime.loop import TryLaterError, later_if_away
from services.runtime.settings import SettingsError, describe, load
from services.runtime.stop import on_signal
from services.validation_errors import reason_of

SWITCH_SECONDS = 0.0005
# A collection stops all senders while it looks at what is young and alive: some 300 ns an object. So each object of a
# large body is looked at twice, in pieces of a few milliseconds; by default it would be several times.
COLLECTED_AFTER = (10_000, 4, 100)


# As many as a machine has cores; more of them only remember less each.
MOST_WORKERS = 64


CHECK = click.option("--check", is_flag=True, help="Print the settings and the connections, secrets hidden, and exit.")


@click.command()
@CHECK
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=1,
    show_default=True,
    help="Processes that serve one port together.",
)
@click.option("--listener", type=click.IntRange(0), hidden=True, help="Of a worker: the descriptor of its port.")
def serve(check: bool, workers: int, listener: int | None) -> None:  # noqa: FBT001 (click passes options by name)
    """Serve events, tools and the directory over HTTP.

    With several workers the health port tells of all; worker 1 has the next port for itself, with its metrics, and so
    on. When one ends by itself, all end."""
    # Of all commands only this one needs the web framework, and before `_run` sets aside what is imported.
    with freeze_imports():
        import_module("services.ingest.gateway.app")
    if listener is not None:
        _run(lambda settings, stop, tools: service.serve(settings, stop, tools, inherited(listener, stop)), check)
    elif workers > 1:
        _run(lambda settings, stop, _: serve_in_workers(settings, stop, workers), check)
    else:
        _run(service.serve, check)


@click.command()
@CHECK
def work(check: bool) -> None:  # noqa: FBT001 (click passes options by name)
    """Read the log and the raw topics: project the roster, translate what tools sent, conclude meetings.

    RAPPORT_INGEST_PARTS says which of it runs in this process."""
    _run(service.work, check)


def _run(
    run: Callable[[IngestSettings, threading.Event, Mapping[str, Connection]], None],
    check: bool,  # noqa: FBT001 (handed on from click)
) -> None:
    try:
        settings = load(IngestSettings, "ingest")
        connections = service.connections_of(settings)
    except (SettingsError, ConnectionsError) as problem:
        click.echo(f"rapport ingest: {problem}", err=True)
        sys.exit(2)
    if check:
        click.echo("\n".join([describe(settings), *listed(connections)]))
        return
    log.configure(settings, "ingest")
    # Large bodies are read on threads: the event loop gets its turn back ten times as soon as by default.
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTED_AFTER)
    # What is imported is never garbage: to look through it at every full collection stops all senders for a while.
    gc.collect()
    gc.freeze()
    with on_signal() as stop:
        try:
            run(settings, stop, connections)
        except Exception as failure:  # noqa: BLE001 (the last line of a process that must not live on)
            log.get(__name__).error("ingest_failed", error=reason_of(failure), exc_info=failure)
            sys.exit(1)


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
