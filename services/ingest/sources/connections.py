"""The file of connections, and where their secrets come from: the environment or files, never the file itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.primitives import Code, Id
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import explain
from services.ingest.sources.connection import Connection
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import ToolSettings
from services.runtime.strict_yaml import UnreadableError, documents

# What can be guessed proves nothing.
SHORTEST = 8


class UnknownSecretError(Exception):
    """The message says what is wrong, and nothing of the secret."""


@dataclass(frozen=True)
class Secrets:
    """Relative paths begin in `folder`."""

    environ: Mapping[str, str]
    folder: Path

    def read(self, variable: str | None, file: Path | None) -> str:
        """Raises UnknownSecretError."""
        if (variable is None) == (file is None):
            raise UnknownSecretError("name either a variable of the environment (_env) or a file (_file)")
        secret = self._of(variable) if variable is not None else self._in(file or Path())
        if len(secret) < SHORTEST:
            raise UnknownSecretError(f"has less than {SHORTEST} characters")
        return secret

    def place(self, file: Path) -> Path:
        return self.folder / file

    def _of(self, variable: str) -> str:
        if variable not in self.environ:
            raise UnknownSecretError(f"the environment has no {variable[:80]}")
        return self.environ[variable]

    def _in(self, file: Path) -> str:
        try:
            return self.place(file).read_text("utf-8").strip()
        except OSError as broken:
            raise UnknownSecretError(f"{file} cannot be read: {broken.strerror}") from broken
        except ValueError as broken:
            raise UnknownSecretError(f"{file} cannot be read: it is no text in UTF-8") from broken


class ConnectionsError(Exception):
    """The message names every fault of the file and its place, and no secret."""


def load_connections(file: Path, environ: Mapping[str, str], digest_key: str) -> Mapping[str, Connection]:
    """By connection id. Raises ConnectionsError; without a digest key too, because an id that may be text could be
    neither stored nor told from others."""
    if not digest_key:
        raise ConnectionsError("RAPPORT_INGEST_DIGEST_KEY: is required where there are connections: see the README")
    try:
        read = documents(file)
    except UnreadableError as broken:
        raise ConnectionsError(str(broken)) from broken
    if len(read) != 1:
        raise ConnectionsError(f"{file}: holds {len(read)} documents instead of one")
    reading = _Reading(Secrets(environ, file.parent), digest_key)
    connections = reading.connections(read[0])
    if reading.faults:
        raise ConnectionsError("\n".join(f"{file}: {fault}" for fault in reading.faults))
    return connections


def listed(connections: Mapping[str, Connection]) -> Iterator[str]:
    """One line each, without secrets."""
    for name, connection in sorted(connections.items()):
        connection_scope = connection.connection_scope
        programmes = connection_scope.program or "every programme"
        token = ", API token set" if connection.api_token else ""
        yield f"{connection_scope.tool}/{name}: tenant {connection_scope.tenant}, {programmes}, secret set{token}"


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: list[dict[str, object]]


class _Entry(BaseModel):
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


class _Reading:
    """Goes on after a fault, so that all of them are told at once."""

    def __init__(self, secrets: Secrets, digest_key: str) -> None:
        self._secrets, self._digest_key = secrets, digest_key
        self.faults: list[str] = []

    def connections(self, document: object) -> dict[str, Connection]:
        try:
            entries = _File.model_validate(document).connections
        except ValidationError as invalid:
            self._explain("", invalid)
            return {}
        found: dict[str, Connection] = {}
        for index, entry in enumerate(entries):
            if connection := self._connection(f"connections.{index}", entry):
                self._compare(f"connections.{index}", connection, found)
                found.setdefault(connection.connection_scope.connection, connection)
        return found

    def _connection(self, place: str, given: dict[str, object]) -> Connection | None:
        try:
            entry = _Entry.model_validate(given)
        except ValidationError as invalid:
            self._explain(f"{place}.", invalid)
            return None
        tool = TOOLS.get(entry.tool)
        if tool is None:
            self.faults.append(
                f"{place}.tool: there is no tool {entry.tool[:80]!r}; there are {', '.join(sorted(TOOLS))}"
            )
        secret = self._secret(f"{place}.secret", entry.secret_env, entry.secret_file)
        token = self._token(f"{place}.api_token", entry)
        settings = self._settings(f"{place}.settings", tool.settings, entry) if tool else None
        if tool is None or secret is None or token is None or settings is None:
            return None
        connection_scope = ConnectionScope(entry.tenant, entry.program, tool.name, entry.id)
        file = self._secrets.place(entry.api_token_file) if entry.api_token_file else None
        return Connection(connection_scope, tool, settings, secret, token, file, self._digest_key)

    def _settings(self, place: str, model: type[ToolSettings], entry: _Entry) -> ToolSettings | None:
        try:
            return model.model_validate(entry.settings)
        except ValidationError as invalid:
            self._explain(f"{place}.", invalid)
            return None

    def _token(self, place: str, entry: _Entry) -> str | None:
        """Empty where the file names none, None if it is at fault."""
        if entry.api_token_env is None and entry.api_token_file is None:
            return ""
        return self._secret(place, entry.api_token_env, entry.api_token_file)

    def _secret(self, place: str, variable: str | None, file: Path | None) -> str | None:
        try:
            return self._secrets.read(variable, file)
        except UnknownSecretError as unknown:
            self.faults.append(f"{place}: {unknown}")
            return None

    def _compare(self, place: str, new: Connection, others: Mapping[str, Connection]) -> None:
        if new.connection_scope.connection in others:
            self.faults.append(f"{place}.id: there is a connection {new.connection_scope.connection!r} above")
        for name, other in others.items():
            if other.tool is new.tool and other.secret == new.secret:
                # What is signed for one of them would be believed by the other.
                self.faults.append(f"{place}.secret: is that of connection {name!r}: each needs a secret of its own")

    def _explain(self, place: str, invalid: ValidationError) -> None:
        self.faults += [f"{place}{fault.path}: {fault.reason}" for fault in explain(invalid)]
