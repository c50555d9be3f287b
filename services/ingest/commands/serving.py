"""`rapport ingest serve` and `rapport ingest work` run the processes; `rapport ingest project` runs one part of `work`
to the end of the log."""

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
from services.ingest.console import quiet_settings, report_errors
from services.ingest.flow.people.projected_topics import ProjectionLag
from services.ingest.flow.people.projector import projector
from services.ingest.flow.supervise import supervise
from services.ingest.settings import IngestSettings
from services.ingest.sources.connections import ConnectionsError, describe_connections
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
# A garbage collection stops all requests while it scans young live objects: some 300 ns per object. With these
# thresholds each object of a large body is scanned twice, in pauses of a few milliseconds; with the defaults it would
# be several times.
GC_THRESHOLDS = (10_000, 4, 100)


# As many as a machine has cores; more workers only split the memory of duplicates.
MAX_WORKERS = 64


CHECK = click.option("--check", is_flag=True, help="Print the settings and connections without secrets, and exit.")


@click.command()
@CHECK
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    default=1,
    show_default=True,
    help="Number of processes that share the port.",
)
@click.option("--listener", type=click.IntRange(0), hidden=True, help="Of a worker: the descriptor of its port.")
def serve(check: bool, workers: int, listener: int | None) -> None:  # noqa: FBT001 (click passes options by name)
    """Serve events, tools and the directory over HTTP.

    With several workers the health port reports on all of them; worker 1 has its own at the next port, with its
    metrics, and so on. If one worker ends by itself, all end.
    """
    # Only this command needs the web framework. It is imported before `_run` freezes the imported objects.
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

    RAPPORT_INGEST_PARTS selects the parts that run in this process.
    """
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
        click.echo("\n".join([describe(settings), *describe_connections(connections)]))
        return
    log.configure(settings, "ingest")
    # Large bodies are parsed on threads: the event loop gets the interpreter back ten times as fast as by default.
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    # Imported objects are never garbage: scanning them at every full collection would stop all requests for a while.
    gc.collect()
    gc.freeze()
    with on_signal() as stop:
        try:
            run(settings, stop, connections)
        except Exception as failure:  # noqa: BLE001 (the last line of a process that must not live on)
            log.get(__name__).error("ingest_failed", error=reason_of(failure), exc_info=failure)
            sys.exit(1)


POLL_SECONDS = 0.5
REPORT_SECONDS = 2.0


@click.command()
def project() -> None:
    """Project the log into mentoring.roster and mentoring.bookings, and statements about people into
    mentoring.directory, once: for a log that is older than these topics. `rapport ingest work` does the same
    continuously, and may run at the same time. An interrupted run continues where it stopped."""
    with report_errors(), on_signal() as stop:
        settings, began = quiet_settings(), time.monotonic()
        with closing(ProjectionLag(settings)) as lag, projector(settings, Health(), stop) as parts:
            supervise({**parts, "progress": partial(_report_progress, lag, stop)}, stop)
        if lag.left:
            click.echo("stopped before the end of the log: run it again, it goes on from here", err=True)
            sys.exit(130)
        click.echo(f"projected up to the end of the log in {time.monotonic() - began:.0f} s")


def _report_progress(lag: ProjectionLag, stop: threading.Event) -> None:
    """Return, and so end the other parts, once the end that the log had at the start is reached."""
    reported_at = time.monotonic()
    while not stop.wait(POLL_SECONDS):
        try:
            with later_if_away():
                progress = f"{lag.refresh():,} records of the log are left"
        except TryLaterError as away:
            progress = str(away)
        if not lag.left:
            return
        if time.monotonic() - reported_at >= REPORT_SECONDS:
            reported_at = time.monotonic()
            click.echo(progress, err=True)
