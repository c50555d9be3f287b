"""Formats an answer of ClickHouse: a table for people, CSV or JSON for programs."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from services.runtime.clickhouse import QueryResult

FORMATS = ("table", "csv", "json")
NOTHING = "-"


def format_answer(answer: QueryResult, kind: str) -> str:
    """Instants are UTC, in RFC 3339; NULL is empty in CSV, null in JSON and a dash in a table."""
    rows = [[_value(value) for value in row] for row in answer.rows]
    match kind:
        case "csv":
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows([answer.columns, *rows])
            return out.getvalue()
        case "json":
            found = [dict(zip(answer.columns, row, strict=True)) for row in rows]
            return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        case _:
            return _table(answer.columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    texts = [list(columns), *([NOTHING if value is None else str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    numbers = [all(isinstance(row[n], int | float | None) for row in rows) for n in range(len(columns))]
    lines = [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in texts
    ]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> Any:  # noqa: ANN401 (whatever a column of ClickHouse holds)
    """clickhouse-connect returns naive datetimes if the column's time zone is UTC."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int | float | str | None) else str(value)
