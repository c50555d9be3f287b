"""The services' processes, in the order in which they start, and the environment they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deploy.local.child import ChildCommand, with_project
from deploy.local.service import Service


class StackProcess(NamedTuple):
    """`arguments` come after `rapport`; a service with several processes names each after what it does."""

    name: str
    arguments: tuple[str, str]
    health_variable: str


# Consumers before the producer of what they consume: the gateway opens when everything behind it listens.
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
"""The last is that of the board's pages."""


def port_variables(ports: Mapping[str, int]) -> dict[str, str]:
    """`ports` by the names in `PORTS`: the gateway's, the board's, and each process's health port under its own
    name."""
    health = {process.health_variable: str(ports[process.name]) for process in PROCESSES}
    pages = str(ports["pages"])
    return {**health, "RAPPORT_INGEST_PORT": str(ports["gateway"]), "RAPPORT_NOTIFY_BOARD_PORT": pages}


@dataclass(frozen=True)
class Launch:
    """`rapport` is the command line that `NAME serve` is added to."""

    rapport: tuple[str, ...]
    logs: Path
    environment: Mapping[str, str]


def services(launch: Launch, ports: Mapping[str, int]) -> tuple[Service, ...]:
    return tuple(Service(one.name, _command(launch, one), ports[one.name]) for one in PROCESSES)


def _command(launch: Launch, process: StackProcess) -> ChildCommand:
    environment = {**with_project(), **launch.environment, "RAPPORT_LOG_FORMAT": "json"}
    return ChildCommand((*launch.rapport, *process.arguments), log=launch.logs / f"{process.name}.log", env=environment)
