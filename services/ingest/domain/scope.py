"""For whom a sender may speak, and whether an event stays within that."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.events import MentoringEvent
from schemas.tokens import Token
from services.ingest.domain.verdict import Rejected, rejected

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


def scope_of(token: Token) -> Scope:
    return Scope(token.tenant, frozenset(token.sources), frozenset(token.programs), token.admin)


def out_of_scope(event: MentoringEvent, scope: Scope, home: ProgramOf = unknown) -> Rejected | None:
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


__all__ = ["RESERVED", "ConnectionScope"]


@dataclass(frozen=True)
class ConnectionScope:
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


PREFIX = "rpt_"
# Compared with when there is no such token, so that the answer takes as long either way.
NO_HASH = "0" * 64


def secret_of(token_id: str, random: str) -> str:
    """`random` is hexadecimal: without an underscore, so that the token id can be read back."""
    return f"{PREFIX}{token_id}_{random}"


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate(secret: str, tokens: Mapping[str, Token]) -> Token | None:
    """The token that the secret proves, unless it was revoked."""
    token = tokens.get(secret.removeprefix(PREFIX).rpartition("_")[0])
    proven = hmac.compare_digest(hashed(secret), token.sha256 if token else NO_HASH)
    return token if token and proven and token.revoked is None else None
