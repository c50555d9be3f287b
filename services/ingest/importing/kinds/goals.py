"""Goals, one row per change."""

from services.ingest.importing.kinds.kind import COMMON, Kind, Message
from services.ingest.importing.kinds.telling import SUBJECT, check_common, event
from services.ingest.importing.row import Row, present

CHANGES = ("set", "revised", "progressed", "achieved", "missed", "abandoned")
SMART = ("specific", "measurable", "achievable", "relevant", "time_bound")


def _read(row: Row) -> list[Message]:
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


def _smart(row: Row) -> Message | None:
    if not any(row.text(name) for name in SMART):
        return None
    for name in SMART:
        if not row.text(name):
            row.fault(name, "is empty: of the five flags all are told, or none")
    return {name: row.flag(name) for name in SMART}


GOALS = Kind(
    name="goals",
    required=frozenset({"relationship", "goal_id", "change", "at"}),
    optional=COMMON | {"by", "evidence", "percent", "due", *SMART},
    read=_read,
    columns={**SUBJECT, "time": "at", "type": "change"},
)
