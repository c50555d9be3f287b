"""For whom a sender may speak: a token, a connection of a tool, or we ourselves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from schemas.topics import raw_topic

RESERVED = "urn:rapport:"
"""Sources that begin like this are ours: those of connections, and of what ingest itself concludes."""


ProgramOf = Callable[[str, str], str | None]
"""Of a tenant's relationship: the programme that it belongs to, as far as it is known."""


def unknown(_tenant: str, _relationship: str) -> str | None:
    """Where nobody knows relationships."""
    return None


@dataclass(frozen=True)
class Scope:
    """Empty `programs` means every programme of the tenant. `internal` is for ourselves only: it may speak for
    reserved sources, and nobody else may, whatever a token or a setting names."""

    tenant: str
    sources: frozenset[str]
    programs: frozenset[str] = frozenset()
    admin: bool = False
    internal: bool = False


def any_scope(event: object, tenant: str) -> Scope:
    """`tenant` is whose it is if the event does not say so."""
    given = event if isinstance(event, dict) else {}
    data = given.get("data")
    sources = (given.get("source"), data.get("source") if isinstance(data, dict) else None)
    named = given.get("tenant")
    return Scope(
        named if isinstance(named, str) and named else tenant,
        frozenset(source for source in sources if isinstance(source, str)),
        admin=True,
    )


@dataclass(frozen=True)
class ConnectionScope:
    """One connection: a tool's account of one tenant. `program` None means every programme of the tenant."""

    tenant: str
    program: str | None
    tool: str
    connection: str

    @cached_property
    def source(self) -> str:
        """The CloudEvents source of whatever it says; two connections never share one."""
        return f"{RESERVED}{self.tenant}:{self.tool}:{self.connection}"

    @cached_property
    def raw_topic(self) -> str:
        return raw_topic(self.tool)

    @cached_property
    def scope(self) -> Scope:
        programs = frozenset({self.program} if self.program else ())
        return Scope(self.tenant, frozenset({self.source}), programs, internal=True)
