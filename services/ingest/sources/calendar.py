"""What calendars have in common: where entries are fetched; that an entry is a session of those who take part, or it is
none (any more)."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from schemas.primitives import to_rfc3339, to_utc
from services.ingest.domain.activity import Booked, Cancelled, Meeting, Native, Person, Translation
from services.ingest.domain.cloudevents import read_json
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.tool import RawPayloads, Received, ToolSettings
from services.ingest.sources.vendor_model import ZONE, AnyTime, MaybeText, VendorModel, in_zone, offset_named, read

# It takes two to meet.
FEWEST = 2

# Joined with paths: without a slash at the end, a query or a fragment. What carries a token is encrypted, unless it
# stays on this machine.
ApiUrl = Annotated[
    str, Field(pattern=r"^(https://[^\s?#/@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*[^\s?#/])?$")
]


class ApiSettings(ToolSettings):
    """Of a tool whose notifications are pointers: what they point to is fetched from there."""

    api_url: ApiUrl


class CalendarSlot(VendorModel):
    """A date and a time; without an offset it is of the zone that stands beside it."""

    moment: AnyTime = Field(alias="dateTime")
    zone: Annotated[MaybeText, ZONE] = Field("", alias="timeZone")

    @property
    def utc(self) -> datetime:
        return to_utc(self.moment) if self.moment.tzinfo else in_zone(self.moment, offset_named(self.zone))

    @model_validator(mode="after")
    def _is_a_time(self) -> Self:
        assert self.utc, "raises ValueError unless zone and year are known"
        return self


class CalendarTimes(VendorModel):
    """What there may be of an entry that is off. Where an instance of a series once stood is not read: it may have been
    moved since."""

    start: CalendarSlot | None = None


@dataclass(frozen=True)
class CalendarEntry:
    """`version` tells one wording of the entry from the next, `changed` is when it was worded so, UTC. `copy_of` is
    what the entry is called in every calendar, where that is known; each calendar gives it an id of its own."""

    id: str
    type: str
    version: str
    changed: datetime
    copy_of: Meeting | None = None

    @property
    def keyed(self) -> tuple[str, datetime, Native, Meeting]:
        """What every statement begins with."""
        key = f"{self.id}/{to_rfc3339(self.changed)}/{self.version}"
        return key, self.changed, Native(self.type, self.id), Meeting(self.id)

    def shared_as(self, uid: str, begin: datetime | None, invited: "Invited") -> Self:
        """`begin` tells one date of a series from the others: when it first was to be. Of more than two people each
        copy is a meeting of its own: a guest's does not know what the others answer, and is cancelled when that guest
        alone is asked no more."""
        if not uid or invited.is_partial or len(_each_once(invited.asked)) != FEWEST:
            return self
        return replace(self, copy_of=Meeting(f"icaluid:{uid}/{to_rfc3339(begin) if begin else ''}"))


EntryVerdict = Booked | Cancelled | Ignored | Rejected


class Invited(NamedTuple):
    """`asked` are all whom the entry names, without an address where it does not tell it. In a copy whose reader may
    not see the other guests nothing is said of who is not named: the list `is_partial`."""

    coming: list[Person]
    asked: list[Person]
    is_partial: bool = False


def session(entry: CalendarEntry, starts_at: datetime, ends_at: datetime, invited: Invited) -> EntryVerdict:
    """People meet, or it is no session: alone, all others declined. Of an entry without duration (a reminder, an hour
    that daylight saving leaves out) it is not known when they do."""
    takers, is_partial = _each_once(invited.coming), invited.is_partial
    if ends_at < starts_at:
        return rejected("invalid", "end", "must not be before the start")
    if len(takers) < FEWEST:
        # Who says no in such a copy says it of their own pair; the others come all the same.
        return replace(no_session(entry, invited.asked), is_partial=True) if is_partial else no_session(entry)
    if ends_at == starts_at:
        return Ignored("no_duration")
    declined = tuple(person for person in _each_once(invited.asked) if person not in takers)
    booked = Booked(*entry.keyed, starts_at, ends_at, takers)
    return replace(booked, is_partial=is_partial, declined=declined, copy_of=entry.copy_of)


def no_session(entry: CalendarEntry, people: Iterable[Person] = (), starts_at: datetime | None = None) -> Cancelled:
    """If it was one before, it is off for these people, or for those who were booked; if not, nobody waits for it."""
    takers = _each_once(person for person in people if person != Person())
    return Cancelled(*entry.keyed, takers if len(takers) >= FEWEST else (), starts_at, copy_of=entry.copy_of)


def start_in(value: object) -> datetime | None:
    """Of an entry that is off all the same where its time cannot be read."""
    times = read(CalendarTimes, value)
    return None if isinstance(times, Rejected) or not times.start else times.start.utc


def split(
    received: Received,
    name: str,
    stamp: tuple[str, datetime],
    is_entry: Callable[[dict[str, object]], bool],
    completed: Callable[[list[object]], list[object]] = list,
) -> RawPayloads | Rejected:
    """Each entry of a page, which lists them under `name`, or what is posted alone. `stamp` is added to an entry that
    comes without the time of its change: when we heard of it; what needs none stays the bytes that it is."""
    parsed, (member, now) = read_json(received.body), stamp
    if isinstance(parsed, Rejected):
        return parsed

    def stamped(one: object) -> object:
        is_bare = isinstance(one, dict) and not one.get(member) and is_entry(one)
        return {**one, member: to_rfc3339(now)} if isinstance(one, dict) and is_bare else one

    listed = parsed.value.get(name, ...) if isinstance(parsed.value, dict) else ...
    if listed is None:
        return RawPayloads((json.dumps({name: []}).encode(),))
    entries = [stamped(one) for one in completed(listed)] if isinstance(listed, list) else []
    alone = stamped(parsed.value)
    if not entries and alone == parsed.value:
        return RawPayloads((received.body,))
    return RawPayloads(tuple(json.dumps(one, ensure_ascii=False).encode() for one in entries or [alone]))


def as_translation(said: EntryVerdict) -> Translation:
    """Of one entry as a payload of its own."""
    return (said,) if isinstance(said, Booked | Cancelled) else said


def _each_once(people: Iterable[Person]) -> tuple[Person, ...]:
    """Of those of whom nothing is told each is another."""
    asked = list(people)
    known = {(person.address.casefold() or person.id): person for person in asked}
    unknown = [person for person in asked if person == Person()]
    return (*(person for name, person in known.items() if name), *unknown)
