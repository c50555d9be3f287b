"""People: the only messages with names, addresses and time zones."""

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.events import partition_key
from schemas.primitives import Code, EventId, Id, Instant, Message, SourceUri, TimeZone, is_empty

MAX_ADDRESSES, MAX_IDENTITIES = 100, 200
"""Far more than anybody has; a record with all of them stays well below the topic's limit."""

MAX_CHANGES = 20
"""The latest changes of one person's employment: two a year for ten years."""


Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]


class ToolIdentity(Message):
    """The identity of a person in one tool: the tool's own id, or the address that it knows."""

    tool: Code
    id: Annotated[str, Field(min_length=1, max_length=320)]


Name = Annotated[str, Field(min_length=1, max_length=200)]
Addresses = Annotated[tuple[Address, ...], Field(max_length=MAX_ADDRESSES)]
Identities = Annotated[tuple[ToolIdentity, ...], Field(max_length=MAX_IDENTITIES)]
Status = Literal["active", "leave", "exited"]


class EmploymentChange(Message):
    """A leave, exit or return as a connection reported it at `told`; it also applies to pairs that are announced later.
    `statement` identifies it; `left_on` and `back_on` are days in `time_zone`. `repeated_at`: when an exit was last
    repeated that has no day, or whose day was still to come."""

    status: Status
    told: Instant
    repeated_at: Annotated[Instant | None, Field(exclude_if=is_empty)] = None
    statement: EventId
    left_on: date | None = None
    back_on: date | None = None
    time_zone: TimeZone
    program: Id | None = None
    tool: Code
    connection: Code
    native_type: Annotated[str, Field(min_length=1, max_length=128)]
    native_id: Annotated[str, Field(min_length=1, max_length=256)]

    @property
    def last_stated(self) -> datetime:
        return self.repeated_at or self.told


class Participant(Message):
    """A person of the directory, merged from all feeds. `employment`: their leaves and returns, the latest ones, in the
    order of reporting; empty if no absence was ever reported."""

    id: Id
    tenant: Id
    name: Name
    addresses: Addresses = ()
    identities: Identities = ()
    time_zone: TimeZone
    status: Status = "active"
    consent: bool
    employment: Annotated[tuple[EmploymentChange, ...], Field(max_length=MAX_CHANGES, exclude_if=is_empty)] = ()
    recordedtime: Instant


class PersonDescription(Message):
    """What a feed states about a person. `unsaid`: which of `time_zone`, `consent` and `leave` the feed does not cover;
    the value then applies only if the person is not in the directory yet. With `leave` uncovered, an active person may
    be on a leave that another feed has reported. `change`: since when the status holds, if a connection reports it."""

    name: Name
    addresses: Addresses = ()
    identities: Identities = ()
    time_zone: TimeZone
    status: Status = "active"
    consent: bool
    unsaid: Annotated[tuple[Literal["time_zone", "consent", "leave"], ...], Field(max_length=3)] = ()
    change: Annotated[EmploymentChange | None, Field(exclude_if=is_empty)] = None


class DirectoryStatement(Message):
    """What one feed states about one person. The directory is all statements, merged in the order of their topic.

    `replaces`: nothing else is known of the person from now on. `merges`: addresses are replaced unless none are given,
    identities only for the given tools. `erases`: the person is forgotten. `feed` is the source of a connection, or
    `api:` and the id of a token."""

    id: Id
    tenant: Id
    feed: SourceUri
    kind: Literal["replaces", "merges", "erases"]
    person: PersonDescription | None = None
    recordedtime: Instant

    @property
    def key(self) -> bytes:
        """The record key on the topic, which also identifies the person in the directory."""
        return partition_key(self.tenant, self.id).encode()

    @model_validator(mode="after")
    def _describes_somebody_unless_it_erases(self) -> Self:
        if (self.person is None) != (self.kind == "erases"):
            raise ValueError("`person` is required, and left out where `kind` is `erases`")
        return self
