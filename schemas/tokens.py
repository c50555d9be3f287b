"""Who may send what: the scopes of a gateway token, kept as a hash only."""

from typing import Annotated

from pydantic import Field

from schemas.primitives import Code, Id, Instant, Message, SourceUri


class Token(Message):
    """`sha256` is of the secret. Empty `programs` means every programme of the tenant. `sources` are the CloudEvents
    sources it may speak for; `admin` may also erase relationships and advance the log's clock."""

    token_id: Code
    tenant: Id
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    programs: Annotated[tuple[Id, ...], Field(max_length=1_000)] = ()
    sources: Annotated[tuple[SourceUri, ...], Field(min_length=1, max_length=500)]
    admin: bool = False
    created: Instant
    revoked: Instant | None = None
