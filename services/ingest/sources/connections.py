"""The current connections file. Secrets come from the environment or from files, never from the connections file
itself."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.primitives import Code, Id
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import explain
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import Connection
from services.runtime import log
from services.runtime.progress import note_progress
from services.runtime.secrets import Secrets, UnknownSecretError
from services.runtime.strict_yaml import UnreadableError, one_document


class ConnectionsError(Exception):
    """The message names every fault of the file with its path, and no secret."""


def load_connections(file: Path, environ: Mapping[str, str], digest_key: str) -> Mapping[str, Connection]:
    """Return the connections by id. Raises ConnectionsError, also if the digest key is missing: without it, ids that
    may be text could be neither stored nor distinguished."""
    if not digest_key:
        raise ConnectionsError("RAPPORT_INGEST_DIGEST_KEY: is required where there are connections: see the README")
    try:
        document = one_document(file)
    except UnreadableError as broken:
        raise ConnectionsError(str(broken)) from broken
    parser = _ConnectionsParser(Secrets(environ, file.parent), digest_key)
    connections = parser.connections(document)
    if parser.faults:
        raise ConnectionsError("\n".join(f"{file}: {fault}" for fault in parser.faults))
    return connections


def describe_connections(connections: Mapping[str, Connection]) -> Iterator[str]:
    """Yield one line per connection, without secrets."""
    for name, connection in sorted(connections.items()):
        connection_scope = connection.connection_scope
        programmes = connection_scope.program or "every programme"
        token = ", API token set" if connection.api_token else ""
        yield f"{connection_scope.tool}/{name}: tenant {connection_scope.tenant}, {programmes}, secret set{token}"


POLL_SECONDS = 2.0
"""A change is loaded once two polls in a row have found it: an editor may still be writing."""

Stamp = tuple[int, int, int] | None


class ConnectionsFile(Mapping[str, Connection]):
    """The connections as their file currently defines them. An invalid file changes nothing: the fault is logged and
    the previous connections stay in use. Thread-safe. `load` reads the file with all secrets and raises
    ConnectionsError.

    With `reload_on_miss`, looking up an unknown connection reloads a changed file at once: a worker must find a
    connection that the gateway already accepts requests for."""

    def __init__(
        self,
        file: Path,
        found: Mapping[str, Connection],
        load: Callable[[], Mapping[str, Connection]],
        *,
        reload_on_miss: bool = False,
    ) -> None:
        self._file, self._current, self._load, self._reload_on_miss = file, found, load, reload_on_miss
        self._lock = threading.Lock()
        self._loaded_stamps = self._stamps()
        self._polled_stamps = self._loaded_stamps
        self._fault: str | None = None
        self._log = log.get(__name__)

    def __getitem__(self, name: str) -> Connection:
        if self._reload_on_miss and name not in self._current and self._stamps() != self._loaded_stamps:
            self._try_reload()
        return self._current[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current)

    def __len__(self) -> int:
        return len(self._current)

    def run(self, stop: threading.Event) -> None:
        """Poll for changes until `stop` is set."""
        while not stop.wait(POLL_SECONDS):
            note_progress()
            self.poll()

    def poll(self) -> None:
        """Reload if this poll and the previous one found the same change. Retry a faulty configuration at every poll: a
        missing secret may have appeared."""
        stamps = self._stamps()
        if stamps == self._polled_stamps and (stamps != self._loaded_stamps or self._fault is not None):
            self._try_reload()
        self._polled_stamps = stamps

    def reload(self) -> Mapping[str, Connection]:
        """Load the file and return the connections now in use. Raises ConnectionsError and then changes nothing."""
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
            # The stamp from before the read: a write during the read triggers another reload.
            self._loaded_stamps = self._polled_stamps = (file, *self._secret_stamps())
            return found

    def _try_reload(self) -> None:
        with suppress(ConnectionsError):  # it is logged, and what was read before counts
            self.reload()

    def _refuse(self, fault: str) -> None:
        self._loaded_stamps = self._stamps()
        if fault != self._fault:
            self._fault = fault
            self._log.error("connections_at_fault", reason=fault)

    def _stamps(self) -> tuple[Stamp, ...]:
        return (_stamp(self._file), *self._secret_stamps())

    def _secret_stamps(self) -> list[Stamp]:
        return [_stamp(one.secret_file) for one in self._current.values() if one.secret_file is not None]


def _stamp(file: Path) -> Stamp:
    """Return None for a missing file: replacing a file may remove it for a moment."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class _ConnectionsYaml(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: list[dict[str, object]]


class _ConnectionEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Code
    tool: str
    tenant: Id
    program: Id | None = None
    secret_env: str | None = None
    secret_file: Path | None = None
    api_token_env: str | None = None
    api_token_file: Path | None = None
    settings: Annotated[dict[str, object], Field(default_factory=dict)]


Read = TypeVar("Read", bound=BaseModel)


class _ConnectionsParser:
    """Continues after a fault, to report all faults at once."""

    def __init__(self, secrets: Secrets, digest_key: str) -> None:
        self._secrets, self._digest_key = secrets, digest_key
        self.faults: list[str] = []

    def connections(self, document: object) -> dict[str, Connection]:
        read = self._read("", _ConnectionsYaml, document)
        found: dict[str, Connection] = {}
        for index, entry in enumerate(read.connections if read else ()):
            if connection := self._connection(f"connections.{index}", entry):
                self._compare(f"connections.{index}", connection, found)
                found.setdefault(connection.connection_scope.connection, connection)
        return found

    def _connection(self, path: str, given: dict[str, object]) -> Connection | None:
        entry = self._read(f"{path}.", _ConnectionEntry, given)
        if entry is None:
            return None
        tool = TOOLS.get(entry.tool)
        if tool is None:
            self.faults.append(
                f"{path}.tool: there is no tool {entry.tool[:80]!r}; there are {', '.join(sorted(TOOLS))}"
            )
        secret = self._secret(f"{path}.secret", entry.secret_env, entry.secret_file)
        has_token = entry.api_token_env is not None or entry.api_token_file is not None
        token = self._secret(f"{path}.api_token", entry.api_token_env, entry.api_token_file) if has_token else ""
        settings = self._read(f"{path}.settings.", tool.settings, entry.settings) if tool else None
        if tool is None or secret is None or token is None or settings is None:
            return None
        connection_scope = ConnectionScope(entry.tenant, entry.program, tool.name, entry.id)
        token_file, secret_file = (
            self._secrets.resolve(file) if file else None for file in (entry.api_token_file, entry.secret_file)
        )
        return Connection(connection_scope, tool, settings, secret, token, token_file, self._digest_key, secret_file)

    def _read(self, path: str, model: type[Read], value: object) -> Read | None:
        try:
            return model.model_validate(value)
        except ValidationError as invalid:
            self.faults += [f"{path}{fault.path}: {fault.reason}" for fault in explain(invalid)]
            return None

    def _secret(self, path: str, variable: str | None, file: Path | None) -> str | None:
        try:
            return self._secrets.read(variable, file)
        except UnknownSecretError as unknown:
            self.faults.append(f"{path}: {unknown}")
            return None

    def _compare(self, path: str, new: Connection, others: Mapping[str, Connection]) -> None:
        if new.connection_scope.connection in others:
            self.faults.append(f"{path}.id: there is a connection {new.connection_scope.connection!r} above")
        for name, other in others.items():
            if other.tool is new.tool and other.secret == new.secret:
                # Otherwise a request signed for one of them would verify for the other.
                self.faults.append(f"{path}.secret: is that of connection {name!r}: each needs a secret of its own")
