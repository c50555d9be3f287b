"""Files as they are handed over on a first day: empty, of another kind, from other machines, where nobody may write."""

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from services.ingest.__main__ import main

EVERY = ("--source", "/x", "--program", "p", "--time-zone", "Europe/Berlin")
HEADER = b"relationship,status,starts_at\n"
ROW = b"rel-1,held,2026-03-02 10:00\n"
NOTHING = "dry run, nothing was sent: 0 new, 0 duplicates, 0 rejected"


def dry_run(file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["import", str(file), "--dry-run", *EVERY, *options])


def book(rows: list[list[str]]) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        made = openpyxl.Workbook()
        assert made.active is not None
        for row in rows:
            made.active.append(row)
        made.save(file)

    return write


def raw(content: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.write_bytes(content)

    return write


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("a.csv", raw(b""), "the file is empty: a table begins with its header"),
        ("a.xlsx", book([]), "the file is empty: a table begins with its header"),
        ("a.xlsx", raw(HEADER), "is no workbook that can be read"),
        ("a.csv", raw(b"PK\x03\x04\x14\0"), "a workbook or an archive, whatever its name says: call it .xlsx"),
        ("a.xls", raw(b"\xd0\xcf\x11\xe0\xa1\xb1"), "a workbook of an Excel before 2007: save it as .xlsx, or as CSV"),
        ("a.csv", raw(b"%PDF-1.7\n"), "is a PDF: save the table as .xlsx, or as CSV"),
        ("a.csv", raw((HEADER + ROW).replace(b"\n", b"\r")), "has a carriage return within a line"),
        ("a.csv", raw(bytes(range(128, 256)) * 20), "is not UTF-8; which of these reads right?"),
    ],
)
def test_what_is_no_table_says_what_it_is_and_nothing_is_sent(
    name: str, write: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    write(tmp_path / name)

    result = dry_run(tmp_path / name)

    assert (result.exit_code, result.stdout.strip()) == (1, NOTHING), result.output
    assert words in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ROW,
        b"\xef\xbb\xbf" + HEADER + ROW,
        (HEADER + ROW).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + (HEADER + ROW).replace(b"\n", b"\r\n").replace(b",", b";"),
        (HEADER + ROW).decode().encode("utf-16"),
        HEADER + b"\n\n" + ROW.strip(),
    ],
    ids=["plain", "BOM", "CRLF", "German Excel", "UTF-16", "blank lines, no last end"],
)
def test_a_table_of_any_machine_is_read(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "Zürich Größe.csv"
    file.write_bytes(content)

    result = dry_run(file)

    assert (result.exit_code, result.stdout.strip()) == (0, NOTHING.replace("0 new", "1 new")), result.output


def test_a_header_alone_is_no_fault(tmp_path: Path) -> None:
    book([["relationship", "status", "starts_at"]])(tmp_path / "a.xlsx")

    result = dry_run(tmp_path / "a.xlsx")

    assert (result.exit_code, result.stdout.strip()) == (0, NOTHING)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    result = dry_run(tmp_path)

    assert (result.exit_code, "is a directory" in result.stderr) == (2, True)


def test_a_disk_that_is_full_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(HEADER + ROW.replace(b"rel-1", b"no id") * 2_000)

    report = tmp_path / "a.csv.rejected.jsonl"
    report.symlink_to("/dev/full")

    result = dry_run(tmp_path / "a.csv")

    assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.output
    assert "Error: No space left on device" in result.stderr
    assert report.is_symlink(), "what somebody named may be a device, and is not removed"


def test_a_row_that_begins_with_an_error_of_excel_is_no_note(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(HEADER + b"# an example,held,2026-03-02 10:00\n#N/A,held,2026-03-02 10:00\n" + ROW)

    result = dry_run(file)

    assert "1 new, 0 duplicates, 1 rejected" in result.output
    assert "line 3: invalid: relationship" in result.output


def test_cells_may_stand_between_pipes(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes((HEADER + ROW).replace(b",", b"|"))

    result = dry_run(file)

    assert "sessions, pipes between cells" in result.output
    assert "1 new, 0 duplicates, 0 rejected" in result.output


def test_a_workbook_with_titles_above_its_header_and_a_row_of_totals_is_read(tmp_path: Path) -> None:
    book(
        [
            ["Sessions of 2026"],
            [],
            ["relationship", "status", "starts_at", "minutes"],
            ["rel-1", "held", "2026-03-02 10:00", "45"],
            ["rel-2", "held", "2026-03-02 11:00"],
            ["Total", "2", "", "45"],
        ]
    )(tmp_path / "a.xlsx")

    result = dry_run(tmp_path / "a.xlsx")

    assert "sessions, header in line 3" in result.stderr
    assert result.stdout.strip() == NOTHING.replace("0 new", "2 new")
