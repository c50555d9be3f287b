"""People: the only place for names, addresses and time zones."""

from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from schemas.primitives import Code, Id, Instant, Message

# What systems list beside the zones: one says where this machine stands, the other that nobody has said so.
NO_PLACES = frozenset({"localtime", "Factory"})


def known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is no IANA time zone")
    return name


@cache
def _zones() -> frozenset[str]:
    # It walks a folder of 600 files every time it is asked.
    return frozenset(available_timezones()) - NO_PLACES


# The longest name of a zone has half as many characters.
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(known_zone)]
MOST_ADDRESSES, MOST_IDENTITIES = 100, 200
"""Far more than anybody has; a record with all of them stays well below what its topic takes."""


Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]


class ToolIdentity(Message):
    """Who the person is in one tool: the tool's own id, or the address it knows."""

    tool: Code
    id: Annotated[str, Field(min_length=1, max_length=320)]


class Participant(Message):
    id: Id
    tenant: Id
    name: Annotated[str, Field(min_length=1, max_length=200)]
    addresses: Annotated[tuple[Address, ...], Field(max_length=MOST_ADDRESSES)] = ()
    identities: Annotated[tuple[ToolIdentity, ...], Field(max_length=MOST_IDENTITIES)] = ()
    time_zone: TimeZone
    status: Literal["active", "leave", "exited"] = "active"
    consent: bool
    recordedtime: Instant
