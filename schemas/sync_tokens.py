"""Sync tokens of calendars: what a tool's API returned for the next incremental sync."""

from typing import Annotated

from pydantic import Field

from schemas.primitives import Code, Id, Instant, Message


class SyncToken(Message):
    """`resource` is a digest, because names of calendars are addresses. `token` is the tool's opaque value. `whole` is
    the time of the last full sync."""

    tenant: Id
    tool: Code
    connection: Code
    resource: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    token: Annotated[str, Field(min_length=1, max_length=8192)]
    whole: Instant
