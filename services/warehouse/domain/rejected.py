"""Maps `mentoring.rejected` to the table `rejected`: what was rejected and why, never its bytes."""

import hashlib
import re
from collections.abc import Mapping

from schemas import topics
from schemas.field_names import safe_path
from services.warehouse.domain.record import Outcome, RecordMetadata, Refused, StoredRow, appended_micros
from services.warehouse.domain.tables import WarehouseTable

COLUMNS = (
    "origin_topic",
    "origin_partition",
    "origin_offset",
    "part",
    "requeued",
    "reason",
    "path",
    "tool",
    "size",
    "sha256",
    "rejected_at",
    "log_partition",
    "log_offset",
)
REJECTED = WarehouseTable(
    "mentoring.rejected",
    key=("origin_topic", "origin_partition", "origin_offset", "part", "requeued"),
    columns=COLUMNS,
)
# The location of the original record, and the payload within it.
_ORIGIN = re.compile(rb"(mentoring\.[a-z0-9_.-]{1,100})/([0-9]{1,6})/([0-9]{1,18})(?:#([0-9]{1,9}))?")
_SIZE = re.compile(r"[0-9]{1,18}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Headers that our dead-letter writer adds; headers of the original have another prefix.
_REQUEUED = "requeued"
OTHER = "other"


def rejected_row(value: bytes, metadata: RecordMetadata) -> Outcome:
    """Values that our dead-letter writer does not use are refused or replaced by `other`: a stranger may have written
    them."""
    origin = _ORIGIN.fullmatch(metadata.key)
    if origin is None:
        return Refused("key")
    notes = {name: text.decode(errors="replace") for name, text in metadata.headers}
    cut_from = notes.get("cut_from_bytes", "")
    values = (
        origin[1].decode(),
        int(origin[2]),
        int(origin[3]),
        int(origin[4] or 0),
        _REQUEUED in notes,
        _word(notes, "reason"),
        safe_path(notes.get("path", "")[:1000].split(".")) if notes.get("path") else "",
        _tool(notes),
        int(cut_from) if _SIZE.fullmatch(cut_from) else len(value),
        hashlib.sha256(value).hexdigest(),
        appended_micros(metadata),
        metadata.partition,
        metadata.offset,
    )
    return (StoredRow(REJECTED.name, metadata.offset, 0, values),)


def _word(notes: Mapping[str, str], name: str) -> str:
    found = notes.get(name, "")
    return found if not found or _WORD.fullmatch(found) else OTHER


def _tool(notes: Mapping[str, str]) -> str:
    found = _word(notes, "tool")
    return found if found in {"", "cloudevents", *topics.TOOLS} else OTHER
