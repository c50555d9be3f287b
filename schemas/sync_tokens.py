"""How far a calendar was read: what a tool's API gave us to ask with for what changed since."""

from typing import Annotated

from pydantic import Field

from schemas.primitives import Code, Id, Instant, Message


class SyncToken(Message):
    """`resource` is a digest: names of calendars are addresses. `token` is the tool's, opaque. `whole` is when the
    calendar was last read from its beginning."""

    tenant: Id
    tool: Code
    connection: Code
    resource: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    token: Annotated[str, Field(min_length=1, max_length=8192)]
    whole: Instant
