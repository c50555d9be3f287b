"""A contact history as CSV: who was in contact with whom, and when."""

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas import events as e
from schemas import payloads as p
from schemas.events import OfRelationship, partition_key
from schemas.primitives import EPOCH, FIRST_YEAR, LAST_YEAR, Id, Side, to_utc
from services.scoring.flow.history_file import HistoryError, opened

SOURCE, TENANT, PROGRAM = "/history", "history", "history"
COLUMNS = ("pair_id", "t", "dir")
SIDES: Mapping[str, Side | None] = {"-1": None, "0": "mentor", "1": "mentee"}
"""-1: it was of both, or nobody knows whose."""
_ID: TypeAdapter[str] = TypeAdapter(Id)


def csv_events(file: Path) -> Iterator[OfRelationship]:
    """A row is a held session, or a message where `dir` names a side. Raises HistoryError."""
    with opened(file) as octets, TextIOWrapper(octets, "utf-8-sig") as lines:
        rows = csv.DictReader(lines, strict=True)
        if sorted(rows.fieldnames or ()) != sorted(COLUMNS):
            raise HistoryError(f"{file}: line 1: the columns must be {','.join(COLUMNS)}")
        for row in rows:
            yield _event(row, f"{file}: line {rows.line_num}")


def _event(row: Mapping[str | None, str | None], place: str) -> OfRelationship:
    if None in row or None in row.values():
        raise HistoryError(f"{place}: must have {len(COLUMNS)} columns")
    pair, when, side = (str(row[name]) for name in COLUMNS)
    return _contact(_pair(pair, place), _moment(when, place), _side(side, place))


def _pair(text: str, place: str) -> str:
    try:
        return _ID.validate_python(text)
    except ValidationError:
        raise HistoryError(f"{place}, column pair_id: must be letters and digits, not {text!r}") from None


def _moment(text: str, place: str) -> datetime:
    try:
        return to_utc(EPOCH + timedelta(seconds=int(text)))
    except (ValueError, OverflowError):
        wanted = f"seconds since 1970, in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise HistoryError(f"{place}, column t: must be whole {wanted}, not {text!r}") from None


def _side(text: str, place: str) -> Side | None:
    if text not in SIDES:
        raise HistoryError(f"{place}, column dir: must be one of {', '.join(SIDES)}, not {text!r}")
    return SIDES[text]


def _contact(pair: str, when: datetime, side: Side | None) -> OfRelationship:
    """The same row twice is one contact."""
    identity = f"{pair}-{when.timestamp():.0f}"
    envelope: dict[str, Any] = {
        "source": SOURCE,
        "id": identity,
        "time": when,
        "recordedtime": when,
        "tenant": TENANT,
        "subject": pair,
        "program": PROGRAM,
        "partitionkey": partition_key(TENANT, pair),
    }
    if side is None:
        held = p.SessionHeld(session_id=identity, started_at=when, evidence="inferred")
        return e.SessionHeld(type="mentoring.session.held.v1", data=held, **envelope)
    message = p.MessageSent(by=side, channel="history", evidence="inferred")
    return e.MessageSent(type="mentoring.message.sent.v1", data=message, **envelope)
