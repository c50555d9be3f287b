"""An event as a row tells it."""

from collections.abc import Sequence

from services.ingest.importing.kinds.kind import Message
from services.ingest.importing.row import Row, derived

SUBJECT = {"subject": "relationship"}


def event(row: Row, name: str, time: str | None, data: Message, key: Sequence[str] = ()) -> Message:
    """`key`: what, beside the type and the relationship, makes it this event and no other."""
    relationship = row.text("relationship")
    return {
        "specversion": "1.0",
        "type": f"mentoring.{name}.v1",
        "source": row.text("source") or row.defaults.source,
        "id": f"csv-{derived(name, relationship, *key)}",
        "time": time,
        "subject": relationship,
        "program": row.text("program") or row.defaults.program,
        "data": data,
    }


def check_common(row: Row) -> None:
    """What every table of events needs."""
    row.needed("relationship")
    if not (row.text("program") or row.defaults.program):
        row.fault("program", "is empty, and the command names no --program")
    if not (row.text("source") or row.defaults.source):
        row.fault("source", "is empty, and the command names no --source")
