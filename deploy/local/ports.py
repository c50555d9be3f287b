"""Ports of a data folder: chosen once, remembered, and kept over restarts while they are free."""

import json
import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below Linux' ephemeral range (32768-60999): a client that reconnects to a stopped server on an ephemeral
# port can be given that very port as its own and so keep the server from coming back.
LOWEST, HIGHEST = 20_000, 32_000
ATTEMPTS = 200


class PortTakenError(Exception):
    """The message names the port and the remedy."""


def ports_from(first: int, names: tuple[str, ...], others: int) -> dict[str, int]:
    """Return a port for each name, from `first` on; the `others` ports after them must be free as well. Raises
    PortTakenError."""
    taken = [port for port in range(first, first + len(names) + others) if not is_free(port)]
    if taken:
        raise PortTakenError(f"port {taken[0]} is in use: end what listens there, or choose another --first-port")
    return {name: first + number for number, name in enumerate(names)}


def remembered_ports(file: Path, names: tuple[str, ...]) -> dict[str, int]:
    """Return a port for each name: the one stored in `file` if it is still free, else a new one, which is stored."""
    remembered: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    chosen: dict[str, int] = {}
    for name in names:
        port = remembered.get(name, 0)
        keep = port > 0 and is_free(port)
        chosen[name] = port if keep else free_port(taken={*remembered.values(), *chosen.values()})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(remembered | chosen, indent=1) + "\n")
    return chosen


def free_port(taken: set[int]) -> int:
    for _ in range(ATTEMPTS):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
