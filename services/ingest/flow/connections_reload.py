"""Makes processes reload their connections file, by a request to their health ports."""

import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http import HTTPStatus

import httpx

from services.ingest.sources.connections import ConnectionsError, ConnectionsFile, describe_connections
from services.runtime.health import PostAction

PATH = "/-/connections/reload"
# The process reads the file beside its other work.
TIMEOUT_SECONDS = 20.0


class ReloadRefusedError(Exception):
    """The process keeps the connections it had. The message names the process, and every fault with its path."""


def authorization_of(digest_key: str) -> str:
    """The Authorization header of a reload: whoever has the installation's key may ask for one."""
    return f"Bearer {hmac.new(digest_key.encode(), b'reload the connections', sha256).hexdigest()}"


def reload_act(connections: ConnectionsFile, digest_key: str) -> PostAction:
    """For a process that reads the file."""
    return _guarded(digest_key, lambda: list(describe_connections(connections.reload())))


def forwarding_act(addresses: list[str], digest_key: str) -> PostAction:
    """For the parent of several workers: asks all of them, and reports the first that refuses."""

    def ask_all() -> list[str]:
        with ThreadPoolExecutor(len(addresses)) as threads:
            (lines, *_) = threads.map(lambda one: ask_to_reload(one, digest_key), addresses)
        return lines

    return _guarded(digest_key, ask_all)


def ask_to_reload(address: str, digest_key: str) -> list[str]:
    """Returns the connections of the process with this health port after the reload, a line each. Raises
    ReloadRefusedError."""
    try:
        headers = {"authorization": authorization_of(digest_key)}
        answer = httpx.post(f"http://{address}{PATH}", headers=headers, timeout=TIMEOUT_SECONDS)
        body = answer.json() if answer.status_code != HTTPStatus.NOT_FOUND else {}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as silent:
        raise ReloadRefusedError(f"{address} does not answer: {silent}") from silent
    if answer.status_code == HTTPStatus.OK:
        return list(body["connections"])
    words = "was started without RAPPORT_INGEST_CONNECTIONS, or is no process of ingest"
    raise ReloadRefusedError("\n".join(f"{address}: {fault}" for fault in body.get("faults", [words])))


def _guarded(digest_key: str, reload: Callable[[], list[str]]) -> PostAction:
    def guarded(authorization: str) -> tuple[int, object]:
        if not hmac.compare_digest(authorization.encode(), authorization_of(digest_key).encode()):
            return HTTPStatus.UNAUTHORIZED, {"faults": ["it has another RAPPORT_INGEST_DIGEST_KEY than who asks"]}
        try:
            return HTTPStatus.OK, {"connections": reload()}
        except (ConnectionsError, ReloadRefusedError) as faults:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"faults": str(faults).splitlines()}

    return guarded
