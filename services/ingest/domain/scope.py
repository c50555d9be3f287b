"""For whom a sender may speak, and whether an event stays within that."""

from dataclasses import dataclass

from schemas.events import MentoringEvent
from schemas.tokens import Token
from services.ingest.domain.verdict import Rejected, rejected

RESERVED = "urn:rapport:"
"""Sources that begin like this are ours: those of connections, and of what ingest itself concludes."""


@dataclass(frozen=True)
class Scope:
    """Empty `programs` means every programme of the tenant. `internal` is for ourselves only: it may speak for
    reserved sources, and nobody else may, whatever a token or a setting names."""

    tenant: str
    sources: frozenset[str]
    programs: frozenset[str] = frozenset()
    admin: bool = False
    internal: bool = False


def scope_of(token: Token) -> Scope:
    return Scope(token.tenant, frozenset(token.sources), frozenset(token.programs), token.admin)


def out_of_scope(event: MentoringEvent, scope: Scope) -> Rejected | None:
    if event.tenant != scope.tenant:
        return _forbidden("tenant", f"this sender speaks for {scope.tenant!r} only")
    if event.source not in scope.sources or _is_ours(event.source, scope):
        return _forbidden("source", "this sender may not speak for this source")
    if event.type == "mentoring.event.retracted.v1" and (
        event.data.source not in scope.sources or _is_ours(event.data.source, scope)
    ):
        return _forbidden("data.source", "a retraction reaches the sender's own sources only")
    if event.type != "mentoring.clock.reached.v1" and not _may_program(event.program, scope):
        return _forbidden("program", "this sender may not speak for this programme")
    return None


def _is_ours(source: str, scope: Scope) -> bool:
    return source.startswith(RESERVED) and not scope.internal


def _may_program(program: str, scope: Scope) -> bool:
    return not scope.programs or program in scope.programs


def _forbidden(path: str, words: str) -> Rejected:
    return rejected("forbidden", path, words)
