"""Meetings: booked, held, missed, cancelled. A row tells the whole life of one."""

from datetime import datetime, timedelta

from schemas.primitives import to_rfc3339
from services.ingest.importing.kinds.kind import COMMON, Kind, Message
from services.ingest.importing.kinds.telling import SUBJECT, check_common, event
from services.ingest.importing.row import Row, derived, present

STATUS = ("held", "missed", "cancelled", "scheduled")
HOUR = timedelta(hours=1)


def _read(row: Row) -> list[Message]:
    check_common(row)
    status, starts = row.needed("status").lower(), row.needed("starts_at") and row.moment("starts_at")
    if status and status not in STATUS:
        row.fault("status", f"{status!r} is none of {', '.join(STATUS)}")
    if row.problems or not starts:
        return []
    session = row.text("session_id") or f"csv-{derived(row.text('relationship'), starts)}"
    ends = _ends(row, starts)
    booked = _booked(row, session, starts, ends) if status == "scheduled" or row.text("booked_at") else []
    match status:
        case "held":
            return [*booked, _held(row, session, starts, ends)]
        case "missed":
            row.needed("absent")
            data = present(**_said(row), session_id=session, absent=row.text("absent").lower())
            return [*booked, event(row, "session.missed", starts, data, [session])]
        case "cancelled":
            return [*booked, _cancelled(row, session, starts)]
        case _:
            return booked


def _said(row: Row) -> dict[str, object]:
    return {"by": row.text("by").lower(), "evidence": row.text("evidence").lower()}


def _ends(row: Row, starts: str) -> str | None:
    minutes, ends = row.number("minutes"), row.moment("ends_at")
    if ends and ends <= starts:
        row.fault("ends_at", "is not after starts_at")
    if ends or minutes is None or not 0 < minutes <= 24 * 60:
        return ends
    return to_rfc3339(datetime.fromisoformat(starts) + timedelta(minutes=minutes))


def _minutes(row: Row, starts: str, ends: str | None) -> float | int | None:
    given = row.number("minutes")
    if given is not None or ends is None:
        return given
    return round((datetime.fromisoformat(ends) - datetime.fromisoformat(starts)) / timedelta(minutes=1), 3)


def _held(row: Row, session: str, starts: str, ends: str | None) -> Message:
    data = present(**_said(row), session_id=session, started_at=starts, minutes=_minutes(row, starts, ends))
    # A meeting has been held when it is over.
    return event(row, "session.held", ends or starts, data, [session])


def _booked(row: Row, session: str, starts: str, ends: str | None) -> list[Message]:
    row.needed("booked_at")
    if ends is None:
        row.fault("ends_at", "is empty, and minutes too: when does the meeting end?")
    booked = row.moment("booked_at")
    data = present(**_said(row), session_id=session, starts_at=starts, ends_at=ends)
    return [event(row, "session.scheduled", booked, data, [session])]


def _cancelled(row: Row, session: str, starts: str) -> Message:
    row.needed("cancelled_at")
    cancelled = row.moment("cancelled_at")
    hours = (datetime.fromisoformat(starts) - datetime.fromisoformat(cancelled)) / HOUR if cancelled else 0.0
    data = present(**_said(row), session_id=session, notice_hours=round(max(0.0, hours), 3))
    return event(row, "session.cancelled", cancelled, data, [session])


SESSIONS = Kind(
    name="sessions",
    required=frozenset({"relationship", "status", "starts_at"}),
    optional=COMMON | {"session_id", "ends_at", "minutes", "absent", "by", "evidence"} | {"booked_at", "cancelled_at"},
    read=_read,
    columns={**SUBJECT, "started_at": "starts_at", "time": "starts_at", "notice_hours": "cancelled_at"},
)
