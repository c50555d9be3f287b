"""For whom a sender may speak, and whether an event stays within that."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.events import MentoringEvent
from schemas.tokens import Token
from services.ingest.domain.verdict import Rejected, rejected

RESERVED = "urn:rapport:"
"""Sources that begin like this are ours: those of connections, and of what ingest itself concludes."""


Home = Callable[[str, str], str | None]
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


def scope_of(token: Token) -> Scope:
    return Scope(token.tenant, frozenset(token.sources), frozenset(token.programs), token.admin)


def out_of_scope(event: MentoringEvent, scope: Scope, home: Home = unknown) -> Rejected | None:
    if event.tenant != scope.tenant:
        return _forbidden("tenant", f"this sender speaks for {scope.tenant!r} only")
    if event.source not in scope.sources or _is_ours(event.source, scope):
        return _forbidden("source", "this sender may not speak for this source")
    if event.type == "mentoring.event.retracted.v1" and (
        event.data.source not in scope.sources or _is_ours(event.data.source, scope)
    ):
        return _forbidden("data.source", "a retraction reaches the sender's own sources only")
    if event.type == "mentoring.clock.reached.v1" or not scope.programs:
        return None
    if event.program not in scope.programs:
        return _forbidden("program", "this sender may not speak for this programme")
    # Whatever the event calls its programme: a relationship belongs to the one that started it.
    if (home(event.tenant, event.subject) or event.program) not in scope.programs:
        if event.type == "mentoring.relationship.started.v1":
            return started_elsewhere()
        return _forbidden("subject", "this sender may not speak for the programme of this relationship")
    return None


def started_elsewhere() -> Rejected:
    """The programme is not named: this sender may not know it."""
    return rejected(
        "conflict",
        "subject",
        "this relationship was started in another programme: use another id, or ask an administrator of the tenant to "
        "retract that start (mentoring.event.retracted.v1) or to start it anew in this programme",
    )


def _is_ours(source: str, scope: Scope) -> bool:
    return source.startswith(RESERVED) and not scope.internal


def _forbidden(path: str, words: str) -> Rejected:
    return rejected("forbidden", path, words)
