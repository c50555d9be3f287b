"""The process around the Faust application: how it starts, how it hears of a signal, how it ends."""

import logging
import os
import signal
import sys
import threading

import faust

from services.scoring.flow.faust.application import Application
from services.scoring.flow.liveness import watch

STOP_SECONDS = 1.8
"""So long a stop may take at the most; two seconds are promised."""


def execute(built: Application) -> None:
    """Does not return: exits with 0 after a signal, with 1 after anything unexpected."""
    # The level is only passed so that Faust draws no spinner; the logging is ours.
    worker = Process(built.app, loglevel=logging.INFO, quiet=True, override_logging=False, redirect_stdouts=False)
    watch(built.liveness.check, lambda: bool(worker.crashed))
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        # All is written and said. To free the states one by one, as Python does at its end, would take seconds.
        sys.stderr.flush()
        os._exit(int(ended.code or 0))


class Process(faust.Worker):  # type: ignore[misc]
    def _schedule_shutdown(self, number: signal.Signals) -> None:
        """The batch in work is finished. Told while it starts, Faust may wait for ever for what it has not yet begun;
        to end then is as good as any crash: it leaves no hole."""
        end = threading.Timer(STOP_SECONDS, os._exit, [0])
        end.daemon = True
        end.start()
        super()._schedule_shutdown(number)

    async def _sentinel_task(self) -> None:
        """Faust sleeps for a second here, when everything has ended: half of the time that a stop may take."""
