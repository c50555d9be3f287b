"""The connections as their file names them now. A file that is at fault changes nothing: it is told, and what was read
before counts."""

import hmac
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

import httpx

from services.ingest.sources.connections import Connection, ConnectionsError, listed
from services.runtime import log
from services.runtime.health import Act

LOOK_SECONDS = 2.0
"""A change is taken up when two looks have found the same: an editor may be in the middle of writing."""

Stamp = tuple[int, int, int] | None


class ConnectionsFile(Mapping[str, Connection]):
    """For any thread. `load` reads the file with all secrets and raises ConnectionsError. With `looks_twice` a
    connection that is not known makes the file be read at once where it has changed: what a gateway with the new file
    has taken is no stranger to a worker that has not looked yet."""

    def __init__(
        self,
        file: Path,
        found: Mapping[str, Connection],
        load: Callable[[], Mapping[str, Connection]],
        *,
        looks_twice: bool = False,
    ) -> None:
        self._file, self._current, self._load, self._looks_twice = file, found, load, looks_twice
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._before = self._seen
        self._fault: str | None = None
        self._log = log.get(__name__)

    def __getitem__(self, name: str) -> Connection:
        if self._looks_twice and name not in self._current and self._stamps() != self._seen:
            self._try_reload()
        return self._current[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current)

    def __len__(self) -> int:
        return len(self._current)

    def run(self, stop: threading.Event) -> None:
        """Looks for changes until `stop` is set."""
        while not stop.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Takes up a change that the look before has found as well. What is at fault is tried at each look: a secret
        that was missing may lie there now."""
        stamps = self._stamps()
        if stamps == self._before and (stamps != self._seen or self._fault is not None):
            self._try_reload()
        self._before = stamps

    def reload(self) -> Mapping[str, Connection]:
        """What counts from now on. Raises ConnectionsError, and then nothing has changed."""
        with self._lock:
            file = _stamp(self._file)
            try:
                found = self._load()
            except ConnectionsError as fault:
                self._refuse(str(fault))
                raise
            if found != self._current or self._fault is not None:
                names = {"connections": sorted(found), "gone": sorted(self._current.keys() - found.keys())}
                self._log.info("connections_changed", **names)
            self._current, self._fault = found, None
            # Of the file as it was before it was read: what is written meanwhile is read again.
            self._seen = self._before = (file, *self._secret_stamps())
            return found

    def _try_reload(self) -> None:
        with suppress(ConnectionsError):  # it is logged, and what was read before counts
            self.reload()

    def _refuse(self, fault: str) -> None:
        self._seen = self._stamps()
        if fault != self._fault:
            self._fault = fault
            self._log.error("connections_at_fault", reason=fault)

    def _stamps(self) -> tuple[Stamp, ...]:
        return (_stamp(self._file), *self._secret_stamps())

    def _secret_stamps(self) -> list[Stamp]:
        return [_stamp(one.secret_file) for one in self._current.values() if one.secret_file is not None]


def _stamp(file: Path) -> Stamp:
    """None for a file that is away: whoever replaces one may have no file for a moment."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


PATH = "/-/connections/reload"
# Reading the file, beside all else that the process does.
ANSWERED_WITHIN = 20.0


class ReloadRefusedError(Exception):
    """The process goes on with what it had; the message says which process, and every fault and its place."""


def proof(digest_key: str) -> str:
    """Whoever has the installation's key may ask for it: what Authorization says."""
    return f"Bearer {hmac.new(digest_key.encode(), b'reload the connections', sha256).hexdigest()}"


def reload_act(connections: ConnectionsFile, digest_key: str) -> Act:
    """Of a process that reads the file."""

    def read_again() -> tuple[int, object]:
        try:
            return HTTPStatus.OK, {"connections": list(listed(connections.reload()))}
        except ConnectionsError as faults:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"faults": str(faults).splitlines()}

    return _guarded(digest_key, read_again)


def forwarding_act(addresses: list[str], digest_key: str) -> Act:
    """Of the parent of several workers: all are asked, and the first that refuses is told."""

    def ask_all() -> tuple[int, object]:
        try:
            with ThreadPoolExecutor(len(addresses)) as threads:
                (lines, *_) = threads.map(lambda one: ask_to_reload(one, digest_key), addresses)
        except ReloadRefusedError as refused:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"faults": str(refused).splitlines()}
        return HTTPStatus.OK, {"connections": lines}

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


def _guarded(digest_key: str, act: Callable[[], tuple[int, object]]) -> Act:
    def guarded(authorization: str) -> tuple[int, object]:
        if not hmac.compare_digest(authorization.encode(), proof(digest_key).encode()):
            return HTTPStatus.UNAUTHORIZED, {"faults": ["it has another RAPPORT_INGEST_DIGEST_KEY than who asks"]}
        return act()

    return guarded
