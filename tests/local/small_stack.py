"""A supervisor in a separate process: `small_stack.py FOLDER [--deaf]`; prints the pids of its two services."""

import sys
from pathlib import Path

from rich.console import Console

from deploy.local.display import PlainLines
from deploy.local.running import StopRequestedError, StopSignals
from deploy.local.supervisor import Supervisor
from tests.local.supervised import small_service

folder, options = Path(sys.argv[1]), sys.argv[2:]
supervisor = Supervisor(PlainLines(Console()))
try:
    with StopSignals(supervisor.kill), supervisor:
        parts = [small_service("first", folder), small_service("second", folder, *options)]
        supervisor.start(parts, ready_seconds=60)
        print("pids", *(part.pid for part in parts), flush=True)  # noqa: T201
        supervisor.wait()
except StopRequestedError:
    print("stopped", flush=True)  # noqa: T201
