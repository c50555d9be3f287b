"""People: the only place for names, addresses and time zones."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.events import partition_key
from schemas.primitives import Code, Id, Instant, Message, SourceUri, TimeZone

MOST_ADDRESSES, MOST_IDENTITIES = 100, 200
"""Far more than anybody has; a record with all of them stays well below what its topic takes."""


Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]


class ToolIdentity(Message):
    """Who the person is in one tool: the tool's own id, or the address it knows."""

    tool: Code
    id: Annotated[str, Field(min_length=1, max_length=320)]


Name = Annotated[str, Field(min_length=1, max_length=200)]
Addresses = Annotated[tuple[Address, ...], Field(max_length=MOST_ADDRESSES)]
Identities = Annotated[tuple[ToolIdentity, ...], Field(max_length=MOST_IDENTITIES)]
Status = Literal["active", "leave", "exited"]


class Participant(Message):
    """A person of the directory, as all feeds together have described them."""

    id: Id
    tenant: Id
    name: Name
    addresses: Addresses = ()
    identities: Identities = ()
    time_zone: TimeZone
    status: Status = "active"
    consent: bool
    recordedtime: Instant


class PersonDescription(Message):
    """What a feed says of a person. `unsaid`: of `time_zone` and `consent` what it does not speak of; the value then
    holds only of somebody who is not in the directory yet."""

    name: Name
    addresses: Addresses = ()
    identities: Identities = ()
    time_zone: TimeZone
    status: Status = "active"
    consent: bool
    unsaid: Annotated[tuple[Literal["time_zone", "consent"], ...], Field(max_length=2)] = ()


class DirectoryStatement(Message):
    """What one feed says of one person; the directory is all statements merged in the order of their topic.

    `replaces`: nothing else is known of the person from now on. `merges`: addresses are replaced unless none are named,
    identities only of the tools that are named. `erases`: nothing is known from now on. `feed` is the source of a
    connection, or `api:` and the id of a token."""

    id: Id
    tenant: Id
    feed: SourceUri
    kind: Literal["replaces", "merges", "erases"]
    person: PersonDescription | None = None
    recordedtime: Instant

    @property
    def key(self) -> bytes:
        """Under which it lies on its topic, and the person in the directory."""
        return partition_key(self.tenant, self.id).encode()

    @model_validator(mode="after")
    def _describes_somebody_unless_it_erases(self) -> Self:
        if (self.person is None) != (self.kind == "erases"):
            raise ValueError("`person` is required, and left out where `kind` is `erases`")
        return self
