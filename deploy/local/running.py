"""Runs a stack in the foreground until a signal or a failure ends it, and reports what happened."""

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Self

from rich.console import Console

from deploy.local.data_folder import DataFolderError
from deploy.local.display import Display, display_on
from deploy.local.kafka import JarsUnresolvedError, MissingToolError, StorageUnformattedError
from deploy.local.ports import PortTakenError
from deploy.local.readiness import NotReadyError
from deploy.local.stack import ANALYST, READER, CommandFailedError, Stack, StackConfig
from deploy.local.steps import periodic_progress
from deploy.local.supervisor import PartFailedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds on two cores, with the jars in the cache.
STARTED_WITHIN = 30
# Errors that the user can act on: the message is enough, a traceback would hide it.
EXPECTED = (
    CommandFailedError,
    DataFolderError,
    JarsUnresolvedError,
    MissingToolError,
    NotReadyError,
    PartFailedError,
    PortTakenError,
    StorageUnformattedError,
)


def run_stack(config: StackConfig, when_ready: Callable[[Stack, Display], None]) -> None:
    """Exit with 0 after a signal and with 1 after a failure; in both cases nothing is left running.

    `when_ready` is called once in this thread, while the stack is supervised; it may take its time.
    """
    display = display_on(Console())
    stack = Stack(config, display)
    try:
        with StopSignals(stack.kill):
            _run(stack, display, when_ready)
    except StopRequestedError:
        display.report("stopped")
    except EXPECTED as failure:
        display.close()
        sys.exit(f"rapport: {failure}")
    except OSError as failure:
        # A folder without write permission, a full disk.
        display.close()
        sys.exit(f"rapport: {failure.filename or config.data}: {failure.strerror or failure}")
    finally:
        display.close()


def report_addresses(stack: Stack, display: Display) -> None:
    login = (
        f" (login and password {READER}: reads mentoring_mart; {ANALYST}: mentoring too)" if stack.clickhouse else ""
    )
    display.report(f"gateway     {stack.gateway_url}")
    display.report(f"board       {stack.board_url} (open to this machine, without login)")
    display.report(f"ClickHouse  {stack.clickhouse_url}{login}")
    display.report(f"logs        {stack.logs}")
    display.report(f"in a shell  . {stack.data / 'env'}")
    display.report("Ctrl-C stops everything; the data stays.")


def _run(stack: Stack, display: Display, when_ready: Callable[[Stack, Display], None]) -> None:
    with ExitStack() as opened:
        with periodic_progress(display.report, STARTED_WITHIN):
            opened.enter_context(stack)
        try:
            when_ready(stack, display)
            stack.wait()
        finally:
            display.report("stopping")


class StopRequestedError(BaseException):
    """No subclass of `Exception`, like KeyboardInterrupt, so that it aborts whatever is running."""


class StopSignals:
    """Handles Ctrl-C and SIGTERM, in the main thread only: the first raises `StopRequestedError` there, the second
    calls `kill`."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._asked = False

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._received) for number in SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            self._kill()
            return
        self._asked = True
        raise StopRequestedError
