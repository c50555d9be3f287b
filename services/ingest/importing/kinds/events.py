"""Tables of events: sessions, goals and feedback. One row describes the whole life cycle of a session."""

from datetime import datetime, timedelta

from schemas.primitives import to_rfc3339
from services.ingest.importing.kinds.kind import (
    BY,
    COMMON_COLUMNS,
    EVIDENCE,
    SUBJECT,
    Column,
    Message,
    TableKind,
    check_common_columns,
    event_message,
    provenance,
)
from services.ingest.importing.row import TableRow, derived_id, without_empty

STATUS = ("held", "missed", "cancelled", "scheduled")
ABSENT = ("mentor", "mentee", "both")
SIDES = ("mentor", "mentee")
RELATIONSHIP = Column("relationship", "the pair's id, as the table of relationships has it", "ann-and-ben")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def _session_messages(row: TableRow) -> list[Message]:
    check_common_columns(row)
    status = row.required("status") and row.choice("status", STATUS)
    starts = row.required("starts_at") and row.timestamp("starts_at")
    if row.problems or not starts:
        return []
    session = row.text("session_id") or f"csv-{derived_id(row.text('relationship'), starts)}"
    minutes, ends, begin = row.minutes("minutes"), row.timestamp("ends_at"), datetime.fromisoformat(starts)
    if ends and ends <= starts:
        row.add_problem("ends_at", "is not after starts_at")
    if ends and minutes is None:
        minutes = round((datetime.fromisoformat(ends) - begin) / MINUTE, 3)
    elif not ends and minutes is not None and 0 < minutes <= 24 * 60:
        ends = to_rfc3339(begin + minutes * MINUTE)
    booked = _scheduled_event(row, session, starts, ends) if status == "scheduled" or row.text("booked_at") else []
    match status:
        case "held":
            if row.text("absent").lower() in ABSENT:
                row.add_problem("absent", "names who was absent, but the meeting is held: was it held or missed?")
            data = without_empty(**provenance(row), session_id=session, started_at=starts, minutes=minutes)
            # The event happens when the meeting ends.
            return [*booked, event_message(row, "session.held", ends or starts, data, [session])]
        case "missed":
            row.required("absent")
            data = without_empty(**provenance(row), session_id=session, absent=row.choice("absent", ABSENT))
            return [*booked, event_message(row, "session.missed", starts, data, [session])]
        case "cancelled":
            row.required("cancelled_at")
            cancelled = row.timestamp("cancelled_at")
            hours = (begin - datetime.fromisoformat(cancelled)) / HOUR if cancelled else 0.0
            data = without_empty(**provenance(row), session_id=session, notice_hours=round(max(0.0, hours), 3))
            return [*booked, event_message(row, "session.cancelled", cancelled, data, [session])]
        case _:
            return booked


def _scheduled_event(row: TableRow, session: str, starts: str, ends: str | None) -> list[Message]:
    """Without `booked_at`, take the earlier of the table's last write and the session's start: both stay the same when
    the file is imported again."""
    if ends is None:
        row.add_problem("ends_at", "is empty, and minutes too: when does the meeting end?")
    data = without_empty(**provenance(row), session_id=session, starts_at=starts, ends_at=ends)
    if row.text("booked_at"):
        return [event_message(row, "session.scheduled", row.timestamp("booked_at"), data, [session])]
    booked = min(starts, row.context.saved_at or starts)
    return [event_message(row, "session.scheduled", booked, data, [session, starts, ends or "", booked])]


SESSIONS = TableKind(
    name="sessions",
    required_columns=(
        RELATIONSHIP,
        Column("status", "what became of the meeting", "held", allowed=STATUS),
        Column("starts_at", "when it began, or was to begin", "2026-03-02 10:00", "time"),
    ),
    optional_columns=(
        Column("session_id", "the meeting's own id, if it has one"),
        Column("ends_at", "when it ended; or minutes", "", "time"),
        Column("minutes", "how long it took; or ends_at", "45", "number"),
        Column("absent", "of a missed one: who was absent", "", allowed=ABSENT),
        Column("booked_at", "when it was booked", "", "time"),
        Column("cancelled_at", "of a cancelled one: when it was cancelled", "", "time"),
        *(BY, EVIDENCE, *COMMON_COLUMNS),
    ),
    messages_of=_session_messages,
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


def _goal_messages(row: TableRow) -> list[Message]:
    check_common_columns(row)
    goal, change = row.required("goal_id"), row.required("change") and row.choice("change", CHANGES)
    at = row.required("at") and row.timestamp_or_day("at")
    data = without_empty(**provenance(row), goal_id=goal)
    if change == "progressed":
        row.required("percent")
        data |= without_empty(percent=row.percent("percent"))
    if change in {"set", "revised"}:
        missing = [name for name in SMART if not row.text(name)]
        for name in missing if len(missing) < len(SMART) else ():
            row.add_problem(name, "is empty: give all five flags, or none")
        smart = None if len(missing) == len(SMART) else {name: row.flag(name) for name in SMART}
        data |= without_empty(due=row.day("due"), smart=smart)
    return [event_message(row, f"goal.{change}", at, data, [goal, at or ""])]


GOALS = TableKind(
    name="goals",
    required_columns=(
        RELATIONSHIP,
        Column("goal_id", "the goal's id", "goal-1"),
        Column("change", "what became of the goal", "set", allowed=CHANGES),
        Column("at", "when", "2026-03-02", "time"),
    ),
    optional_columns=(
        Column("percent", "of a goal that progressed: 0 to 100", "", "percent"),
        Column("due", "by when it is to be achieved", "2026-09-30", "day"),
        *(Column(name, "SMART: all five flags, or none", "yes", "yes or no") for name in SMART),
        *(BY, EVIDENCE, *COMMON_COLUMNS),
    ),
    messages_of=_goal_messages,
    paths={**SUBJECT, "time": "at", "type": "change"},
)

ABOUT = ("session", "relationship")


def _feedback_messages(row: TableRow) -> list[Message]:
    check_common_columns(row)
    by = row.required("by") and row.choice("by", SIDES)
    at = row.required("at") and row.timestamp_or_day("at")
    row.required("rating")
    about = row.choice("about", ABOUT) or "relationship"
    data = without_empty(
        by=by,
        evidence=row.choice("evidence", EVIDENCE.allowed),
        about=about,
        rating=row.number("rating"),
        scale_min=row.number("scale_min"),
        scale_max=row.number("scale_max"),
    )
    return [event_message(row, "feedback.given", at, data, [by, at or "", about])]


FEEDBACK = TableKind(
    name="feedback",
    required_columns=(
        RELATIONSHIP,
        Column("by", "whose feedback it is", "mentee", allowed=SIDES),
        Column("at", "when it was given", "2026-03-02 11:00", "time"),
        Column("rating", "on its scale", "4", "number"),
    ),
    optional_columns=(
        Column("scale_min", "the worst rating; 1 if left out", "1", "number"),
        Column("scale_max", "the best rating; 5 if left out", "5", "number"),
        Column("about", "what is rated; relationship if left out", "session", allowed=ABOUT),
        *(EVIDENCE, *COMMON_COLUMNS),
    ),
    messages_of=_feedback_messages,
    paths={**SUBJECT, "time": "at", "data": "rating"},
)
