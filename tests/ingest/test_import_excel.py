"""Tables as a German and an American Excel save them: following the command's suggestions imports all of them."""

import csv
import io
import re
from pathlib import Path

import pytest
from click.testing import Result

from schemas.topics import EVENTS
from services.runtime.settings import Settings
from tests.ingest.conftest import Log
from tests.ingest.importing.excels import AMERICAN, LANGUAGES, TABLES, Language, Table, as_csv, as_workbook
from tests.ingest.test_import_tables import EVERY, Tables, ended
from tests.ingest.test_import_tables import tables as tables  # noqa: PLC0414 (a fixture)
from tests.ingest.tooling import DirectoryLog

SUGGESTED = re.compile(r"(--[a-z-]+)(?: ([^-\s]\S*))?")
# Where several are suggested: what somebody takes who knows the table.
RIGHT = {"cp1252", "mm/dd/yyyy"}
MAX_HINTS = 4


def followed(tables: Tables, name: str) -> tuple[Result, list[str]]:
    """The import of a file by a user who follows the command's suggestions, and does nothing else."""
    options: list[str] = []
    for _ in range(MAX_HINTS):
        result = tables.again(name, *EVERY, *options)
        _, stopped, words = result.stderr.rpartition(": give --")
        if not stopped:
            return result, options
        hints = SUGGESTED.findall(f"--{words}")
        option, value = next((hint for hint in hints if hint[1] in RIGHT), hints[0])
        options += [option, value] if value else [option]
    raise AssertionError(result.output)


def mended(file: Path, table: Table) -> int:
    """Correct the table of refused rows as a user who knows the right values; return the number of its rows."""
    text = file.read_text(encoding="utf-8-sig")
    delimiter = next(letter for letter in text if letter in ";,")
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    right = dict(table.mistakes.values())
    assert header[:4] == ["refused_row", "refused_column", "refused_value", "refused_reason"]
    for row in rows:
        _, column, value, reason = row[:4]
        assert row[header.index(column)] == value, row
        assert reason
        row[header.index(column)] = right[value]
    found = io.StringIO()
    csv.writer(found, delimiter=delimiter, lineterminator="\r\n").writerows([header, *rows])
    file.write_text(found.getvalue(), encoding="cp1252", newline="")
    return len(rows)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
@pytest.mark.parametrize("number", range(len(TABLES)), ids=lambda number: f"{number}-{TABLES[number].kind}")
def test_a_table_gets_in_after_its_mistakes_are_mended(
    number: int, language: Language, form: str, tables: Tables, broker: Settings
) -> None:
    table = TABLES[number]
    log = DirectoryLog(broker) if table.kind == "directory" else Log(broker, EVENTS.name)
    file = tables.folder / f"table.{form}"
    if form == "csv":
        file.write_bytes(as_csv(table, language))
    else:
        as_workbook(table, language, file)

    first, _ = followed(tables, file.name)
    refused = tables.folder / f"{file.name}.rejected.csv"
    assert ended(first) == (1, f"{len(table.rows) - 3} new, 0 duplicates, 3 rejected"), first.output
    assert mended(refused, table) == 3
    second, _ = followed(tables, refused.name)

    assert ended(second) == (0, "3 new, 0 duplicates, 0 rejected"), second.output
    assert len(log.records()) == len(table.rows)


def test_detection_is_printed_before_anything_is_sent(tables: Tables) -> None:
    file = tables.folder / "met.csv"
    file.write_bytes(as_csv(TABLES[2], AMERICAN))

    unsure = tables.again(file.name, *EVERY)
    proposed = file.with_name("met.csv.columns.yaml").read_text(encoding="utf-8")
    result, options = followed(tables, file.name)

    assert unsure.exit_code == 1
    assert "as a table of sessions they may be" in unsure.stderr
    assert "  Outcome: status\n" in proposed
    assert "    Took place: held\n" in proposed
    assert options == ["--columns", str(file) + ".columns.yaml"]
    assert "met.csv: sessions, commas between cells, utf-8, days as mm/dd/yyyy" in result.stderr
