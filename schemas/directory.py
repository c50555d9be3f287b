"""People: the only place for names, addresses and time zones."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.events import partition_key
from schemas.primitives import Code, EventId, Id, Instant, Message, SourceUri, TimeZone

MOST_ADDRESSES, MOST_IDENTITIES = 100, 200
"""Far more than anybody has; a record with all of them stays well below what its topic takes."""

MOST_CHANGES = 20
"""Of one person's employment, the latest: two a year for ten years."""


Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]


class ToolIdentity(Message):
    """Who the person is in one tool: the tool's own id, or the address it knows."""

    tool: Code
    id: Annotated[str, Field(min_length=1, max_length=320)]


Name = Annotated[str, Field(min_length=1, max_length=200)]
Addresses = Annotated[tuple[Address, ...], Field(max_length=MOST_ADDRESSES)]
Identities = Annotated[tuple[ToolIdentity, ...], Field(max_length=MOST_IDENTITIES)]
Status = Literal["active", "leave", "exited"]


def _is_empty(value: object) -> bool:
    """A field that came later is not written where it says nothing: readers of before refuse what they do not know, and
    forget whom it describes."""
    return not value


class EmploymentChange(Message):
    """Leave, exit or return as a connection told it, `told` then; it means something for pairs that are told of later
    as well. `statement` tells it from others, `left_on` and `back_on` are days in `time_zone`."""

    status: Status
    told: Instant
    statement: EventId
    left_on: date | None = None
    back_on: date | None = None
    time_zone: TimeZone
    program: Id | None = None
    tool: Code
    connection: Code
    native_type: Annotated[str, Field(min_length=1, max_length=128)]
    native_id: Annotated[str, Field(min_length=1, max_length=256)]


class Participant(Message):
    """A person of the directory, as all feeds together have described them. `employment`: how they left and came back,
    the latest of it, in the order in which it was told; empty while nobody has told that they were away."""

    id: Id
    tenant: Id
    name: Name
    addresses: Addresses = ()
    identities: Identities = ()
    time_zone: TimeZone
    status: Status = "active"
    consent: bool
    employment: Annotated[tuple[EmploymentChange, ...], Field(max_length=MOST_CHANGES, exclude_if=_is_empty)] = ()
    recordedtime: Instant


class PersonDescription(Message):
    """What a feed says of a person. `unsaid`: of `time_zone` and `consent` what it does not speak of; the value then
    holds only of somebody who is not in the directory yet. With `leave` among them, who is active may be on a leave
    that another feed has told. `change`: since when the status holds, where a connection
    tells it."""

    name: Name
    addresses: Addresses = ()
    identities: Identities = ()
    time_zone: TimeZone
    status: Status = "active"
    consent: bool
    unsaid: Annotated[tuple[Literal["time_zone", "consent", "leave"], ...], Field(max_length=3)] = ()
    change: Annotated[EmploymentChange | None, Field(exclude_if=_is_empty)] = None


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
