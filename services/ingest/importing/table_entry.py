"""A row of a table as what is to be sent of it."""

import json
from collections.abc import Callable

from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.importing.entry import Entry, refusal
from services.ingest.importing.lines import Line
from services.ingest.importing.row import Defaults, Row
from services.ingest.importing.table import BrokenRowError, Header

ORIGINAL = "row"


def row_entry(header: Header, defaults: Defaults) -> Callable[[Line], Entry]:
    def entry(line: Line) -> Entry:
        try:
            row = Row(header.cells(line), defaults)
        except BrokenRowError as broken:
            return Entry(line, refusal=refusal(rejected("malformed", "", str(broken))), original=ORIGINAL)
        messages = header.kind.read(row)
        if row.problems:
            answer = refusal(Rejected("invalid", tuple(row.problems)))
            return Entry(line, refusal=answer, column=header.kind.column, original=ORIGINAL)
        return Entry(
            line,
            tuple(json.dumps(message).encode() for message in messages),
            times=tuple(str(message["time"]) for message in messages if "time" in message),
            column=header.kind.column,
            original=ORIGINAL,
        )

    return entry
