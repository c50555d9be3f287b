"""The scope of a sender: a token, a connection of a tool, or Rapport itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from schemas.topics import raw_topic

RESERVED = "urn:rapport:"
"""Prefix of the sources of connections and of ingest itself."""


ProgramOf = Callable[[str, str], str | None]
"""Returns the programme of a tenant's relationship; None while no start of it is projected."""


@dataclass(frozen=True)
class Scope:
    """Empty `programs` means every programme of the tenant. `internal` is for Rapport itself: only an internal scope
    may use reserved sources, whatever a token or a setting names."""

    tenant: str
    sources: frozenset[str]
    programs: frozenset[str] = frozenset()
    admin: bool = False
    internal: bool = False


def any_scope(event: object, tenant: str) -> Scope:
    """A scope that the event is always within. `tenant` is the default if the event names none."""
    attributes = event if isinstance(event, dict) else {}
    data = attributes.get("data")
    sources = (attributes.get("source"), data.get("source") if isinstance(data, dict) else None)
    stated = attributes.get("tenant")
    return Scope(
        stated if isinstance(stated, str) and stated else tenant,
        frozenset(source for source in sources if isinstance(source, str)),
        admin=True,
    )


@dataclass(frozen=True)
class ConnectionScope:
    """A connection is one account of a tool of one tenant. `program` None means every programme of the tenant."""

    tenant: str
    program: str | None
    tool: str
    connection: str

    @cached_property
    def source(self) -> str:
        """The CloudEvents source of all its events; two connections never share one."""
        return f"{RESERVED}{self.tenant}:{self.tool}:{self.connection}"

    @cached_property
    def raw_topic(self) -> str:
        return raw_topic(self.tool)

    @cached_property
    def scope(self) -> Scope:
        programs = frozenset({self.program} if self.program else ())
        return Scope(self.tenant, frozenset({self.source}), programs, internal=True)
