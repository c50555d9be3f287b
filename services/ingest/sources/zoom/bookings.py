"""Zoom's scheduled meetings as bookings. A create event is complete, an update has only the changed parts."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, NamedTuple, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from schemas.primitives import to_rfc3339, to_utc
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Meeting,
    MeetingMoved,
    Native,
    Person,
    Translation,
)
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.vendor_model import (
    NONE_IF_EMPTY,
    NULL_IS_EMPTY,
    ZONE,
    AnyTime,
    EpochMilliseconds,
    Ident,
    MaybeAddress,
    MaybeAddresses,
    MaybePersonId,
    MaybeText,
    MaybeWord,
    VendorModel,
    Word,
    blank_if_invalid,
    in_zone,
    native_id_or_digest,
    none_if_invalid,
    read,
    zone_or_offset,
)

# Instant, recurring without fixed time, personal room, audio conference: their start time is meaningless.
NO_FIXED_TIME = frozenset({1, 3, 4, 7})
RECURRING = 8
# Operations on the entire series; all others concern only some of its dates.
ENTIRE_SERIES = frozenset({"", "all"})
# A month in minutes; Zoom itself ends a meeting after 30 hours.
LONGEST = 31 * 24 * 60

Minutes = Annotated[int, Field(ge=0, le=LONGEST)]


class MeetingDate(NamedTuple):
    """One date of a meeting; the single date of a non-recurring meeting has no instance."""

    meeting: Meeting
    starts_at: datetime | None = None
    lasts: timedelta | None = None


def _in_supported_years(moment: datetime) -> datetime:
    assert to_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC)), "raises ValueError for absurd years"
    return moment


# Without an offset, the time is in the meeting's zone.
MaybeAnyTime = Annotated[Annotated[AnyTime, AfterValidator(_in_supported_years)] | None, NONE_IF_EMPTY]


class _NamedOccurrence(VendorModel):
    """What remains of an occurrence whose date cannot be read."""

    occurrence_id: Ident
    status: MaybeWord = ""


class Occurrence(_NamedOccurrence):
    start_time: MaybeAnyTime = None
    duration: Minutes | None = None


def _named_if_invalid(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """A broken date invalidates itself, not the series."""
    try:
        return handler(value)
    except ValidationError:
        named = read(_NamedOccurrence, value)
        return None if isinstance(named, Rejected) else Occurrence(**named.model_dump(), duration=0)


AnyOccurrence = Annotated[Occurrence | None, WrapValidator(_named_if_invalid)]


class ZoomInvitee(VendorModel):
    email: MaybeAddress = ""


class ZoomSettings(VendorModel):
    meeting_invitees: tuple[Annotated[ZoomInvitee, blank_if_invalid(ZoomInvitee)], ...] | None = None
    alternative_hosts: MaybeAddresses = ""


class Scheduled(VendorModel):
    id: Ident
    type: Annotated[int | None, NONE_IF_EMPTY] = None
    host_id: MaybePersonId = ""
    host_email: MaybeAddress = ""
    start_time: MaybeAnyTime = None
    timezone: Annotated[MaybeText, ZONE] = ""
    duration: Annotated[Minutes | None, NONE_IF_EMPTY] = None
    occurrences: tuple[AnyOccurrence, ...] | None = None
    settings: Annotated[ZoomSettings, NULL_IS_EMPTY] = ZoomSettings()

    @model_validator(mode="before")
    @classmethod
    def _series_is_its_dates(cls, value: object) -> object:
        """The dates define when a series begins; Zoom also sends the start of the first, possibly long past, date."""
        if isinstance(value, dict) and value.get("occurrences"):
            return {name: member for name, member in value.items() if name != "start_time"}
        return value

    @model_validator(mode="after")
    def _dates_can_be_read(self) -> Self:
        """Require a valid zone where a time has no offset."""
        if self.occurrences and not any(self.occurrences):
            raise ValueError("none of its occurrences can be read")
        for time in (self.start_time, *(one.start_time for one in self.occurrences or () if one)):
            self.utc(time)
        return self

    def utc(self, time: datetime | None) -> datetime | None:
        """Convert one of the meeting's times; without an offset it is in the meeting's zone. Raises ValueError."""
        is_local = time is not None and time.tzinfo is None
        return in_zone(time, zone_or_offset(self.timezone)) if time and is_local else time and to_utc(time)

    def utc_or_none(self, time: datetime | None) -> datetime | None:
        """Return None if the zone is unknown: a cancellation holds whatever the time was."""
        try:
            return Scheduled.utc(self, time)
        except ValueError:
            return None

    @property
    def dates(self) -> tuple[MeetingDate, ...]:
        if not self.occurrences:
            return (
                MeetingDate(Meeting(self.id), self.utc(self.start_time), timedelta(minutes=self.duration or 0) or None),
            )
        return tuple(self._date(each) for each in self.occurrences if each and each.status != "deleted")

    @property
    def dropped(self) -> tuple[MeetingDate, ...]:
        return tuple(self._date(each) for each in self.occurrences or () if each and each.status == "deleted")

    @property
    def invitees(self) -> tuple[ZoomInvitee, ...]:
        return self.settings.meeting_invitees or ()

    def _date(self, occurrence: Occurrence) -> MeetingDate:
        minutes = self.duration if occurrence.duration is None else occurrence.duration
        lasts = timedelta(minutes=minutes or 0) or None
        return MeetingDate(Meeting(self.id, occurrence.occurrence_id), self.utc(occurrence.start_time), lasts)


class PreviousMeeting(VendorModel):
    """The previous state; Zoom repeats only what has changed."""

    type: Annotated[int | None, WrapValidator(none_if_invalid)] = None
    start_time: Annotated[MaybeAnyTime, WrapValidator(none_if_invalid)] = None
    occurrences: tuple[AnyOccurrence, ...] | None = None


class ChangedMeeting(Scheduled):
    """An unreadable part of a change counts as unchanged; the rest applies."""

    start_time: Annotated[MaybeAnyTime, WrapValidator(none_if_invalid)] = None
    duration: Annotated[Minutes | None, WrapValidator(none_if_invalid)] = None


class DeletedMeeting(ChangedMeeting):
    """Times of a deleted meeting are optional."""

    def utc(self, time: datetime | None) -> datetime | None:
        return self.utc_or_none(time)


Scheduled_co = TypeVar("Scheduled_co", bound=Scheduled, covariant=True)


class ZoomPayload(VendorModel, Generic[Scheduled_co]):
    operator: MaybeAddress = ""
    operator_id: MaybePersonId = ""
    scope: MaybeWord = ""
    operation: MaybeWord = ""
    object: Scheduled_co
    old_object: Annotated[PreviousMeeting | None, WrapValidator(none_if_invalid)] = None

    @property
    def people(self) -> tuple[Person, ...]:
        """The host and all invitees, each once. An invitee without an address, and an unnamed host, count as an unknown
        person (empty)."""
        meeting = self.object
        hosted_by_operator = bool(meeting.host_id) and meeting.host_id == self.operator_id
        host = Person(meeting.host_id, meeting.host_email or (self.operator if hosted_by_operator else ""))
        others = meeting.settings.alternative_hosts.replace(",", ";").split(";")
        invited = _by_address(invitee.email for invitee in meeting.invitees)
        people = [host, *_by_address(others), *invited]
        # The host may also be invited; then the address identifies them.
        named = {person.address.lower() or person.id: person for person in reversed(people) if person != Person()}
        unknown = [person for person in (host, *invited) if person == Person()]
        return (*reversed(named.values()), *unknown)

    @property
    def replaced(self) -> tuple[MeetingDate, ...]:
        """Dates that a change of the recurrence, or between single and series, removed. The new dates are complete only
        if Zoom updated all and each can be read. What stays single is moved; an untimed one was never booked."""
        meeting, previous, new = self.object, self.old_object or PreviousMeeting(), self.object.occurrences or ()
        is_other = meeting.type is not None and previous.type not in {None, meeting.type}
        if self.scope != "all" or None in new or not (new or is_other):
            return ()
        if is_other and previous.type != RECURRING:
            is_off = previous.type not in NO_FIXED_TIME and meeting.type in {RECURRING, *NO_FIXED_TIME}
            return (MeetingDate(Meeting(meeting.id), meeting.utc_or_none(previous.start_time)),) if is_off else ()
        kept = {occurrence.occurrence_id for occurrence in filter(None, new)}
        return tuple(
            MeetingDate(Meeting(meeting.id, each.occurrence_id), meeting.utc_or_none(each.start_time))
            for each in previous.occurrences or ()
            if each and each.occurrence_id not in kept
        )


class ZoomBookingEvent(VendorModel, Generic[Scheduled_co]):
    event: Word
    event_ts: EpochMilliseconds
    payload: ZoomPayload[Scheduled_co]

    def heading(self, meeting: Meeting) -> tuple[str, datetime, Native]:
        """The leading fields of every activity: key, time and native id."""
        key = f"{self.event}:{meeting.id}:{meeting.instance}:{to_rfc3339(self.event_ts)}"
        return key, self.event_ts, Native(self.event, native_id_or_digest(meeting.id))


NewMeeting = ZoomBookingEvent[Scheduled]
MeetingChange = ZoomBookingEvent[ChangedMeeting]
Deletion = ZoomBookingEvent[DeletedMeeting]
RECOVERED = "meeting.recovered"


def created(event: NewMeeting) -> Translation:
    if event.payload.object.type in NO_FIXED_TIME:
        return Ignored("no_fixed_time")
    return _or_ignored([_booked(event, date) for date in event.payload.object.dates], "no_fixed_time")


def updated(event: MeetingChange) -> Translation:
    """Zoom sends the changed members and their previous values. For a meeting recovered from the trash it sends
    everything but the invitees, who are rarely included anyway."""
    meeting = event.payload.object
    is_timed = meeting.type not in NO_FIXED_TIME
    changed = [_changed(event, date) for date in meeting.dates if is_timed]
    dropped = [_cancelled(event, date) for date in (*meeting.dropped, *event.payload.replaced)]
    return _or_ignored([*changed, *dropped], "nothing_used_has_changed" if is_timed else "no_fixed_time")


def deleted(event: Deletion) -> Translation:
    meeting = event.payload.object
    is_entire_series = meeting.type == RECURRING and not meeting.occurrences
    if is_entire_series and event.payload.operation not in ENTIRE_SERIES:
        return rejected("invalid", "payload.object.occurrences", "is required: it says which of the dates are off")
    # Without its dates, deleting a full series cancels all future dates; the first of them may be over already.
    dates = (MeetingDate(Meeting(meeting.id)),) if is_entire_series else (*meeting.dates, *meeting.dropped)
    return _or_ignored([_cancelled(event, date) for date in dates], "already_over")


def _or_ignored(activities: list[Activity | None], otherwise: str) -> Translation:
    return tuple(each for each in activities if each) or Ignored(otherwise)


def _booked(event: ZoomBookingEvent[Scheduled], date: MeetingDate) -> Booked | None:
    if not date.starts_at or not date.lasts:
        return None
    ends_at = date.starts_at + date.lasts
    return Booked(*event.heading(date.meeting), date.meeting, date.starts_at, ends_at, event.payload.people)


def _changed(event: MeetingChange, date: MeetingDate) -> Booked | MeetingMoved | None:
    meeting = event.payload.object
    if meeting.invitees and date.starts_at and date.lasts:
        return _booked(event, date)
    if not (meeting.invitees or date.starts_at or date.lasts):
        return None
    # Whether a single date belongs to a series is unknown unless it is listed as an occurrence.
    is_date = bool(meeting.occurrences) or meeting.type not in {None, RECURRING}
    return MeetingMoved(
        *event.heading(date.meeting),
        *date,
        is_back=event.event == RECOVERED,
        people=event.payload.people if meeting.invitees else (),
        of_series=is_date and event.payload.scope == "all",
    )


def _cancelled(event: MeetingChange, date: MeetingDate) -> Cancelled | None:
    # People tidy up: deleting a meeting that has already begun does not cancel it.
    if date.starts_at and date.starts_at <= event.event_ts:
        return None
    is_deleted = event.event == "meeting.deleted"
    return Cancelled(*event.heading(date.meeting), date.meeting, starts_at=date.starts_at, is_single=not is_deleted)


def _by_address(addresses: Iterable[str]) -> list[Person]:
    return [Person(address=address.strip()) for address in addresses]
