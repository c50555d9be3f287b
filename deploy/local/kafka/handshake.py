"""Requests a broker's metadata over a plain socket, to check that it serves clients."""

import socket
import struct

METADATA_KEY, METADATA_VERSION = 3, 1
CORRELATION = 1
TIMEOUT_SECONDS = 1.0
# key, version, correlation id, null client id, no topics: https://kafka.apache.org/protocol#The_Messages_Metadata
REQUEST = struct.pack(">hhihi", METADATA_KEY, METADATA_VERSION, CORRELATION, -1, 0)


def serves_clients(host: str, port: int) -> bool:
    """Return True once the broker lists itself: its port accepts connections before topics can be created."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(REQUEST)) + REQUEST)
            size = struct.unpack(">i", _read(connection, 4))[0]
            correlation, brokers = struct.unpack(">ii", _read(connection, size)[:8])
    except OSError:
        return False
    return bool(correlation == CORRELATION and brokers > 0)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        data += chunk
    return data
