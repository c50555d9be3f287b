"""Shared by calendar tools: the API to fetch entries from, and the decision whether an entry is a session."""

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
from services.ingest.sources.vendor_model import ZONE, AnyTime, MaybeText, VendorModel, in_zone, read, zone_or_offset

# It takes two to meet.
MIN_ATTENDEES = 2

# Joined with paths: no trailing slash, query or fragment. A request with a token must be encrypted, unless it stays on
# this machine.
ApiUrl = Annotated[
    str, Field(pattern=r"^(https://[^\s?#/@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*[^\s?#/])?$")
]


class ApiSettings(ToolSettings):
    """Settings of a tool whose notifications are pointers; resources are fetched from `api_url`."""

    api_url: ApiUrl


class CalendarSlot(VendorModel):
    """A date and a time; without an offset it is in the zone of `timeZone`."""

    moment: AnyTime = Field(alias="dateTime")
    zone: Annotated[MaybeText, ZONE] = Field("", alias="timeZone")

    @property
    def utc(self) -> datetime:
        return to_utc(self.moment) if self.moment.tzinfo else in_zone(self.moment, zone_or_offset(self.zone))

    @model_validator(mode="after")
    def _is_a_time(self) -> Self:
        assert self.utc, "raises ValueError unless zone and year are known"
        return self


class CalendarTimes(VendorModel):
    """The optional start of a cancelled entry. An instance's original start is not read: it may have moved since."""

    start: CalendarSlot | None = None


@dataclass(frozen=True)
class CalendarEntry:
    """`version` distinguishes revisions of the entry; `changed` is the time of the revision, UTC. `copy_of` is the
    entry's id across all calendars, if known; each calendar gives its copy an id of its own."""

    id: str
    type: str
    version: str
    changed: datetime
    copy_of: Meeting | None = None

    @property
    def heading(self) -> tuple[str, datetime, Native, Meeting]:
        """The leading fields of every activity: key, time, native id and meeting."""
        key = f"{self.id}/{to_rfc3339(self.changed)}/{self.version}"
        return key, self.changed, Native(self.type, self.id), Meeting(self.id)

    def with_shared_id(self, uid: str, begin: datetime | None, invited: "Invited") -> Self:
        """Set `copy_of` for an entry of exactly two people. `begin` is the original start and distinguishes the dates
        of a series. With more than two people each copy is a meeting of its own: a guest's copy lacks the other guests'
        answers, and is cancelled when that guest alone is uninvited."""
        if not uid or invited.is_partial or len(_deduplicate(invited.asked)) != MIN_ATTENDEES:
            return self
        return replace(self, copy_of=Meeting(f"icaluid:{uid}/{to_rfc3339(begin) if begin else ''}"))


EntryVerdict = Booked | Cancelled | Ignored | Rejected


class Invited(NamedTuple):
    """`asked` are all people whom the entry names, without an address where it gives none. A copy whose reader may not
    see the other guests `is_partial`: people who are missing from it may still take part."""

    coming: list[Person]
    asked: list[Person]
    is_partial: bool = False


def session(entry: CalendarEntry, starts_at: datetime, ends_at: datetime, invited: Invited) -> EntryVerdict:
    """Return a booking, or a cancellation if fewer than two people remain (alone, or all others declined). An entry
    without duration (a reminder, an hour that daylight saving skips) gives no time of the meeting and is ignored."""
    attendees, is_partial = _deduplicate(invited.coming), invited.is_partial
    if ends_at < starts_at:
        return rejected("invalid", "end", "must not be before the start")
    if len(attendees) < MIN_ATTENDEES:
        # Declining in a partial copy concerns only the decliner's own pair; the others still meet.
        return replace(no_session(entry, invited.asked), is_partial=True) if is_partial else no_session(entry)
    if ends_at == starts_at:
        return Ignored("no_duration")
    declined = tuple(person for person in _deduplicate(invited.asked) if person not in attendees)
    booked = Booked(*entry.heading, starts_at, ends_at, attendees)
    return replace(booked, is_partial=is_partial, declined=declined, copy_of=entry.copy_of)


def no_session(entry: CalendarEntry, people: Iterable[Person] = (), starts_at: datetime | None = None) -> Cancelled:
    """Cancel the entry for these people, or for those who were booked. If it was never booked, the cancellation has no
    effect."""
    attendees = _deduplicate(person for person in people if person != Person())
    return Cancelled(
        *entry.heading, attendees if len(attendees) >= MIN_ATTENDEES else (), starts_at, copy_of=entry.copy_of
    )


def start_of(value: object) -> datetime | None:
    """Return the start of a cancelled entry; None if it cannot be read, which does not affect the cancellation."""
    times = read(CalendarTimes, value)
    return None if isinstance(times, Rejected) or not times.start else times.start.utc


def split_page(
    received: Received,
    name: str,
    stamp: tuple[str, datetime],
    is_entry: Callable[[dict[str, object]], bool],
    completed: Callable[[list[object]], list[object]] = list,
) -> RawPayloads | Rejected:
    """Split a page (a list under `name`) or a single posted entry into one payload per entry. `stamp` is a member and
    the time of receipt: it is added to an entry that lacks the time of its change. A body that needs no stamp stays
    unchanged, byte for byte."""
    parsed, (member, now) = read_json(received.body), stamp
    if isinstance(parsed, Rejected):
        return parsed

    def add_stamp(one: object) -> object:
        is_bare = isinstance(one, dict) and not one.get(member) and is_entry(one)
        return {**one, member: to_rfc3339(now)} if isinstance(one, dict) and is_bare else one

    listed = parsed.value.get(name, ...) if isinstance(parsed.value, dict) else ...
    if listed is None:
        return RawPayloads((json.dumps({name: []}).encode(),))
    entries = [add_stamp(one) for one in completed(listed)] if isinstance(listed, list) else []
    alone = add_stamp(parsed.value)
    if not entries and alone == parsed.value:
        return RawPayloads((received.body,))
    return RawPayloads(tuple(json.dumps(one, ensure_ascii=False).encode() for one in entries or [alone]))


def as_translation(verdict: EntryVerdict) -> Translation:
    """Wrap the verdict of a single entry as a translation."""
    return (verdict,) if isinstance(verdict, Booked | Cancelled) else verdict


def _deduplicate(people: Iterable[Person]) -> tuple[Person, ...]:
    """Deduplicate people; each unidentified person counts separately."""
    asked = list(people)
    identified = {(person.address.casefold() or person.id): person for person in asked}
    unidentified = [person for person in asked if person == Person()]
    return (*(person for name, person in identified.items() if name), *unidentified)
