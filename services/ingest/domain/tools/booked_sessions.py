"""Resolve bookings, moves and cancellations: for which relationships and when a tool's meeting is booked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Booked, Cancelled, Meeting, MeetingMoved
from services.ingest.domain.ids import EventContent, RawEvent, event_id, origin, raw_event, session_id
from services.ingest.domain.meetings.bookings import Booking, correlation_of
from services.ingest.domain.meetings.revisions import NO_GUESTS, Revision, as_move, remaining_move
from services.ingest.domain.people.relationship_history import Relationship
from services.ingest.domain.people.roster import identify_participants, subject
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.tools.slots import Slot, booked_slots, slots_of, slots_of_people
from services.ingest.domain.verdict import Ignored, Rejected, rejected

LONGEST_NOTICE_HOURS = 10_000.0
"""More than a year; the schema's maximum."""
HOUR = timedelta(hours=1)
UNCHANGED = Ignored("unchanged")
# The meeting is off because it was moved to another meeting.
MOVED_AWAY = Ignored("rescheduled")
NOT_BOOKED = Ignored("not_booked")
# Calendars are tidied up afterwards: a meeting that is over cannot be cancelled any more.
OVER = Ignored("over")

Result = tuple[RawEvent, ...] | Ignored | Rejected
Versions = tuple[Revision, ...]


class PartlyBooked(NamedTuple):
    """Pairs that are no longer named are cancelled, although the new participants cannot be resolved yet."""

    events: tuple[RawEvent, ...]
    rejected: Rejected


class _Times(NamedTuple):
    starts_at: datetime
    ends_at: datetime


def resolve_booking(change: Booked, scope: ConnectionScope, projection: Projection) -> Result | PartlyBooked:
    """Resolve a booking. A moved meeting keeps its session, even if the tool gives it another id. A pair that is no
    longer named is cancelled, unless its people may be among the unidentified guests: then they stay booked, at the new
    times."""
    bookings = projection.bookings
    change = replace(
        change, replaces=change.replaces or projection.revisions.requested_meeting(scope.source, change.meeting)
    )
    session = bookings.session(scope.tenant, scope.source, change.replaces or change.meeting, change.copy_of)
    present = identify_participants(change.people, scope, projection.roster)
    if isinstance(present, Rejected):
        return present
    slots = slots_of(present, change.time, session, scope, projection)
    named = () if isinstance(slots, Ignored | Rejected) else slots
    # Otherwise later activities of the meeting under its new id would belong to another session.
    follows = bookings.session(scope.tenant, scope.source, change.meeting) != session
    # A copy of a meeting that may already be booked changes only its own details.
    is_copy = follows and change.replaces is None
    staying = {slot.relationship.id for slot in named}
    others = () if change.is_partial else booked_slots(session, scope, projection)
    unnamed = [slot for slot in others if slot.relationship.id not in staying and _is_upcoming(slot, change.time)]
    later = projection.revisions.after(scope.source, change.meeting, change.time, change.copy_of)
    this = Revision(change, projection.guests(change, scope) if unnamed or later else NO_GUESTS)
    versions = (*projection.revisions.for_meetings(scope.source, change.meeting, change.replaces, change.copy_of), this)
    possibly_named = [slot for slot in unnamed if this.may_meet(slot.relationship, versions)]
    events: list[RawEvent] = []
    times = _Times(change.starts_at, change.ends_at)
    for slot in (*named, *possibly_named):
        since = tuple(one for one in later if one.concerns(slot.relationship))
        if slot.booking is None or (follows and not is_copy):
            events.append(_booking(change, scope, slot, times))
            events += _later_revisions(change, scope, slot, since, versions)
        elif slot.booking.as_of == change.time and _is_booked(slot, times) and not is_copy:
            # A repeat: the previous attempt may have written only part of the events.
            events += _later_revisions(change, scope, slot, since, versions)
        else:
            out = _excluding_revision(slot.relationship, since, versions)
            is_left = out is not None and slot.booking.cancelled
            move = () if is_left else tuple(_move_events(as_move(change), scope, slot, since))
            if is_copy and slot in named:
                # The booking on the log carries the id of another copy, but later activities of this copy name only its
                # own id. If the copy does not name the pair, nobody can know that it is theirs.
                move = move or tuple(_copy_events(change, scope, slot, since, versions))
                removed = _earlier_removal(slot, since, versions)
                move += (_cancellation(removed, scope, slot),) if removed else ()
            events += move
            if out and _is_upcoming(slot, out.time) and not _changed_since(slot, out.time):
                events.append(_cancellation(out, scope, slot))
    off = (slot for slot in unnamed if slot not in possibly_named and not _changed_since(slot, change.time))
    gone = (slot for slot in off if not _is_rebooked(slot, later, versions))
    events += [_cancellation(change, scope, slot) for slot in gone]
    if possibly_named and isinstance(slots, Rejected) and this.is_of(slot.relationship for slot in possibly_named):
        slots = UNCHANGED
    if isinstance(slots, Rejected) and events:
        return PartlyBooked(tuple(events), slots)
    return tuple(events) or (slots if isinstance(slots, Ignored | Rejected) else UNCHANGED)


def _copy_events(
    change: Booked, scope: ConnectionScope, slot: Slot, later: Versions, versions: Versions
) -> Iterator[RawEvent]:
    """A copy without changes: emit the session's known times. Earlier and later cancellations are emitted again."""
    booking = slot.booking
    assert booking is not None, "what there is a copy of was booked"
    # A session that was cancelled before it was booked has no known times.
    is_timed = booking.starts_at < booking.ends_at
    times = _Times(booking.starts_at, booking.ends_at) if is_timed else _Times(change.starts_at, change.ends_at)
    yield _booking(change, scope, slot, times)
    if booking.cancelled and booking.as_of <= change.time:
        yield from _later_revisions(change, scope, slot, later, versions)


def _earlier_removal(slot: Slot, later: Versions, versions: Versions) -> Cancelled | None:
    """Find the removal of a copy that arrived before its shared id was known: such a removal carries only the copy's
    own id."""
    for index, one in enumerate(revision.activity for revision in later):
        if not isinstance(one, Cancelled) or one.copy_of or not _is_upcoming(slot, one.time):
            continue
        if not _changed_since(slot, one.time) and not _is_rebooked(slot, later[index + 1 :], versions):
            return one
    return None


def _later_revisions(
    change: Booked, scope: ConnectionScope, slot: Slot, later: Versions, versions: Versions
) -> Iterator[RawEvent]:
    """Emit the revisions that arrived before this booking: until now their relationships were unknown."""
    booking = Booking(slot.session, change.starts_at, change.ends_at, as_of=change.time)
    for one in later:
        then, at, move = one.activity, slot._replace(booking=booking), _as_move_for(one, slot.relationship, versions)
        if move and not isinstance(then, Cancelled) and (move.is_back or not booking.cancelled):
            if (moved_to := _moved_times(move, booking)) and not _is_booked(at, moved_to):
                yield _booking(then, scope, at, moved_to)
                booking = Booking(slot.session, *moved_to, as_of=then.time)
        elif not move and _is_upcoming(at, then.time):
            yield _cancellation(then, scope, at)
            booking = booking._replace(as_of=then.time, cancelled=True)


def _excluding_revision(
    relationship: Relationship, later: Versions, versions: Versions
) -> Booked | MeetingMoved | None:
    """Return the revision that no longer names the pair and after which they do not return. Somebody who is not named
    might have been a stranger, until a late earlier version names both."""
    found: Booked | MeetingMoved | None = None
    for one in later:
        move = _as_move_for(one, relationship, versions)
        if move is None and not isinstance(one.activity, Cancelled):
            found = found or one.activity
        elif move is not None and move.is_back:
            found = None
    return found


def _as_move_for(one: Revision, relationship: Relationship, versions: Versions) -> MeetingMoved | None:
    """Return None if the revision cancels the meeting for this relationship."""
    match one.activity:
        case MeetingMoved() if one.guests == NO_GUESTS:
            return one.activity
        case Booked() | MeetingMoved() if one.may_meet(relationship, versions):
            return replace(as_move(one.activity), is_back=relationship.meets(one.guests.present))
        case _:
            return None


def _move_events(change: MeetingMoved, scope: ConnectionScope, slot: Slot, later: Versions) -> Iterator[RawEvent]:
    """Emit a move that arrives late only for values that no later revision sets, with the time of the latest one."""
    booking = slot.booking
    assert booking is not None, "what is moved is booked"
    latest = max([change.time, *(one.activity.time for one in later)])
    is_off = (
        booking.as_of > change.time or not change.is_back or any(isinstance(one.activity, Cancelled) for one in later)
    )
    if booking.as_of > latest or (booking.cancelled and is_off):
        return
    if (times := _moved_times(remaining_move(change, later), booking)) and not _is_booked(slot, times):
        yield _booking(replace(change, time=max(change.time, booking.as_of)), scope, slot, times)


def resolve_move(change: MeetingMoved, scope: ConnectionScope, projection: Projection) -> Result | PartlyBooked:
    """Resolve a move. If it names participants, it is a booking at the resulting times. A new date of a series applies
    to the relationships of its other future dates."""
    session = projection.bookings.session(scope.tenant, scope.source, change.meeting)
    slots = booked_slots(session, scope, projection)
    times = [_moved_times(change, slot.booking) for slot in slots if slot.booking]
    if None in times:
        return rejected("invalid", "starts_at", "ends beyond the end of time")
    if not slots and change.of_series and change.starts_at and change.lasts:
        dates = (slot for slot in _dates(change.meeting, scope, projection) if _is_upcoming(slot, change.time))
        others = {slot.relationship.id: Slot(slot.relationship, session, None) for slot in dates}
        new = _Times(change.starts_at, change.starts_at + change.lasts)
        return tuple(_booking(change, scope, slot, new) for slot in others.values()) or NOT_BOOKED
    if not slots:
        return NOT_BOOKED
    if change.people and (stands := next(filter(None, times), None)):
        rebooked = Booked(change.key, change.time, change.native, change.meeting, *stands, people=change.people)
        return resolve_booking(rebooked, scope, projection)
    later = projection.revisions.after(scope.source, change.meeting, change.time)
    return tuple(one for slot in slots for one in _move_events(change, scope, slot, later)) or UNCHANGED


def resolve_cancellation(change: Cancelled, scope: ConnectionScope, projection: Projection) -> Result:
    """Resolve a cancellation. It applies to the booked relationships; if those are unknown, or for a copy with named
    guests, to the pairs among the people that the tool names: an uninvited guest's copy is cancelled while others may
    be invited in their place. A recurring meeting without a date cancels all future dates. A meeting that moved to
    another one goes on there."""
    bookings = projection.bookings
    if not change.is_partial and bookings.is_replaced(scope.tenant, scope.source, change.meeting):
        return MOVED_AWAY
    requested = projection.revisions.requested_meeting(scope.source, change.meeting)
    session = bookings.session(scope.tenant, scope.source, requested or change.meeting, change.copy_of)
    of_all = () if change.is_partial else booked_slots(session, scope, projection)
    if not (of_all or change.is_partial or change.is_single or change.meeting.instance):
        dates = _dates(change.meeting, scope, projection)
        off = [
            one for one in dates if one.booking and not one.booking.cancelled and one.booking.starts_at > change.time
        ]
        if off:
            return tuple(_cancellation(replace(change, starts_at=None), scope, one) for one in off)
    slots: Sequence[Slot] | Ignored | Rejected = of_all
    if not of_all or (change.copy_of and change.people):
        named = slots_of_people(change, session, scope, projection)
        # The copy of previous guests, who are no pair, cancels nothing for the current ones.
        is_booked = bookings.session(scope.tenant, scope.source, change.meeting) == session
        slots = of_all if of_all and is_booked and isinstance(named, Ignored | Rejected) else named
    if isinstance(slots, Ignored | Rejected):
        return slots if change.people else NOT_BOOKED
    ahead = [slot for slot in slots if not (slot.booking and slot.booking.ends_at <= change.time)]
    later = projection.revisions.after(scope.source, change.meeting, change.time, change.copy_of)
    versions = projection.revisions.for_meetings(scope.source, change.meeting, change.copy_of)
    on = (
        slot
        for slot in ahead
        if not (slot.booking and slot.booking.cancelled) and not _is_rebooked(slot, later, versions)
    )
    return tuple(_cancellation(change, scope, slot) for slot in on) or (UNCHANGED if ahead else OVER)


def _dates(meeting: Meeting, scope: ConnectionScope, projection: Projection) -> list[Slot]:
    """Return the slots of all dates of a series that are or were booked."""
    dates = projection.bookings.dates(scope.tenant, scope.source, meeting)
    return [slot for date in dates for slot in booked_slots(date, scope, projection)]


def _is_rebooked(slot: Slot, later: Versions, versions: Versions) -> bool:
    """Whether a later revision booked them again."""
    moves = (_as_move_for(one, slot.relationship, versions) for one in later)
    return any(move is not None and move.is_back for move in moves)


def _is_booked(slot: Slot, times: _Times) -> bool:
    booking = slot.booking
    return bool(booking and not booking.cancelled and (booking.starts_at, booking.ends_at) == times)


def _is_upcoming(slot: Slot, moment: datetime) -> bool:
    return bool(slot.booking and not slot.booking.cancelled and slot.booking.ends_at > moment)


def _changed_since(slot: Slot, moment: datetime) -> bool:
    return bool(slot.booking and slot.booking.as_of > moment)


def _moved_times(change: MeetingMoved, booking: Booking) -> _Times | None:
    """Return None if the end would exceed the largest datetime."""
    starts_at = change.starts_at or booking.starts_at
    try:
        return _Times(starts_at, starts_at + (change.lasts or booking.ends_at - booking.starts_at))
    except OverflowError:
        return None


def _booking(change: Booked | MeetingMoved, scope: ConnectionScope, slot: Slot, times: _Times) -> RawEvent:
    replaces = isinstance(change, Booked) and change.replaces is not None
    is_moved = slot.booking and not slot.booking.cancelled and not _is_booked(slot, times)
    verb = "rescheduled" if replaces or is_moved else "scheduled"
    data = _data(change, scope, slot) | {name: to_rfc3339(time) for name, time in times._asdict().items()}
    event = event_id(change.key, slot.relationship.id)
    correlation = correlation_of(scope.source, change.meeting, change.copy_of)
    content = EventContent(f"mentoring.session.{verb}.v1", event, change.time, data, correlation)
    return raw_event(subject(scope, slot.relationship), content)


def _cancellation(change: Booked | MeetingMoved | Cancelled, scope: ConnectionScope, slot: Slot) -> RawEvent:
    """One activity may cancel several sessions: all dates of a series, or the meeting's own session before it is known
    to have moved here. Their ids differ."""
    start = change.starts_at if isinstance(change, Cancelled) else None
    starts_at = start or (slot.booking.starts_at if slot.booking else None)
    notice = None if starts_at is None else min(max(0.0, (starts_at - change.time) / HOUR), LONGEST_NOTICE_HOURS)
    data = _data(change, scope, slot) | {"notice_hours": notice}
    other = () if slot.session == session_id(scope.source, change.meeting) else (slot.session,)
    event = event_id(change.key, slot.relationship.id, *other)
    content = EventContent("mentoring.session.cancelled.v1", event, change.time, data)
    return raw_event(subject(scope, slot.relationship), content)


def _data(change: Booked | MeetingMoved | Cancelled, scope: ConnectionScope, slot: Slot) -> dict[str, object]:
    native = origin(scope, change.native)
    return {"by": "system", "evidence": "calendar", "origin": native, "session_id": slot.session}
