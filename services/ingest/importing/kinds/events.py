"""Meetings: booked, held, missed, cancelled. A row tells the whole life of one."""

from datetime import datetime, timedelta

from schemas.primitives import to_rfc3339
from services.ingest.importing.kinds.kind import COMMON, SUBJECT, Message, TableKind, check_common, event
from services.ingest.importing.row import TableRow, derived, present

STATUS = ("held", "missed", "cancelled", "scheduled")
HOUR = timedelta(hours=1)


def _read_session(row: TableRow) -> list[Message]:
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


def _said(row: TableRow) -> dict[str, object]:
    return {"by": row.text("by").lower(), "evidence": row.text("evidence").lower()}


def _ends(row: TableRow, starts: str) -> str | None:
    minutes, ends = row.number("minutes"), row.moment("ends_at")
    if ends and ends <= starts:
        row.fault("ends_at", "is not after starts_at")
    if ends or minutes is None or not 0 < minutes <= 24 * 60:
        return ends
    return to_rfc3339(datetime.fromisoformat(starts) + timedelta(minutes=minutes))


def _minutes(row: TableRow, starts: str, ends: str | None) -> float | int | None:
    given = row.number("minutes")
    if given is not None or ends is None:
        return given
    return round((datetime.fromisoformat(ends) - datetime.fromisoformat(starts)) / timedelta(minutes=1), 3)


def _held(row: TableRow, session: str, starts: str, ends: str | None) -> Message:
    data = present(**_said(row), session_id=session, started_at=starts, minutes=_minutes(row, starts, ends))
    # A meeting has been held when it is over.
    return event(row, "session.held", ends or starts, data, [session])


def _booked(row: TableRow, session: str, starts: str, ends: str | None) -> list[Message]:
    row.needed("booked_at")
    if ends is None:
        row.fault("ends_at", "is empty, and minutes too: when does the meeting end?")
    booked = row.moment("booked_at")
    data = present(**_said(row), session_id=session, starts_at=starts, ends_at=ends)
    return [event(row, "session.scheduled", booked, data, [session])]


def _cancelled(row: TableRow, session: str, starts: str) -> Message:
    row.needed("cancelled_at")
    cancelled = row.moment("cancelled_at")
    hours = (datetime.fromisoformat(starts) - datetime.fromisoformat(cancelled)) / HOUR if cancelled else 0.0
    data = present(**_said(row), session_id=session, notice_hours=round(max(0.0, hours), 3))
    return event(row, "session.cancelled", cancelled, data, [session])


SESSIONS = TableKind(
    name="sessions",
    required=frozenset({"relationship", "status", "starts_at"}),
    optional=COMMON | {"session_id", "ends_at", "minutes", "absent", "by", "evidence"} | {"booked_at", "cancelled_at"},
    read=_read_session,
    columns={**SUBJECT, "started_at": "starts_at", "time": "starts_at", "notice_hours": "cancelled_at"},
)


CHANGES = ("set", "revised", "progressed", "achieved", "missed", "abandoned")
SMART = ("specific", "measurable", "achievable", "relevant", "time_bound")


def _read_goal(row: TableRow) -> list[Message]:
    check_common(row)
    goal, change = row.needed("goal_id"), row.needed("change").lower()
    at = row.needed("at") and row.moment_or_day("at")
    if change and change not in CHANGES:
        row.fault("change", f"{change!r} is none of {', '.join(CHANGES)}")
    data = present(by=row.text("by").lower(), evidence=row.text("evidence").lower(), goal_id=goal)
    if change == "progressed":
        row.needed("percent")
        data |= present(percent=row.number("percent"))
    if change in {"set", "revised"}:
        data |= present(due=row.day("due"), smart=_smart(row))
    return [event(row, f"goal.{change}", at, data, [goal, at or ""])]


def _smart(row: TableRow) -> Message | None:
    if not any(row.text(name) for name in SMART):
        return None
    for name in SMART:
        if not row.text(name):
            row.fault(name, "is empty: of the five flags all are told, or none")
    return {name: row.flag(name) for name in SMART}


GOALS = TableKind(
    name="goals",
    required=frozenset({"relationship", "goal_id", "change", "at"}),
    optional=COMMON | {"by", "evidence", "percent", "due", *SMART},
    read=_read_goal,
    columns={**SUBJECT, "time": "at", "type": "change"},
)


def _read_feedback(row: TableRow) -> list[Message]:
    check_common(row)
    by, at = row.needed("by").lower(), row.needed("at") and row.moment_or_day("at")
    row.needed("rating")
    about = row.text("about").lower() or "relationship"
    data = present(
        by=by,
        evidence=row.text("evidence").lower(),
        about=about,
        rating=row.number("rating"),
        scale_min=row.number("scale_min"),
        scale_max=row.number("scale_max"),
    )
    return [event(row, "feedback.given", at, data, [by, at or "", about])]


FEEDBACK = TableKind(
    name="feedback",
    required=frozenset({"relationship", "by", "at", "rating"}),
    optional=COMMON | {"evidence", "about", "scale_min", "scale_max"},
    read=_read_feedback,
    columns={**SUBJECT, "time": "at", "data": "rating"},
)
