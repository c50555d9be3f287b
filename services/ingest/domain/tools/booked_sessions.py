"""Which relationships a meeting of a tool is booked for, and for when."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Booked, Cancelled, Meeting, MeetingMoved, Missed
from services.ingest.domain.ids import EventContent, RawEvent, event_id, origin, raw_event
from services.ingest.domain.meetings.bookings import Booking, matter_of
from services.ingest.domain.meetings.revisions import NO_GUESTS, Revision, as_move, still_said
from services.ingest.domain.people.relationship_history import Relationship
from services.ingest.domain.people.roster import company, pairs, subject
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected, rejected


class Slot(NamedTuple):
    """A session of one relationship. `known` None: as far as the log tells it is not booked."""

    relationship: Relationship
    session: str
    known: Booking | None


def booked_slots(session: str, scope: ConnectionScope, projection: Projection) -> list[Slot]:
    whose = sorted(projection.bookings.whose(scope.tenant, session))
    found = (projection.roster.relationship(scope.tenant, one) for one in whose)
    return [_slot(one, session, projection) for one in found if one and scope.program in {None, one.program}]


def slots_of_people(
    said: Cancelled | Missed, session: str, scope: ConnectionScope, projection: Projection
) -> list[Slot] | Ignored | Rejected:
    """Of the pairs among the people that the tool names."""
    present = company(said.people, scope, projection.roster)
    if isinstance(present, Rejected):
        return present
    return slots_of(present, said.time, session, scope, projection)


def slots_of(
    present: frozenset[str], at: datetime, session: str, scope: ConnectionScope, projection: Projection
) -> list[Slot] | Ignored | Rejected:
    found = pairs(present, scope, projection.roster, at)
    return found if isinstance(found, Ignored | Rejected) else [_slot(one, session, projection) for one in found]


def _slot(relationship: Relationship, session: str, projection: Projection) -> Slot:
    return Slot(relationship, session, projection.bookings.booking(relationship.tenant, relationship.id, session))


LONGEST_NOTICE_HOURS = 10_000.0
"""More than a year; the schema admits no more."""
HOUR = timedelta(hours=1)
UNCHANGED = Ignored("unchanged")
# The meeting is off because it takes place as another one.
MOVED_ON = Ignored("rescheduled")
NOT_BOOKED = Ignored("not_booked")
# Calendars are tidied up afterwards: what is over cannot be called off any more.
OVER = Ignored("over")

Result = tuple[RawEvent, ...] | Ignored | Rejected
Told = tuple[Revision, ...]


class PartlyBooked(NamedTuple):
    """Whoever is named no more is called off, though it is not known yet whose meeting it is now."""

    events: tuple[RawEvent, ...]
    rejected: Rejected


class _Times(NamedTuple):
    starts_at: datetime
    ends_at: datetime


def booked(said: Booked, scope: ConnectionScope, projection: Projection) -> Result | PartlyBooked:
    """A meeting that was moved keeps its session, also where the tool gives it another id. Whoever takes part no more
    has it cancelled, unless they may be one of those whom nobody can identify: then they meet as before, at the times
    that are told now."""
    bookings = projection.bookings
    said = replace(said, replaces=said.replaces or projection.revisions.requested(scope.source, said.meeting))
    session = bookings.session(scope.tenant, scope.source, said.replaces or said.meeting, said.copy_of)
    present = company(said.people, scope, projection.roster)
    if isinstance(present, Rejected):
        return present
    slots = slots_of(present, said.time, session, scope, projection)
    stay = () if isinstance(slots, Ignored | Rejected) else slots
    # Else what is said next of the meeting, under its new id, would be of another session.
    follows = bookings.session(scope.tenant, scope.source, said.meeting) != session
    # A copy of what may be booked already changes nothing of it but what it says itself.
    is_copy = follows and said.replaces is None
    staying = {slot.relationship.id for slot in stay}
    others = () if said.is_partial else booked_slots(session, scope, projection)
    unnamed = [slot for slot in others if slot.relationship.id not in staying and _goes_on(slot, said.time)]
    later = projection.revisions.after(scope.source, said.meeting, said.time, said.copy_of)
    this = Revision(said, projection.guests(said, scope) if unnamed or later else NO_GUESTS)
    versions = (*projection.revisions.of(scope.source, said.meeting, said.replaces, said.copy_of), this)
    may_stay = [slot for slot in unnamed if this.may_meet(slot.relationship, versions)]
    events: list[RawEvent] = []
    times = _Times(said.starts_at, said.ends_at)
    for slot in (*stay, *may_stay):
        since = tuple(one for one in later if one.concerns(slot.relationship))
        if slot.known is None or (follows and not is_copy):
            events.append(_booking(said, scope, slot, times))
            events += _what_became(said, scope, slot, since, versions)
        elif slot.known.told == said.time and _is_booked(slot, times) and not is_copy:
            # Told again: of what was to be written then, this may be all that was.
            events += _what_became(said, scope, slot, since, versions)
        else:
            out = _left_out(slot.relationship, since, versions)
            move = () if out and slot.known.cancelled else tuple(_moved_to(as_move(said), scope, slot, since))
            if is_copy and slot in stay:
                # It stands on the log of what it is a copy: what is told of it next may name nothing but its id. Of one
                # that does not name the pair nobody knows that it is theirs.
                move = move or tuple(_as_known(said, scope, slot, since, versions))
                removed = _removed_before(slot, since, versions)
                move += (_cancellation(removed, scope, slot),) if removed else ()
            events += move
            if out and _goes_on(slot, out.time) and not _was_told_since(slot, out.time):
                events.append(_cancellation(out, scope, slot))
    off = (slot for slot in unnamed if slot not in may_stay and not _was_told_since(slot, said.time))
    gone = (slot for slot in off if not _is_back(slot, later, versions))
    events += [_cancellation(said, scope, slot) for slot in gone]
    if may_stay and isinstance(slots, Rejected) and this.is_of(slot.relationship for slot in may_stay):
        slots = UNCHANGED
    if isinstance(slots, Rejected) and events:
        return PartlyBooked(tuple(events), slots)
    return tuple(events) or (slots if isinstance(slots, Ignored | Rejected) else UNCHANGED)


def _as_known(said: Booked, scope: ConnectionScope, slot: Slot, later: Told, versions: Told) -> Iterator[RawEvent]:
    """A copy that changes nothing: it is said of the session as it is known. What was called off before it, and since,
    is called off again."""
    known = slot.known
    assert known is not None, "what there is a copy of was booked"
    # Of what was called off before it was booked no times are known.
    is_timed = known.starts_at < known.ends_at
    times = _Times(known.starts_at, known.ends_at) if is_timed else _Times(said.starts_at, said.ends_at)
    yield _booking(said, scope, slot, times)
    if known.cancelled and known.told <= said.time:
        yield from _what_became(said, scope, slot, later, versions)


def _removed_before(slot: Slot, later: Told, versions: Told) -> Cancelled | None:
    """That a copy was removed, told before it was known of what it is one: all that is told then is its own id."""
    for place, one in enumerate(revision.said for revision in later):
        if not isinstance(one, Cancelled) or one.copy_of or not _goes_on(slot, one.time):
            continue
        if not _was_told_since(slot, one.time) and not _is_back(slot, later[place + 1 :], versions):
            return one
    return None


def _what_became(said: Booked, scope: ConnectionScope, slot: Slot, later: Told, versions: Told) -> Iterator[RawEvent]:
    """What was told before of a meeting that is booked as this one of the tool: nobody knew then whose it was."""
    known = Booking(slot.session, said.starts_at, said.ends_at, told=said.time)
    for one in later:
        then, at, move = one.said, slot._replace(known=known), _stays_as(one, slot.relationship, versions)
        if move and not isinstance(then, Cancelled) and (move.is_back or not known.cancelled):
            if (moved_to := _moved_times(move, known)) and not _is_booked(at, moved_to):
                yield _booking(then, scope, at, moved_to)
                known = Booking(slot.session, *moved_to, told=then.time)
        elif not move and _goes_on(at, then.time):
            date = "" if then.meeting == said.meeting else slot.session
            yield _cancellation(then, scope, at, date)
            known = known._replace(told=then.time, cancelled=True)


def _left_out(relationship: Relationship, later: Told, versions: Told) -> Booked | MeetingMoved | None:
    """The version that names them no more, and after which they are not back. Whoever it does not name might have been
    a stranger in it, until an earlier version that is told late names both."""
    found: Booked | MeetingMoved | None = None
    for one in later:
        move = _stays_as(one, relationship, versions)
        if move is None and not isinstance(one.said, Cancelled):
            found = found or one.said
        elif move is not None and move.is_back:
            found = None
    return found


def _stays_as(one: Revision, relationship: Relationship, versions: Told) -> MeetingMoved | None:
    """None: it is off for this relationship."""
    match one.said:
        case MeetingMoved() if one.guests == NO_GUESTS:
            return one.said
        case Booked() | MeetingMoved() if one.may_meet(relationship, versions):
            return replace(as_move(one.said), is_back=relationship.meets(one.guests.present))
        case _:
            return None


def _moved_to(said: MeetingMoved, scope: ConnectionScope, slot: Slot, later: Told) -> Iterator[RawEvent]:
    """Told late, it counts for what nobody has said since, from when the rest was said."""
    known = slot.known
    assert known is not None, "what is moved is booked"
    told = max([said.time, *(one.said.time for one in later)])
    is_off = known.told > said.time or not said.is_back or any(isinstance(one.said, Cancelled) for one in later)
    if known.told > told or (known.cancelled and is_off):
        return
    if (times := _moved_times(still_said(said, later), known)) and not _is_booked(slot, times):
        yield _booking(replace(said, time=max(said.time, known.told)), scope, slot, times)


def moved(said: MeetingMoved, scope: ConnectionScope, projection: Projection) -> Result | PartlyBooked:
    """Where it names who takes part it is a booking at the times that stand. A new date of a series is of whoever has
    others of its dates ahead."""
    session = projection.bookings.session(scope.tenant, scope.source, said.meeting)
    slots = booked_slots(session, scope, projection)
    times = [_moved_times(said, slot.known) for slot in slots if slot.known]
    if None in times:
        return rejected("invalid", "starts_at", "ends beyond the end of time")
    if not slots and said.of_series and said.starts_at and said.lasts:
        dates = (slot for slot in _dates(said.meeting, scope, projection) if _goes_on(slot, said.time))
        others = {slot.relationship.id: Slot(slot.relationship, session, None) for slot in dates}
        new = _Times(said.starts_at, said.starts_at + said.lasts)
        return tuple(_booking(said, scope, slot, new) for slot in others.values()) or NOT_BOOKED
    if not slots:
        return NOT_BOOKED
    if said.people and (stands := next(filter(None, times), None)):
        whole = Booked(said.key, said.time, said.native, said.meeting, *stands, people=said.people)
        return booked(whole, scope, projection)
    later = projection.revisions.after(scope.source, said.meeting, said.time)
    return tuple(one for slot in slots for one in _moved_to(said, scope, slot, later)) or UNCHANGED


def cancelled(said: Cancelled, scope: ConnectionScope, projection: Projection) -> Result:
    """Of those for whom it was booked; where that is not known, and of a copy that names them, of the pairs among the
    people that the tool names: who is asked no more has a cancelled copy, and others may be asked in their place. Of a
    recurring meeting without a date it is of all that lie ahead. What has moved to another meeting goes on there."""
    bookings = projection.bookings
    if not said.is_partial and bookings.is_replaced(scope.tenant, scope.source, said.meeting):
        return MOVED_ON
    session = bookings.session(scope.tenant, scope.source, said.meeting, said.copy_of)
    of_all = () if said.is_partial else booked_slots(session, scope, projection)
    if not (of_all or said.is_partial or said.is_single or said.meeting.instance):
        dates = _dates(said.meeting, scope, projection)
        off = [one for one in dates if one.known and not one.known.cancelled and one.known.starts_at > said.time]
        if off:
            return tuple(_cancellation(replace(said, starts_at=None), scope, one, one.session) for one in off)
    slots: Sequence[Slot] | Ignored | Rejected = of_all
    if not of_all or (said.copy_of and said.people):
        named = slots_of_people(said, session, scope, projection)
        # The copy of who was asked before, and is in no pair, calls nothing off for those who are asked now.
        is_booked = bookings.session(scope.tenant, scope.source, said.meeting) == session
        slots = of_all if of_all and is_booked and isinstance(named, Ignored | Rejected) else named
    if isinstance(slots, Ignored | Rejected):
        return slots if said.people else NOT_BOOKED
    ahead = [slot for slot in slots if not (slot.known and slot.known.ends_at <= said.time)]
    later = projection.revisions.after(scope.source, said.meeting, said.time, said.copy_of)
    versions = projection.revisions.of(scope.source, said.meeting, said.copy_of)
    on = (slot for slot in ahead if not (slot.known and slot.known.cancelled) and not _is_back(slot, later, versions))
    return tuple(_cancellation(said, scope, slot) for slot in on) or (UNCHANGED if ahead else OVER)


def _dates(meeting: Meeting, scope: ConnectionScope, projection: Projection) -> list[Slot]:
    """All that are or were booked of a series."""
    dates = projection.bookings.dates(scope.tenant, scope.source, meeting)
    return [slot for date in dates for slot in booked_slots(date, scope, projection)]


def _is_back(slot: Slot, later: Told, versions: Told) -> bool:
    """Whether it was said since that they meet."""
    moves = (_stays_as(one, slot.relationship, versions) for one in later)
    return any(move is not None and move.is_back for move in moves)


def _is_booked(slot: Slot, times: _Times) -> bool:
    known = slot.known
    return bool(known and not known.cancelled and (known.starts_at, known.ends_at) == times)


def _goes_on(slot: Slot, moment: datetime) -> bool:
    return bool(slot.known and not slot.known.cancelled and slot.known.ends_at > moment)


def _was_told_since(slot: Slot, moment: datetime) -> bool:
    return bool(slot.known and slot.known.told > moment)


def _moved_times(said: MeetingMoved, known: Booking) -> _Times | None:
    """None: it would end beyond the end of time."""
    starts_at = said.starts_at or known.starts_at
    try:
        return _Times(starts_at, starts_at + (said.lasts or known.ends_at - known.starts_at))
    except OverflowError:
        return None


def _booking(said: Booked | MeetingMoved, scope: ConnectionScope, slot: Slot, times: _Times) -> RawEvent:
    replaces = isinstance(said, Booked) and said.replaces is not None
    is_moved = slot.known and not slot.known.cancelled and not _is_booked(slot, times)
    verb = "rescheduled" if replaces or is_moved else "scheduled"
    data = _data(said, scope, slot) | {name: to_rfc3339(time) for name, time in times._asdict().items()}
    event, matter = event_id(said.key, slot.relationship.id), matter_of(scope.source, said.meeting, said.copy_of)
    content = EventContent(f"mentoring.session.{verb}.v1", event, said.time, data, matter)
    return raw_event(subject(scope, slot.relationship), content)


def _cancellation(
    said: Booked | MeetingMoved | Cancelled, scope: ConnectionScope, slot: Slot, date: str = ""
) -> RawEvent:
    """`date` tells one of several dates from the others."""
    told = said.starts_at if isinstance(said, Cancelled) else None
    starts_at = told or (slot.known.starts_at if slot.known else None)
    notice = None if starts_at is None else min(max(0.0, (starts_at - said.time) / HOUR), LONGEST_NOTICE_HOURS)
    data = _data(said, scope, slot) | {"notice_hours": notice}
    event = event_id(said.key, *filter(None, (slot.relationship.id, date)))
    content = EventContent("mentoring.session.cancelled.v1", event, said.time, data)
    return raw_event(subject(scope, slot.relationship), content)


def _data(said: Booked | MeetingMoved | Cancelled, scope: ConnectionScope, slot: Slot) -> dict[str, object]:
    native = origin(scope, said.native)
    return {"by": "system", "evidence": "calendar", "origin": native, "session_id": slot.session}
