"""Message suppression: what people have switched off themselves, and mail addresses that a server has refused for good.
A P1 always arrives, and so does the end of an alert that somebody was notified of."""

from collections.abc import Iterable
from datetime import time, timedelta
from hashlib import sha256
from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from schemas.alert_commands import DigestAt, OpensWith, SwitchOff, SwitchOn
from schemas.alerts import Delivery, Hash
from schemas.primitives import Id, Instant
from schemas.scores import Name
from services.notify.domain.handling import ActRefused
from services.notify.domain.working_hours import ReceivingHours

PERSONS = "~person/"
"""Prefix of keys on `mentoring.notify-state`: no id begins so."""
MAX_OFF = 200


class SwitchedOff(BaseModel):
    """Everything named has to match; nothing named: everything but P1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Name | None = None
    relationship: Id | None = None

    def words(self) -> str:
        parts = [self.rule.replace("_", " ")] if self.rule else []
        parts += [f"pair {self.relationship}"] if self.relationship else []
        return " of ".join(parts) or "everything but P1"


class PersonalSettings(BaseModel):
    """Stored on `mentoring.notify-state`. `digest_at` None: the destination's default. `scope`: which alerts the board
    opens with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["personal_settings.1"] = "personal_settings.1"
    tenant: Id
    person: Id
    off: Annotated[tuple[SwitchedOff, ...], Field(max_length=MAX_OFF)] = ()
    digest_at: time | None = None
    scope: Literal["mine", "team", "all"] = "all"

    @property
    def key(self) -> str:
        return personal_key(self.tenant, self.person)


def personal_key(tenant: Id, person: Id) -> str:
    return f"{PERSONS}{tenant}/{person}"


SettingsAct = SwitchOff | SwitchOn | DigestAt | OpensWith


def settings_after(before: PersonalSettings, act: SettingsAct) -> PersonalSettings | ActRefused:
    """Apply a person's act to their settings."""
    match act:
        case DigestAt(at=at):
            return before.model_copy(update={"digest_at": at})
        case OpensWith(scope=scope):
            return before.model_copy(update={"scope": scope})
        case SwitchOff() | SwitchOn():
            one = SwitchedOff(rule=act.rule, relationship=act.relationship)
            others = tuple(other for other in before.off if other != one)
            off = (*others, one) if isinstance(act, SwitchOff) else others
            if len(off) > MAX_OFF:
                return ActRefused(f"at most {MAX_OFF} things can be switched off one by one")
            return before.model_copy(update={"off": off})
        case _:
            assert_never(act)


class Preferences:
    """Personal settings, for the thread that decides."""

    def __init__(self, stored: Iterable[PersonalSettings] = ()) -> None:
        self._by_key = {one.key: one for one in stored}

    def of(self, tenant: Id, person: Id) -> PersonalSettings:
        return self._by_key.get(personal_key(tenant, person)) or PersonalSettings(tenant=tenant, person=person)

    def put(self, one: PersonalSettings) -> None:
        self._by_key[one.key] = one

    def forget(self, tenant: Id, person: Id) -> list[str]:
        """Remove the settings of an erased person; returns their key, if there were any."""
        key = personal_key(tenant, person)
        return [key] if self._by_key.pop(key, None) is not None else []

    def suppression_reason(self, delivery: Delivery) -> str | None:
        """Return why the delivery is not sent, if so: its person has switched it off."""
        if delivery.person is None or delivery.alert.urgency == "P1":
            return None
        relationship = delivery.relationship if delivery.alert.subject_kind == "relationship" else None
        for one in self.of(delivery.tenant, delivery.person).off:
            if one.rule in {None, delivery.alert.rule} and one.relationship in {None, relationship}:
                return f"switched off by whoever would get it: {one.words()}"
        return None

    def hours(self, tenant: Id, person: Id, usual: ReceivingHours) -> ReceivingHours:
        """Return the hours with the digest at the person's hour, unless that lies in the quiet hours."""
        at = self.of(tenant, person).digest_at
        if at is None or usual.are_quiet_at(at):
            return usual
        return ReceivingHours(usual.quiet_from, usual.quiet_until, at)


SWITCHED_OFF_FOR = timedelta(days=30)
ADDRESSES = "address/"


class AddressOff(BaseModel):
    """Stored on `mentoring.notify-state`, without the address: `digest` is of it and of the destination. `person`: the
    owner of the address, where the destination goes to the owner of a programme."""

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
        return f"{ADDRESSES}{self.destination}/{self.digest}"


def address_digest(destination: str, address: str) -> str:
    return sha256(f"{destination}\x00{address.lower()}".encode()).hexdigest()


class AddressesOff:
    """Read by senders on their thread, changed by the thread that decides: each change replaces the mapping."""

    def __init__(self, stored: Iterable[AddressOff] = ()) -> None:
        self._by_key = {one.key: one for one in stored}

    def is_off(self, destination: str, address: str) -> bool:
        return f"{ADDRESSES}{destination}/{address_digest(destination, address)}" in self._by_key

    def switch_off(self, one: AddressOff) -> None:
        self._by_key = {**self._by_key, one.key: one}

    def forget(self, tenant: str, person: str) -> list[str]:
        """Remove the addresses of an erased person; returns their keys."""
        return self._drop([key for key, one in self._by_key.items() if (one.tenant, one.person) == (tenant, person)])

    def expired(self, now: Instant) -> list[str]:
        """Remove the addresses that are tried again; returns their keys."""
        return self._drop([key for key, one in self._by_key.items() if one.since <= now - SWITCHED_OFF_FOR])

    def _drop(self, keys: list[str]) -> list[str]:
        if keys:
            self._by_key = {key: one for key, one in self._by_key.items() if key not in keys}
        return keys
