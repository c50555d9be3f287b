"""What people have set for themselves: which mails they do not want, and when their digest comes. What is urgent (P1)
always comes, and so does the end of what they have heard of."""

from collections.abc import Iterable
from datetime import time
from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from schemas.alert_commands import DigestAt, OpensWith, SwitchOff, SwitchOn
from schemas.alerts import Delivery
from schemas.primitives import Id
from schemas.scores import Name
from services.notify.domain.handling import ActRefused
from services.notify.domain.working_hours import ReceivingHours

KEY_PREFIX = "~person/"
"""Of the keys on `mentoring.notify-state`: no id begins so."""
MOST_OFF = 200


class SwitchedOff(BaseModel):
    """All that is named has to be so; nothing named: everything but P1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Name | None = None
    relationship: Id | None = None

    def covers(self, rule: str, relationship: str | None) -> bool:
        return self.rule in {None, rule} and self.relationship in {None, relationship}

    def words(self) -> str:
        parts = [self.rule.replace("_", " ")] if self.rule else []
        parts += [f"pair {self.relationship}"] if self.relationship else []
        return " of ".join(parts) or "everything but P1"


class PersonalSettings(BaseModel):
    """As they stand on `mentoring.notify-state`. `digest_at` None: as usual for the destination. `scope`: which alerts
    the board opens with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["personal_settings.1"] = "personal_settings.1"
    tenant: Id
    person: Id
    off: Annotated[tuple[SwitchedOff, ...], Field(max_length=MOST_OFF)] = ()
    digest_at: time | None = None
    scope: Literal["mine", "team", "all"] = "all"

    @property
    def key(self) -> str:
        return personal_key(self.tenant, self.person)


def personal_key(tenant: Id, person: Id) -> str:
    return f"{KEY_PREFIX}{tenant}/{person}"


OnSettings = SwitchOff | SwitchOn | DigestAt | OpensWith


def settings_after(before: PersonalSettings, act: OnSettings) -> PersonalSettings | ActRefused:
    """What an act of the person makes of their settings."""
    match act:
        case DigestAt(at=at):
            return before.model_copy(update={"digest_at": at})
        case OpensWith(scope=scope):
            return before.model_copy(update={"scope": scope})
        case SwitchOff() | SwitchOn():
            one = SwitchedOff(rule=act.rule, relationship=act.relationship)
            others = tuple(other for other in before.off if other != one)
            off = (*others, one) if isinstance(act, SwitchOff) else others
            if len(off) > MOST_OFF:
                return ActRefused(f"at most {MOST_OFF} things can be switched off one by one")
            return before.model_copy(update={"off": off})
        case _:
            assert_never(act)


class Preferences:
    """For the thread that decides."""

    def __init__(self, known: Iterable[PersonalSettings] = ()) -> None:
        self._known = {one.key: one for one in known}

    def of(self, tenant: Id, person: Id) -> PersonalSettings:
        return self._known.get(personal_key(tenant, person)) or PersonalSettings(tenant=tenant, person=person)

    def put(self, one: PersonalSettings) -> None:
        self._known[one.key] = one

    def forget(self, tenant: Id, person: Id) -> list[str]:
        """The key of what was known of somebody who was erased, if anything was."""
        key = personal_key(tenant, person)
        return [key] if self._known.pop(key, None) is not None else []

    def why_not(self, delivery: Delivery) -> str | None:
        """Why the person to whom it goes is not told, if so: they have switched it off."""
        if delivery.person is None or delivery.alert.urgency == "P1":
            return None
        relationship = delivery.relationship if delivery.alert.subject_kind == "relationship" else None
        off = self.of(delivery.tenant, delivery.person).off
        found = next((one for one in off if one.covers(delivery.alert.rule, relationship)), None)
        return f"switched off by whoever would get it: {found.words()}" if found else None

    def hours(self, tenant: Id, person: Id, usual: ReceivingHours) -> ReceivingHours:
        """With the digest at the person's hour, unless that lies in the quiet hours."""
        at = self.of(tenant, person).digest_at
        if at is None or usual.are_quiet_at(at):
            return usual
        return ReceivingHours(usual.quiet_from, usual.quiet_until, at)
