"""Small services for the tests of the supervisor."""

import sys
from pathlib import Path

from deploy.local.child import ChildCommand
from deploy.local.ports import free_port
from deploy.local.services import Service

SCRIPT = Path(__file__).with_name("small_service.py")


def small_service(name: str, folder: Path, *options: str) -> Service:
    port = free_port(taken=set())
    argv = (sys.executable, str(SCRIPT), name, str(port), str(folder / "journal"), *options)
    return Service(name, ChildCommand(argv, log=folder / f"{name}.log"), port)
