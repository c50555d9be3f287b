"""Processes are told to read their file of connections again, at their health ports."""

import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http import HTTPStatus

import httpx

from services.ingest.sources.connections import ConnectionsError, ConnectionsFile, listed
from services.runtime.health import PostAction

PATH = "/-/connections/reload"
# Reading the file, beside all else that the process does.
ANSWERED_WITHIN = 20.0


class ReloadRefusedError(Exception):
    """The process goes on with what it had; the message says which process, and every fault and its place."""


def proof(digest_key: str) -> str:
    """Whoever has the installation's key may ask for it: what Authorization says."""
    return f"Bearer {hmac.new(digest_key.encode(), b'reload the connections', sha256).hexdigest()}"


def reload_act(connections: ConnectionsFile, digest_key: str) -> PostAction:
    """Of a process that reads the file."""
    return _guarded(digest_key, lambda: list(listed(connections.reload())))


def forwarding_act(addresses: list[str], digest_key: str) -> PostAction:
    """Of the parent of several workers: all are asked, and the first that refuses is told."""

    def ask_all() -> list[str]:
        with ThreadPoolExecutor(len(addresses)) as threads:
            (lines, *_) = threads.map(lambda one: ask_to_reload(one, digest_key), addresses)
        return lines

    return _guarded(digest_key, ask_all)


def ask_to_reload(address: str, digest_key: str) -> list[str]:
    """The connections that the process with this health port has from now on, a line each. Raises
    ReloadRefusedError."""
    try:
        headers = {"authorization": proof(digest_key)}
        answer = httpx.post(f"http://{address}{PATH}", headers=headers, timeout=ANSWERED_WITHIN)
        told = answer.json() if answer.status_code != HTTPStatus.NOT_FOUND else {}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as silent:
        raise ReloadRefusedError(f"{address} does not answer: {silent}") from silent
    if answer.status_code == HTTPStatus.OK:
        return list(told["connections"])
    words = "was started without RAPPORT_INGEST_CONNECTIONS, or is no process of ingest"
    raise ReloadRefusedError("\n".join(f"{address}: {fault}" for fault in told.get("faults", [words])))


def _guarded(digest_key: str, reload: Callable[[], list[str]]) -> PostAction:
    def guarded(authorization: str) -> tuple[int, object]:
        if not hmac.compare_digest(authorization.encode(), proof(digest_key).encode()):
            return HTTPStatus.UNAUTHORIZED, {"faults": ["it has another RAPPORT_INGEST_DIGEST_KEY than who asks"]}
        try:
            return HTTPStatus.OK, {"connections": reload()}
        except (ConnectionsError, ReloadRefusedError) as faults:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"faults": str(faults).splitlines()}

    return guarded
