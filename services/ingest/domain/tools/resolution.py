"""Resolve a tool's activities of people into events of relationships."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from schemas.directory import DirectoryStatement, Participant
from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Employed,
    Ended,
    GenericActivity,
    Joined,
    Left,
    MeetingMoved,
    Missed,
    MoveRequested,
    Person,
    Voided,
)
from services.ingest.domain.ids import (
    EventContent,
    RawEvent,
    event_id,
    origin,
    outcome_id,
    raw_event,
    statement_id,
    visitor_id,
)
from services.ingest.domain.meetings.attendance import REJOIN_GRACE
from services.ingest.domain.meetings.attendance_index import (
    UNIDENTIFIED,
    MeetingAttendance,
    Visit,
    anonymise,
    visit_of,
)
from services.ingest.domain.meetings.bookings import EARLY_JOIN, Booking
from services.ingest.domain.people.fan_out import FannedOut, resolve_employment
from services.ingest.domain.people.relationship_history import Relationship
from services.ingest.domain.people.roster import (
    STRANGERS,
    identify_participants,
    reject_ambiguous,
    reject_no_pair,
    subject,
)
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.booked_sessions import (
    NOT_BOOKED,
    PartlyBooked,
    resolve_booking,
    resolve_cancellation,
    resolve_move,
)
from services.ingest.domain.tools.generic_events import resolve_generic, resolve_retraction
from services.ingest.domain.tools.projection import EmittedEvent, Projection
from services.ingest.domain.tools.slots import booked_slots, slots_of_people
from services.ingest.domain.verdict import Ignored, Rejected

ALONE = Ignored("alone")
NO_PAIR = Ignored("no_pair_of_theirs")
NOTHING_NEW = Ignored("unchanged")
# No longer, or not yet.
NOT_BOOKED_THEN = Ignored("not_booked_then")
UNIDENTIFIED_GUEST = Ignored("unidentified_guest")

Result = tuple[RawEvent, ...] | Ignored | Rejected


def resolve_attendance(activity: Joined | Left, scope: ConnectionScope, projection: Projection) -> Result:
    """Emit joins and leaves once both sides have come; until then nothing is emitted for the first side. An
    unidentified person, with an unknown address or none, may belong to every pair."""
    who = projection.roster.identify(scope.tenant, scope.tool, activity.person)
    if len(who) > 1:
        return reject_ambiguous("person", who)
    meeting, new = _Meeting(activity, scope, projection), visit_of(activity, next(iter(who), UNIDENTIFIED))
    participant = new.participant or meeting.attendance.participant_on(new.devices)
    before, after = meeting.attendance.without(new), meeting.attendance.with_visit(new)
    found = meeting.relationships(after)
    if participant == UNIDENTIFIED:
        events = tuple(event for one in found for event in meeting.events(one, before, after))
        return events or (UNIDENTIFIED_GUEST if activity.person == Person() else STRANGERS)
    ours = [one for one in found if participant in one.people | meeting.other_attendee(one, after)]
    if not ours and len(after.people) == 1:
        return ALONE
    if not ours:
        return NO_PAIR if found else reject_no_pair(after.people, scope)
    return tuple(event for one in ours for event in meeting.events(one, before, after)) or NOTHING_NEW


def resolve_end(activity: Ended, scope: ConnectionScope, projection: Projection) -> Result:
    """Everybody without a leave leaves at the end. A booked pair of whom nobody came, while other participants did, has
    missed the meeting."""
    meeting = _Meeting(activity, scope, projection)
    before, after = meeting.attendance.without(activity), meeting.attendance.with_end(activity)
    events = [event for one in meeting.relationships(after) for event in meeting.events(one, before, after)]
    return (*events, *meeting.no_shows()) or (NOTHING_NEW if after.people else STRANGERS)


def resolve_no_show(activity: Missed, scope: ConnectionScope, projection: Projection) -> Result:
    """Resolve a tool's report of a no-show in a booked meeting. A side is absent if nobody of it came."""
    absent = identify_participants(activity.absent, scope, projection.roster)
    if isinstance(absent, Rejected):
        return absent
    session = projection.bookings.session(scope.tenant, scope.source, activity.meeting)
    slots = booked_slots(session, scope, projection) or slots_of_people(activity, session, scope, projection)
    if isinstance(slots, Ignored | Rejected):
        return slots if activity.people else NOT_BOOKED
    slots = [slot for slot in slots if _is_booked_at(activity.time, slot.booking)]
    if not slots:
        return NOT_BOOKED_THEN
    emitted = projection.statement_index.find(scope.tenant, scope.source, statement_id(activity.key))
    others = [one for one in emitted if one.time != activity.time]
    # A no-show may be observed, marked by hand and reported at the end: emit it once, even if it was retracted since.
    standing = {one.relationship for one in others if one.retracted is None or one.retracted >= activity.time}
    events: list[RawEvent] = []
    for slot in slots:
        no_mentor, no_mentee = slot.relationship.mentors <= absent, slot.relationship.mentees <= absent
        if (no_mentor or no_mentee) and slot.relationship.id not in standing:
            side = "both" if no_mentor and no_mentee else "mentor" if no_mentor else "mentee"
            ours = {"by": "system", "evidence": activity.evidence, "origin": origin(scope, activity.native)}
            data = {**ours, "session_id": slot.session, "absent": side}
            # After a retraction the event needs a new id.
            anew = (
                (to_rfc3339(activity.time),) if any(one.relationship == slot.relationship.id for one in others) else ()
            )
            event = event_id(activity.key, slot.relationship.id, *anew)
            content = EventContent("mentoring.session.missed.v1", event, activity.time, data)
            events.append(raw_event(subject(scope, slot.relationship), content))
    return tuple(events) or (NOTHING_NEW if standing else STRANGERS)


def _is_booked_at(moment: datetime, booking: Booking | None) -> bool:
    """Tools that check at the booked time also check meetings that were cancelled or moved since. A meeting without a
    booking was not cancelled, as far as is known."""
    if booking is None:
        return True
    is_off = booking.cancelled and booking.as_of <= moment
    return not is_off and booking.starts_at - EARLY_JOIN <= moment


class _Meeting:
    """One meeting of a tool, with its session."""

    def __init__(self, activity: Joined | Left | Ended, scope: ConnectionScope, projection: Projection) -> None:
        self._activity, self._connection_scope, self._projection = activity, scope, projection
        self.attendance = projection.attendance_index.at(scope.source, activity.meeting)
        self._begin = min([activity.time, *(one.time for one in self.attendance.visits)])
        self._session = self.attendance.session or projection.bookings.session_of_run(
            scope.tenant, scope.source, activity.meeting, self._begin
        )

    def relationships(self, attendance: MeetingAttendance) -> list[Relationship]:
        """Return the relationships of the meeting: pairs that came, and expected pairs of whom somebody came."""
        roster, tenant, program = self._projection.roster, self._connection_scope.tenant, self._connection_scope.program
        people, at = attendance.people, self._activity.time
        found = {one.id: one for one in roster.pairs(tenant, program, people, at)}
        for person in people:
            for one in roster.ongoing(tenant, program, person, at):
                if one.id not in found and self._is_expected(one):
                    found[one.id] = one
        return [found[one] for one in sorted(found)]

    def events(
        self, relationship: Relationship, before: MeetingAttendance, after: MeetingAttendance
    ) -> Iterable[RawEvent]:
        """Return the events that `after` implies and `before` did not."""
        people, other = relationship.people, self.other_attendee(relationship, after)
        if self._is_expected(relationship):
            # Only an expected pair can miss a meeting: unidentified visitors may be its missing people.
            people |= {UNIDENTIFIED} | other
        emitted = before.visits_of(people) if relationship.meets(before.people) else frozenset()
        new = {
            anonymise(one, self._activity.meeting) if one.participant in other else one
            for one in after.visits_of(people)
        }
        found = sorted(new - emitted, key=lambda visit: (visit.time, visit.key, visit.participant))
        return [self._visit(one, relationship) for one in found]

    def other_attendee(self, relationship: Relationship, attendance: MeetingAttendance) -> frozenset[str]:
        """Return one of the other participants present, if only the time links this meeting to the pair's booking and
        one of the pair is there: it may be another meeting, and then nobody has missed theirs."""
        tenant, bookings = relationship.tenant, self._projection.bookings
        booking = bookings.expected_booking(tenant, relationship.id, self._session, self._begin)
        if booking is None or booking.session == self._session or relationship.meets(attendance.people):
            return frozenset()
        booked_pairs = (
            self._projection.roster.relationship(tenant, one)
            for one in bookings.relationships_of(tenant, booking.session)
        )
        others = attendance.people.difference(*(one.people for one in booked_pairs if one))
        # One suffices: only the presence of others counts, not their number.
        return frozenset(sorted(others)[:1])

    def no_shows(self) -> Iterable[RawEvent]:
        """Yield the no-shows of an ended meeting. Somebody started it: if no participant was reported present, the
        joins are missing, because the tool sends ends only, sends them first, or names the run differently."""
        if self.attendance.has_unidentified or not self.attendance.people:
            return
        scope, bookings = self._connection_scope, self._projection.bookings
        for one in sorted(bookings.relationships_of(scope.tenant, self._session)):
            found = self._projection.roster.relationship(scope.tenant, one, self._activity.time)
            booking = bookings.booking(scope.tenant, one, self._session)
            if not found or scope.program not in {None, found.program} or found.people & self.attendance.people:
                continue
            # A run before the booked time, or one that ends early, is not the last: the pair may come to the next.
            if (
                booking is None
                or booking.cancelled
                or max(booking.starts_at, booking.ends_at - REJOIN_GRACE) > self._activity.time
            ):
                continue
            # The event does not depend on this end: if a meeting has several ends, each emits the same event.
            data = {"by": "system", "evidence": "observed", "session_id": self._session, "absent": "both"}
            outcome = outcome_id("missed", one, self._session, to_rfc3339(booking.starts_at))
            content = EventContent("mentoring.session.missed.v1", outcome, booking.starts_at, data)
            yield raw_event(subject(scope, found), content)

    def _visit(self, one: Visit, relationship: Relationship) -> RawEvent:
        role, scope = relationship.role(one.participant), self._connection_scope
        provenance = {"by": role or "system", "evidence": "observed", "origin": origin(scope, one.native)}
        data = {**provenance, "session_id": self._session, "role": role or "unidentified"}
        event = event_id(one.key, relationship.id, one.participant)
        visitor = visitor_id(scope.source, self._activity.meeting, one.participant)
        content = EventContent(f"mentoring.session.{one.verb}.v1", event, one.time, data, visitor)
        return raw_event(subject(scope, relationship), content)

    def _is_expected(self, relationship: Relationship) -> bool:
        bookings = self._projection.bookings
        return bookings.expected_booking(relationship.tenant, relationship.id, self._session, self._begin) is not None


@dataclass(frozen=True)
class Resolved:
    """Raw CloudEvents, not yet admitted, and statements for the directory; one of the two is not empty. `participants`
    are the resulting directory entries, where they changed; another process with older or newer state may compute
    others, so the statement itself is written as well. `rejected`: why the remainder must be retried."""

    events: tuple[Mapping[str, object], ...] = ()
    statements: tuple[DirectoryStatement, ...] = ()
    participants: tuple[Participant, ...] = ()
    rejected: Rejected | None = None


def resolve(
    activity: Activity, scope: ConnectionScope, projection: Projection, stored: tuple[EmittedEvent, ...] = ()
) -> Resolved | Ignored | Rejected:
    """Resolve an activity. Pure: reads only `projection`. The same activity always yields the same ids, whatever became
    known since. Rejected("unresolved") may be retried once more is known. `stored`: for a retraction, the target's
    events in the warehouse, if the statement index has evicted them."""
    result = _resolve(activity, scope, projection, stored)
    match result:
        case Ignored() | Rejected():
            return result
        case FannedOut(events, statement, participants):
            return Resolved(events, (statement,), participants)
        case PartlyBooked(events, why):
            return Resolved(events, rejected=why)
        case events:
            return Resolved(events)


def _resolve(  # noqa: C901 (a line for each kind of statement)
    activity: Activity, scope: ConnectionScope, projection: Projection, stored: tuple[EmittedEvent, ...]
) -> Result | PartlyBooked | FannedOut:
    result: Result | PartlyBooked | FannedOut
    match activity:
        case Booked():
            result = resolve_booking(activity, scope, projection)
        case MoveRequested():
            result = Ignored("not_confirmed")
        case Cancelled():
            result = resolve_cancellation(activity, scope, projection)
        case MeetingMoved():
            result = resolve_move(activity, scope, projection)
        case Missed():
            result = resolve_no_show(activity, scope, projection)
        case Joined() | Left():
            result = resolve_attendance(activity, scope, projection)
        case Ended():
            result = resolve_end(activity, scope, projection)
        case GenericActivity():
            result = resolve_generic(activity, scope, projection.roster)
        case Voided():
            result = resolve_retraction(activity, scope, projection, stored)
        case Employed():
            result = resolve_employment(activity, scope, projection.roster)
        case _:
            assert_never(activity)
    return result
