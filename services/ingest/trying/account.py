"""As whom a payload is tried: a connection of the file, or the tool with settings of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.ingest.domain.pseudonym import pseudonym_of
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.wording import explain
from services.ingest.sources.connections import ConnectionsError, load_connections
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.trying.attempt import Account
from services.runtime.strict_yaml import UnreadableError, documents

NAMELESS = "try"
# Ids that may be text are shown as digests, which are others in the installation.
PRETENDED_KEY = "no key of any installation"


class NoAccountError(Exception):
    """The message says what is missing or wrong."""


@dataclass(frozen=True)
class Asked:
    connections: Path | None = None
    connection: str | None = None
    settings: Path | None = None
    tenant: str = NAMELESS


def account_of(tool: Tool, asked: Asked) -> Account:
    """Raises NoAccountError."""
    if asked.connections is not None:
        return _connected(tool, asked.connections, asked.connection)
    speaker = Speaker(asked.tenant, None, tool.name, NAMELESS)
    return Account(tool, _settings(tool, asked.settings), speaker, pseudonym_of(PRETENDED_KEY, asked.tenant))


class _Pretended(Mapping[str, str]):
    """Secrets are not needed to try a payload: every variable has one, each another."""

    def __getitem__(self, name: str) -> str:
        return f"pretended-{name}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return True


def _connected(tool: Tool, file: Path, name: str | None) -> Account:
    try:
        known = load_connections(file, _Pretended(), PRETENDED_KEY)
    except ConnectionsError as broken:
        raise NoAccountError(str(broken)) from broken
    of_tool = {key: one for key, one in known.items() if one.tool.name == tool.name}
    chosen = name or next(iter(of_tool), "") if len(of_tool) == 1 else name
    if not chosen or chosen not in of_tool:
        raise NoAccountError(
            f"name a connection of {tool.name} with --connection: {', '.join(of_tool) or 'there is none'}"
        )
    speaker = of_tool[chosen].speaker
    return Account(tool, of_tool[chosen].settings, speaker, pseudonym_of(PRETENDED_KEY, speaker.tenant))


def _settings(tool: Tool, file: Path | None) -> ToolSettings:
    try:
        read = documents(file) if file else []
        return tool.settings.model_validate(read[0] if read else {})
    except UnreadableError as broken:
        raise NoAccountError(str(broken)) from broken
    except ValidationError as invalid:
        faults = "; ".join(f"{fault.path}: {fault.reason}" for fault in explain(invalid))
        raise NoAccountError(f"the settings of {tool.name} (--settings): {faults}") from invalid
