"""For whom a connection to a tool speaks."""

from dataclasses import dataclass

from services.ingest.domain.scope import RESERVED, Scope

__all__ = ["RESERVED", "Speaker"]


@dataclass(frozen=True)
class Speaker:
    """One connection: a tool's account of one tenant. `program` None means every programme of the tenant."""

    tenant: str
    program: str | None
    tool: str
    connection: str

    @property
    def source(self) -> str:
        """The CloudEvents source of whatever it says; two connections never share one."""
        return f"{RESERVED}{self.tenant}:{self.tool}:{self.connection}"

    @property
    def scope(self) -> Scope:
        programs = frozenset({self.program} if self.program else ())
        return Scope(self.tenant, frozenset({self.source}), programs, internal=True)
