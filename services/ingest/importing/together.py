"""Files that are imported together: people first, then pairs, then everything in the order in which it happened, so
that nobody judges a pair of which only half is there."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from schemas.primitives import to_rfc3339
from services.ingest.importing.entry import ImportEntry
from services.ingest.importing.inputs import Input
from services.ingest.importing.sender import EVENTS_ENDPOINT, PARTICIPANTS_ENDPOINT
from services.ingest.sources.tables import Line

STARTED = b'"mentoring.relationship.started.v1"'
PEOPLE, PAIRS, REST = range(3)
_TABLE = """
CREATE TABLE message (stage INTEGER, time TEXT, later INTEGER, input INTEGER, line INTEGER, part INTEGER,
                      row BLOB, message BLOB)
"""
_IN_ORDER = """
SELECT input, line, row, message, time
FROM message ORDER BY stage, time, later, input, line, part
"""


@contextmanager
def in_order(
    inputs: Sequence[Input], refused: Callable[[ImportEntry], None], stage_of_pairs: int
) -> Iterator["SortedMessages"]:
    """Reads all of them; what cannot be sent is told to `refused`. `stage_of_pairs` is PAIRS, or on the log's clock
    REST: there pairs begin in their own time, lest their first days come late."""
    # A database without a name lies in a temporary file, which goes with it: files of any length can be sorted.
    with closing(sqlite3.connect("")) as database:
        database.execute(_TABLE)
        for number, found in sorted(enumerate(inputs), key=lambda one: one[1].rank):
            for entry in found.entries():
                if entry.refusal:
                    refused(replace(entry, input=number))
                else:
                    database.executemany(
                        "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _rows(entry, number, stage_of_pairs)
                    )
        yield SortedMessages(database, inputs)


class SortedMessages:
    """Iterates over what is to be sent, one message each."""

    def __init__(self, database: sqlite3.Connection, inputs: Sequence[Input]) -> None:
        self._database, self._inputs = database, inputs

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM message").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[ImportEntry]:
        for number, line, row, message, time in self._database.execute(_IN_ORDER):
            look = self._inputs[number].look
            kind = look.header.kind if look else None
            yield ImportEntry(
                Line(line, row),
                (message,),
                times=(time,) if time else (),
                column=kind.column if kind else lambda _: "",
                original="row" if kind else "event",
                endpoint=kind.endpoint if kind else EVENTS_ENDPOINT,
                input=number,
            )


def _rows(entry: ImportEntry, number: int, stage_of_pairs: int) -> Iterator[tuple[object, ...]]:
    times = entry.times or ("",) * len(entry.messages)
    for part, (message, time) in enumerate(zip(entry.messages, times, strict=True)):
        begins = STARTED in message
        stage = PEOPLE if entry.endpoint is PARTICIPANTS_ENDPOINT else stage_of_pairs if begins else REST
        line = entry.line
        yield (stage, _utc(time), not begins, number, line.number, part, line.text, message)


def _utc(time: str) -> str:
    """As it is compared; what is no time is refused by the gateway, wherever it stands."""
    try:
        return to_rfc3339(datetime.fromisoformat(time).astimezone(UTC)) if time else ""
    except (ValueError, OverflowError):
        return time
