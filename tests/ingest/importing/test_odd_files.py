"""Unusual files: empty, of another kind, from other machines, in folders without write permission."""

import resource
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
        ("a.csv", raw((HEADER + ROW).decode().encode("utf-16-le")), "UTF-16 without the mark that says so: give"),
        ("a.csv", raw((HEADER + ROW).decode().encode("utf-16-be")), "give --encoding utf-16-be"),
        ("a.csv", raw(b"relationship,by,at,Note\nr,mentee,2026-03-02,1\n"), "matches no known table"),
        ("a.json", raw(b'[\n  {"specversion": "1.0"}\n]\n'), "is a JSON array: write one event per line"),
        ("a.jsonl", raw(b'\xef\xbb\xbf [{"specversion": "1.0"}]'), "is a JSON array: write one event per line"),
    ],
)
def test_a_file_that_is_no_table_is_named_and_nothing_is_sent(
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


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
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


def test_cells_may_be_separated_by_pipes(tmp_path: Path) -> None:
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


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("table", "summary", "words"),
    [
        # In a column of people a word for totals may be somebody's name: with all that is needed it is told.
        ("name;participant;consent\nAnn;p-1;yes\nSum;4711;1\n", "1 new, 0 duplicates, 1 rejected", "line 3: malformed"),
        # Without it is a sum, and nobody's.
        ("name;participant;consent\nAnn;p-1;yes\nTotal;1;\n", "1 new, 0 duplicates, 0 rejected", ""),
        # Whichever came last would count: who has left, and who has consented, is not decided by an order.
        (
            "participant;name;consent;status\np-1;Ann;yes;exited\np-2;Bo;yes;active\np-1;Ann;yes;active\n",
            "1 new, 0 duplicates, 2 rejected",
            "line 2: invalid: participant: is in several rows that contradict each other",
        ),
        ("participant;name;consent\np-1;Ann;yes\np-1;Ann;no\n", "0 new, 0 duplicates, 2 rejected", "line 3: invalid"),
        # The same in other letters is the same.
        (
            """participant;name;consent;addresses
p-1;Ann;yes;A@example.com
4.0;Bo;yes;b@example.com
p-1;Ann;Yes;a@EXAMPLE.com
4;Bo;yes;b@example.com
""",
            "4 new, 0 duplicates, 0 rejected",
            "",
        ),
        # Digits that were left out of an id.
        (
            "relationship,started_at,mentors,mentees\nr1,2026-01-15,1.23457E+11,p-2\nr2,2026-01-15,p-1,4.711E3\n",
            "0 new, 0 duplicates, 2 rejected",
            "line 3: invalid: mentees: '4.711E3' is a number of which a table has left digits out",
        ),
        (
            "participant;name;consent\n4.711E3;A;yes\n4,711E+03;B;yes\n4711E3;C;yes\n",
            "1 new, 0 duplicates, 2 rejected",
            "line 2: invalid: participant: is a number of which a table has left digits out",
        ),
        # A range of times is no offset.
        (
            """relationship;status;starts_at
r;held;2026-03-02 10:00-10:45
r;held;2026-03-02 10:00-11:00
r;held;2026-03-02 10:00-05:00
r;held;2026-03-02T10:00-11:00
""",
            "2 new, 0 duplicates, 2 rejected",
            "may be a range, or a time with an offset",
        ),
        # A year may stand first: it is asked, and nothing is sent before.
        (
            "relationship;goal_id;change;at\nr;g;set;26/02/03\n",
            "0 new, 0 duplicates, 0 rejected",
            "--day-format dd/mm/yy or --day-format yy/mm/dd",
        ),
        (
            "relationship;goal_id;change;at\nr;g;set;26/02/03\nr;g;set;05/02/26\n",
            "2 new, 0 duplicates, 0 rejected",
            "days as dd/mm/yy",
        ),
        # With the decimal comma of the table's language, too.
        (
            "relationship;status;starts_at\nr;held;46083,416\n",
            "0 new, 0 duplicates, 1 rejected",
            "Excel counts days so",
        ),
    ],
)
def test_ambiguous_cells_are_not_guessed(table: str, summary: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table)

    result = dry_run(tmp_path / "a.csv")

    assert result.stdout.strip().endswith(f"nothing was sent: {summary}"), result.output
    assert words in result.stderr


def test_the_columns_of_an_export_of_microsoft_forms_are_proposed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "ID,Start time,Completion time,Email,Name,Pair,Role,Rating\n"
        "1,3/2/26 10:00:05,3/2/26 10:01:05,anonymous,,r1,Mentee,4\n"
    )

    dry_run(tmp_path / "a.csv")

    proposed = (tmp_path / "a.csv.columns.yaml").read_text()
    assert "Completion time: at\n" in proposed
    assert "Start time: ''\n" in proposed


def test_cells_of_a_workbook_may_hold_line_breaks(tmp_path: Path) -> None:
    book(
        [
            ["relation-\nship", "started_at", "mentors", "mentees"],
            ["rel-1", "2026-01-05", "p-1\np-2", "p-3"],
            ["rel-2", "2026-01-05", "p-1", "p-3"],
        ]
    )(tmp_path / "a.xlsx")
    (tmp_path / "names.yaml").write_text("columns: {relation- ship: relationship}\n")

    result = dry_run(tmp_path / "a.xlsx", "--columns", str(tmp_path / "names.yaml"))

    assert result.stdout.strip() == NOTHING.replace("0 new", "2 new"), result.output


def test_a_number_that_a_workbook_shows_with_zeros_before_it_has_them(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    assert made.active is not None
    made.active.append(["participant", "name", "consent", "time_zone"])
    made.active.append([42, "Ann", "yes", BERLIN])
    made.active.append(["00042", "Ann", "no", BERLIN])
    made.active["A2"].number_format = "00000"
    made.save(tmp_path / "a.xlsx")

    result = dry_run(tmp_path / "a.xlsx")

    assert "2 rejected" in result.stdout, "both are of 00042, and say different things"


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_people_contradicted_far_below_are_refused_as_well(ending: str, tmp_path: Path) -> None:
    """Far below the sample that is inspected first."""
    many = 21_000
    rows = [["participant", "name", "consent"], ["p-1", "Ann", "yes"], ["p-2", "Bo", "yes"]]
    rows += [[f"q-{number}", "Cy", "yes"] for number in range(many)]
    rows += [["p-1", "Ann", "no"], ["p-2", "BO", "yes"]]
    write = book(rows) if ending == ".xlsx" else raw("".join(f"{','.join(row)}\n" for row in rows).encode())
    write(tmp_path / f"a{ending}")

    result = dry_run(tmp_path / f"a{ending}")

    assert result.stdout.strip().endswith(f"{many + 2} new, 0 duplicates, 2 rejected"), result.output
    for line in (2, many + 4):
        assert f"line {line}: invalid: participant: is in several rows that contradict" in result.stderr


def test_a_disk_without_space_for_temporary_tables_stops_the_import(tmp_path: Path) -> None:
    rows = "".join(f"q-{number},{'C' * 200},yes\n" for number in range(40_000))
    (tmp_path / "a.csv").write_text(f"participant,name,consent\n{rows}")
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))

    try:
        result = dry_run(tmp_path / "a.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert (result.exit_code, "no space for temporary files" in result.stderr) == (1, True), result.output
    assert "SQLITE_TMPDIR" in result.stderr
