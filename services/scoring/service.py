"""The composition root of `rapport scoring serve`: one process, from the first look for the broker to its end."""

import gc
import logging
import os
import signal
import sys
import threading

import faust

from services.runtime import health as health_
from services.runtime import log
from services.runtime.kafka import KafkaError, Reader
from services.scoring.flow.application import Application, application
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.watchdog import watch
from services.scoring.names import Names

GARBAGE_AFTER = (50_000, 20, 100)
"""Objects that come to life between two searches for garbage, and how many of these until a wider one. At Python's own
700 a fifth of the work of a run is spent on looking through events that all live until the run is over."""
STOP_SECONDS = 1.8
"""So long a stop may take at the most; two seconds are promised."""


def run(settings: ScoringSettings, names: Names) -> None:
    """Exits with 0 after a signal, with 1 and the reason after anything unexpected."""
    # Until Faust sets its own handler there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    log.configure(settings, "scoring")
    gc.set_threshold(*GARBAGE_AFTER)
    health = health_.Health()
    with health_.served(health, settings.host, settings.scoring_health_port):
        _work(settings, names, health)


class Process(faust.Worker):  # type: ignore[misc]
    def _schedule_shutdown(self, number: signal.Signals) -> None:
        """The run in work is finished. Told while it starts, Faust may wait for ever for what it has not yet begun; to
        end then is as good as any crash: it leaves no hole."""
        end = threading.Timer(STOP_SECONDS, os._exit, [0])
        end.daemon = True
        end.start()
        super()._schedule_shutdown(number)

    async def _sentinel_task(self) -> None:
        """Faust sleeps for a second here, when everything has ended: half of the time that a stop may take."""


def _work(settings: ScoringSettings, names: Names, health: health_.Health) -> None:
    try:
        built = application(settings, health, names, _partitions(settings, names, health))
        with built.programmes.following(settings, names):
            _execute(built)
    except KafkaError as problem:
        log.get(__name__).error("kafka_not_usable", reason=str(problem))
        sys.exit(1)


def _execute(built: Application) -> None:
    # The level is only passed so that Faust draws no spinner; the logging is ours.
    worker = Process(built.app, loglevel=logging.INFO, quiet=True, override_logging=False, redirect_stdouts=False)
    watch(built.liveness.check, lambda: bool(worker.crashed))
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        # All is written and said. To free the states one by one, as Python does at its end, would take seconds.
        sys.stderr.flush()
        os._exit(int(ended.code or 0))


def _partitions(settings: ScoringSettings, names: Names, health: health_.Health) -> int:
    """Waits while the broker is away: to end and be started again would look like a fault of ours, and supervisors give
    up on those. Raises KafkaError when it is there and the log is not."""
    while True:
        try:
            return _count(settings, names)
        except KafkaError as away:
            if not away.retriable:
                raise
            health.tell("starting", f"waits for the broker: {away}")
            log.get(__name__).warning("broker_away", reason=str(away))


def _count(settings: ScoringSettings, names: Names) -> int:
    """Each client tries for half a minute, at growing intervals, before it gives up."""
    reader = Reader(settings, group=None)
    try:
        return len(reader.assign([names.events]))
    finally:
        reader.close()
