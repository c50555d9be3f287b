"""Access tokens: who may send events, and who may view and act on the board. Secrets are stored as hashes."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import Field, model_validator

from schemas.primitives import Code, Id, Instant, Message, SourceUri

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BoardRole = Literal["viewer", "coordinator", "admin"]
# Compared with for unknown ids, so that the response time does not reveal whether a token exists.
NO_HASH = "0" * 64


class Token(Message):
    """`sha256` is the hash of the secret. Empty `programs` means every programme of the tenant. `sources` are the
    CloudEvents sources that the token may use; `admin` may also erase relationships and advance the log's clock."""

    PREFIX: ClassVar[str] = "rpt_"

    token_id: Code
    tenant: Id
    sha256: Sha256
    programs: Annotated[tuple[Id, ...], Field(max_length=1_000)] = ()
    sources: Annotated[tuple[SourceUri, ...], Field(min_length=1, max_length=500)]
    admin: bool = False
    created: Instant
    revoked: Instant | None = None


class BoardToken(Message):
    """Signs `person` in to the board until it expires. A viewer can view; a coordinator can also act on the alerts of
    `programs`; an admin can act on all alerts of the tenant and on dead letters. Empty `programs` means every
    programme."""

    PREFIX: ClassVar[str] = "rpb_"

    token_id: Code
    tenant: Id
    person: Id
    role: BoardRole
    sha256: Sha256
    programs: Annotated[tuple[Id, ...], Field(max_length=200)] = ()
    created: Instant
    expires: Instant
    revoked: Instant | None = None

    @model_validator(mode="after")
    def _reaches_as_far_as_its_role(self) -> Self:
        if self.role == "coordinator" and not self.programs:
            raise ValueError("a coordinator needs the programmes that are theirs")
        if self.role == "admin" and self.programs:
            raise ValueError("an admin has every programme: leave them out")
        return self

    def is_valid(self, now: Instant) -> bool:
        return self.revoked is None and now < self.expires


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


AnyToken = TypeVar("AnyToken", Token, BoardToken)


def secret_of(kind: type[Token] | type[BoardToken], token_id: str, random: str) -> str:
    """`random` is hexadecimal, without an underscore, so that the token id can be parsed from the secret."""
    return f"{kind.PREFIX}{token_id}_{random}"


def authenticate(secret: str, tokens: Mapping[str, AnyToken]) -> AnyToken | None:
    """Return the unrevoked token that the secret authenticates, or None. `tokens` maps ids to tokens."""
    token = tokens.get(secret.partition("_")[2].rpartition("_")[0])
    is_proven = hmac.compare_digest(hashed(secret), token.sha256 if token else NO_HASH)
    return token if token and is_proven and token.revoked is None else None
