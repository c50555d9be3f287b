"""Mail addresses that a server has refused for good: they get nothing until the directory or the file has another one,
or for 30 days, after which one message tries."""

from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import Hash
from schemas.primitives import Id, Instant

OFF_FOR = timedelta(days=30)
KEY_PREFIX = "address/"


class AddressOff(BaseModel):
    """As it stands on `mentoring.notify-state`, without the address: `digest` is of it and of the destination.
    `person`: whose it is, where the destination goes to whoever looks after a programme."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["address_off.1"] = "address_off.1"
    destination: Annotated[str, Field(max_length=64)]
    digest: Hash
    tenant: Id | None = None
    person: Id | None = None
    since: Instant
    status: Annotated[str, Field(max_length=64)]

    @property
    def key(self) -> str:
        return f"{KEY_PREFIX}{self.destination}/{self.digest}"


def address_digest(destination: str, address: str) -> str:
    return sha256(f"{destination}\x00{address.lower()}".encode()).hexdigest()


class AddressesOff:
    """Asked by senders on their thread, changed by the thread that decides: each change replaces all that is known."""

    def __init__(self, known: Iterable[AddressOff] = ()) -> None:
        self._known = {one.key: one for one in known}

    def is_off(self, destination: str, address: str) -> bool:
        return f"{KEY_PREFIX}{destination}/{address_digest(destination, address)}" in self._known

    def count(self, destination: str) -> int:
        return sum(1 for one in list(self._known.values()) if one.destination == destination)

    def switch_off(self, one: AddressOff) -> None:
        self._known = {**self._known, one.key: one}

    def forget(self, tenant: str, person: str) -> list[str]:
        """Keys of what was known of somebody who was erased."""
        return self._drop([key for key, one in self._known.items() if (one.tenant, one.person) == (tenant, person)])

    def expired(self, now: Instant) -> list[str]:
        """Keys of those that are tried again."""
        return self._drop([key for key, one in self._known.items() if one.since <= now - OFF_FOR])

    def _drop(self, keys: list[str]) -> list[str]:
        if keys:
            self._known = {key: one for key, one in self._known.items() if key not in keys}
        return keys
