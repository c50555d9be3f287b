"""The processes of the services, in the order in which they start, their shared environment, and the probe of their
health ports."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.ports import LOOPBACK
from deploy.local.readiness import Readiness, State

TIMEOUT_SECONDS = 1.0


class StackProcess(NamedTuple):
    """`arguments` follow `rapport`; a service with several processes names each after its task."""

    name: str
    arguments: tuple[str, str]
    health_variable: str


# Consumers start before the producers of their topics: the gateway opens when everything behind it listens.
PROCESSES = (
    StackProcess("warehouse", ("warehouse", "serve"), "RAPPORT_WAREHOUSE_HEALTH_PORT"),
    StackProcess("scoring", ("scoring", "serve"), "RAPPORT_SCORING_HEALTH_PORT"),
    StackProcess("notify", ("notify", "serve"), "RAPPORT_NOTIFY_HEALTH_PORT"),
    StackProcess("notify-board", ("notify", "board"), "RAPPORT_NOTIFY_BOARD_HEALTH_PORT"),
    StackProcess("ingest-work", ("ingest", "work"), "RAPPORT_INGEST_WORK_HEALTH_PORT"),
    StackProcess("ingest", ("ingest", "serve"), "RAPPORT_INGEST_HEALTH_PORT"),
)
NAMES = tuple(process.name for process in PROCESSES)
PORTS = ("gateway", *NAMES, "pages")
"""The last one is that of the board's pages."""


def port_variables(ports: Mapping[str, int]) -> dict[str, str]:
    """`ports` by the names in `PORTS`: the gateway's, the board's, and each process's health port under the name of the
    process."""
    health = {process.health_variable: str(ports[process.name]) for process in PROCESSES}
    pages = str(ports["pages"])
    return {**health, "RAPPORT_INGEST_PORT": str(ports["gateway"]), "RAPPORT_NOTIFY_BOARD_PORT": pages}


class Service(Child):
    def __init__(self, name: str, command: ChildCommand, health_port: int) -> None:
        super().__init__(command)
        self.name, self.log = name, command.log
        self._health_port = health_port

    def probe(self) -> Readiness:
        return probe_readyz(self._health_port)


@dataclass(frozen=True)
class Launch:
    """`rapport` is the command line to which `NAME serve` is appended."""

    rapport: tuple[str, ...]
    logs: Path
    environment: Mapping[str, str]


def services(launch: Launch, ports: Mapping[str, int]) -> tuple[Service, ...]:
    environment = {**project_environment(), **launch.environment, "RAPPORT_LOG_FORMAT": "json"}
    commands = (
        (one.name, ChildCommand((*launch.rapport, *one.arguments), launch.logs / f"{one.name}.log", environment))
        for one in PROCESSES
    )
    return tuple(Service(name, command, ports[name]) for name, command in commands)


def probe_readyz(port: int) -> Readiness:
    """Read the state from the body of a 200 or a 503; no answer, or an incomplete one, counts as starting."""
    try:
        body = _answer(port)
    except (OSError, http.client.HTTPException):
        return Readiness(State.STARTING, "no answer yet", answered=False)
    try:
        status = json.loads(body)
        return Readiness(State(status["state"]), str(status.get("detail") or ""))
    except (ValueError, KeyError, TypeError):
        return Readiness(State.STARTING, body.decode(errors="replace").strip())


def _answer(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=TIMEOUT_SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.read()
