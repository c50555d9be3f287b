"""Runs a stack in the foreground until a signal or a failure ends it, and says what happened."""

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
from deploy.local.steps import ticking
from deploy.local.supervisor import PartFailedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds on two cores, the jars being there.
STARTED_WITHIN = 30
# What a person can act on: its message is enough, a traceback would hide it.
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
    """Exits with 0 after a signal, with 1 after a failure; in both cases nothing is left running.

    `when_ready` is called once in this thread, supervision going on; it may take its time.
    """
    display = display_on(Console())
    stack = Stack(config, display)
    try:
        with StopSignals(stack.kill):
            _run(stack, display, when_ready)
    except StopRequestedError:
        display.say("stopped")
    except EXPECTED as failure:
        display.close()
        sys.exit(f"rapport: {failure}")
    except OSError as failure:
        # A folder that nobody may write to, a disk that is full.
        display.close()
        sys.exit(f"rapport: {failure.filename or config.data}: {failure.strerror or failure}")
    finally:
        display.close()


def say_addresses(stack: Stack, display: Display) -> None:
    login = (
        f" (login and password {READER}: reads mentoring_mart; {ANALYST}: mentoring too)" if stack.clickhouse else ""
    )
    display.say(f"gateway     {stack.gateway_url}")
    display.say(f"board       {stack.board_url} (open to this machine, without login)")
    display.say(f"ClickHouse  {stack.clickhouse_url}{login}")
    display.say(f"logs        {stack.logs}")
    display.say(f"in a shell  . {stack.data / 'env'}")
    display.say("Ctrl-C stops everything; the data stays.")


def _run(stack: Stack, display: Display, when_ready: Callable[[Stack, Display], None]) -> None:
    with ExitStack() as opened:
        with ticking(display.say, STARTED_WITHIN):
            opened.enter_context(stack)
        try:
            when_ready(stack, display)
            stack.wait()
        finally:
            display.say("stopping")


class StopRequestedError(BaseException):
    """Like KeyboardInterrupt no `Exception`: whatever is under way is left."""


class StopSignals:
    """Ctrl-C and SIGTERM: the first asks for an orderly stop, the second ends everything at once. In the main thread
    only: the first raises `StopRequestedError` there, the second calls `kill`."""

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
