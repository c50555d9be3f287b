"""The services' processes, in the order in which they start, and the environment they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import Command, with_project
from deploy.local.service import Service

# Consumers before the producer of what they consume: the gateway opens when everything behind it listens.
NAMES = ("warehouse", "scoring", "notify", "ingest")
PORTS = ("gateway", *NAMES)


def port_variables(ports: Mapping[str, int]) -> dict[str, str]:
    """`ports` by the names in `PORTS`: the gateway's, and each service's health port under its own name."""
    health = {f"RAPPORT_{name.upper()}_HEALTH_PORT": str(ports[name]) for name in NAMES}
    return {**health, "RAPPORT_INGEST_PORT": str(ports["gateway"])}


@dataclass(frozen=True)
class Launch:
    """`rapport` is the command line that `NAME serve` is added to."""

    rapport: tuple[str, ...]
    logs: Path
    environment: Mapping[str, str]


def services(launch: Launch, ports: Mapping[str, int]) -> tuple[Service, ...]:
    return tuple(Service(name, _command(launch, name), ports[name]) for name in NAMES)


def _command(launch: Launch, name: str) -> Command:
    environment = {**with_project(), **launch.environment, "RAPPORT_LOG_FORMAT": "json"}
    return Command((*launch.rapport, name, "serve"), log=launch.logs / f"{name}.log", env=environment)
