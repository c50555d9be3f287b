"""Runs a stack in the foreground until a signal or a failure ends it, and says what happened."""

import sys
from collections.abc import Callable

from rich.console import Console

from deploy.local.data_folder import DataFolderError
from deploy.local.display import Display, display_on
from deploy.local.kafka import JarsUnresolvedError, MissingToolError, StorageUnformattedError
from deploy.local.readiness import NotReadyError
from deploy.local.stack import READER, CommandFailedError, Stack, StackConfig
from deploy.local.stop_signals import StopRequestedError, StopSignals
from deploy.local.supervisor import PartFailedError

# What a person can act on: its message is enough, a traceback would hide it.
EXPECTED = (
    CommandFailedError,
    DataFolderError,
    JarsUnresolvedError,
    MissingToolError,
    NotReadyError,
    PartFailedError,
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
    finally:
        display.close()


def say_addresses(stack: Stack, display: Display) -> None:
    login = f" (login {READER}, password {READER}: reads mentoring and mentoring_mart)" if stack.clickhouse else ""
    display.say(f"gateway     {stack.gateway_url}")
    display.say(f"ClickHouse  {stack.clickhouse_url}{login}")
    display.say(f"logs        {stack.logs}")
    display.say(f"in a shell  . {stack.data / 'env'}")
    display.say("Ctrl-C stops everything; the data stays.")


def _run(stack: Stack, display: Display, when_ready: Callable[[Stack, Display], None]) -> None:
    with stack:
        try:
            when_ready(stack, display)
            stack.wait()
        finally:
            display.say("stopping")
