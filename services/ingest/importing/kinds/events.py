"""Meetings: booked, held, missed, cancelled. A row tells the whole life of one."""

from datetime import datetime, timedelta

from schemas.primitives import to_rfc3339
from services.ingest.importing.kinds.kind import (
    BY,
    COMMON,
    EVIDENCE,
    SUBJECT,
    Column,
    Message,
    TableKind,
    check_common,
    event,
    said,
)
from services.ingest.importing.row import TableRow, derived, present

STATUS = ("held", "missed", "cancelled", "scheduled")
ABSENT = ("mentor", "mentee", "both")
SIDES = ("mentor", "mentee")
RELATIONSHIP = Column("relationship", "the pair's id, as the table of relationships has it", "ann-and-ben")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def _read_session(row: TableRow) -> list[Message]:
    check_common(row)
    status = row.needed("status") and row.word("status", STATUS)
    starts = row.needed("starts_at") and row.moment("starts_at")
    if row.problems or not starts:
        return []
    session = row.text("session_id") or f"csv-{derived(row.text('relationship'), starts)}"
    minutes, ends, begin = row.minutes("minutes"), row.moment("ends_at"), datetime.fromisoformat(starts)
    if ends and ends <= starts:
        row.fault("ends_at", "is not after starts_at")
    if ends and minutes is None:
        minutes = round((datetime.fromisoformat(ends) - begin) / MINUTE, 3)
    elif not ends and minutes is not None and 0 < minutes <= 24 * 60:
        ends = to_rfc3339(begin + minutes * MINUTE)
    booked = _booked(row, session, starts, ends) if status == "scheduled" or row.text("booked_at") else []
    match status:
        case "held":
            if row.text("absent").lower() in ABSENT:
                row.fault("absent", "says that somebody did not come: was the meeting held, or missed?")
            data = present(**said(row), session_id=session, started_at=starts, minutes=minutes)
            # A meeting has been held when it is over.
            return [*booked, event(row, "session.held", ends or starts, data, [session])]
        case "missed":
            row.needed("absent")
            data = present(**said(row), session_id=session, absent=row.word("absent", ABSENT))
            return [*booked, event(row, "session.missed", starts, data, [session])]
        case "cancelled":
            row.needed("cancelled_at")
            cancelled = row.moment("cancelled_at")
            hours = (begin - datetime.fromisoformat(cancelled)) / HOUR if cancelled else 0.0
            data = present(**said(row), session_id=session, notice_hours=round(max(0.0, hours), 3))
            return [*booked, event(row, "session.cancelled", cancelled, data, [session])]
        case _:
            return booked


def _booked(row: TableRow, session: str, starts: str, ends: str | None) -> list[Message]:
    """Without a day of its own it was booked by the time that the table was written, and before it began: the same each
    time that this file is imported."""
    if ends is None:
        row.fault("ends_at", "is empty, and minutes too: when does the meeting end?")
    data = present(**said(row), session_id=session, starts_at=starts, ends_at=ends)
    if row.text("booked_at"):
        return [event(row, "session.scheduled", row.moment("booked_at"), data, [session])]
    booked = min(starts, row.reading.saved or starts)
    return [event(row, "session.scheduled", booked, data, [session, starts, ends or "", booked])]


SESSIONS = TableKind(
    name="sessions",
    required=(
        RELATIONSHIP,
        Column("status", "what became of the meeting", "held", allowed=STATUS),
        Column("starts_at", "when it began, or was to begin", "2026-03-02 10:00", "time"),
    ),
    optional=(
        Column("session_id", "the meeting's own id, if it has one"),
        Column("ends_at", "when it ended; or minutes", "", "time"),
        Column("minutes", "how long it took; or ends_at", "45", "number"),
        Column("absent", "of a missed one: who did not come", "", allowed=ABSENT),
        Column("booked_at", "when it was booked", "", "time"),
        Column("cancelled_at", "of a cancelled one: when that was said", "", "time"),
        *(BY, EVIDENCE, *COMMON),
    ),
    read=_read_session,
    paths={
        **SUBJECT,
        "started_at": "starts_at",
        "time": "starts_at",
        "notice_hours": "cancelled_at",
        "time:session.scheduled": "booked_at",
        "time:session.cancelled": "cancelled_at",
    },
)

CHANGES = ("set", "revised", "progressed", "achieved", "missed", "abandoned")
SMART = ("specific", "measurable", "achievable", "relevant", "time_bound")


def _read_goal(row: TableRow) -> list[Message]:
    check_common(row)
    goal, change = row.needed("goal_id"), row.needed("change") and row.word("change", CHANGES)
    at = row.needed("at") and row.moment_or_day("at")
    data = present(**said(row), goal_id=goal)
    if change == "progressed":
        row.needed("percent")
        data |= present(percent=row.percent("percent"))
    if change in {"set", "revised"}:
        missing = [name for name in SMART if not row.text(name)]
        for name in missing if len(missing) < len(SMART) else ():
            row.fault(name, "is empty: of the five flags all are told, or none")
        smart = None if len(missing) == len(SMART) else {name: row.flag(name) for name in SMART}
        data |= present(due=row.day("due"), smart=smart)
    return [event(row, f"goal.{change}", at, data, [goal, at or ""])]


GOALS = TableKind(
    name="goals",
    required=(
        RELATIONSHIP,
        Column("goal_id", "the goal's id", "goal-1"),
        Column("change", "what became of the goal", "set", allowed=CHANGES),
        Column("at", "when", "2026-03-02", "time"),
    ),
    optional=(
        Column("percent", "of a goal that progressed: 0 to 100", "", "percent"),
        Column("due", "by when it is to be achieved", "2026-09-30", "day"),
        *(Column(name, "SMART: all five flags, or none", "yes", "yes or no") for name in SMART),
        *(BY, EVIDENCE, *COMMON),
    ),
    read=_read_goal,
    paths={**SUBJECT, "time": "at", "type": "change"},
)

ABOUT = ("session", "relationship")


def _read_feedback(row: TableRow) -> list[Message]:
    check_common(row)
    by = row.needed("by") and row.word("by", SIDES)
    at = row.needed("at") and row.moment_or_day("at")
    row.needed("rating")
    about = row.word("about", ABOUT) or "relationship"
    data = present(
        by=by,
        evidence=row.word("evidence", EVIDENCE.allowed),
        about=about,
        rating=row.number("rating"),
        scale_min=row.number("scale_min"),
        scale_max=row.number("scale_max"),
    )
    return [event(row, "feedback.given", at, data, [by, at or "", about])]


FEEDBACK = TableKind(
    name="feedback",
    required=(
        RELATIONSHIP,
        Column("by", "whose feedback it is", "mentee", allowed=SIDES),
        Column("at", "when it was given", "2026-03-02 11:00", "time"),
        Column("rating", "on its scale", "4", "number"),
    ),
    optional=(
        Column("scale_min", "the worst rating; 1 if left out", "1", "number"),
        Column("scale_max", "the best rating; 5 if left out", "5", "number"),
        Column("about", "what is rated; relationship if left out", "session", allowed=ABOUT),
        *(EVIDENCE, *COMMON),
    ),
    read=_read_feedback,
    paths={**SUBJECT, "time": "at", "data": "rating"},
)
