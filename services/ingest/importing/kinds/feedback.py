"""Ratings that one of the two gave."""

from services.ingest.importing.kinds.kind import COMMON, Kind, Message
from services.ingest.importing.kinds.telling import SUBJECT, check_common, event
from services.ingest.importing.row import Row, present


def _read(row: Row) -> list[Message]:
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


FEEDBACK = Kind(
    name="feedback",
    required=frozenset({"relationship", "by", "at", "rating"}),
    optional=COMMON | {"evidence", "about", "scale_min", "scale_max"},
    read=_read,
    columns={**SUBJECT, "time": "at", "data": "rating"},
)
