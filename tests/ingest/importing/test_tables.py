"""From the lines of a table to rows and their cells."""

import pytest

from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.table import Header, HeaderOptions, read_header
from services.ingest.sources.tables import MAX_BYTES, BrokenRowError, Line, Rows

SESSIONS = "relationship,program,status,starts_at,minutes"
DIRECTORY = "participant,name,consent"


def lines(text: str | bytes) -> list[Line]:
    content = text if isinstance(text, bytes) else text.encode()
    return [Line(number, line.rstrip(b"\r")) for number, line in enumerate(content.split(b"\n"), 1)]


def header(text: str, kind: str | None = None, *skipped: str) -> Header:
    return read_header(iter(lines(text)), HeaderOptions(kind, skipped))


def rows(text: str | bytes, head: str = DIRECTORY) -> list[Line]:
    return list(Rows(iter(lines(text)), header(head).fits))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("relationship,program,started_at,mentors,mentees", "relationships"),
        (SESSIONS, "sessions"),
        ("relationship,goal_id,change,at", "goals"),
        ("relationship,by,at,rating,scale_max", "feedback"),
        (DIRECTORY, "directory"),
    ],
)
def test_a_table_is_recognised_by_its_header(written: str, kind: str) -> None:
    assert header(written).kind.name == kind


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_are_separated_by_commas_semicolons_or_tabs(delimiter: str) -> None:
    found = header(SESSIONS.replace(",", delimiter))

    assert (found.delimiter, found.columns) == (delimiter, tuple(SESSIONS.split(",")))


@pytest.mark.parametrize("hint", ["sep=;", "SEP=;", '"sep=;"', "\nsep=;\n"])
def test_the_hint_for_excel_is_not_the_header(hint: str) -> None:
    found = header(f"{hint}\n{SESSIONS.replace(',', ';')}")

    assert (found.delimiter, found.columns) == (";", tuple(SESSIONS.split(",")))


def test_names_of_columns_may_be_written_with_blanks_and_capitals() -> None:
    assert header('"Participant", Name ,CONSENT,Time-Zone').columns == ("participant", "name", "consent", "time_zone")


def test_names_of_columns_may_go_over_several_lines() -> None:
    found = header('"Participant";Name;"Shoe\n\nSize";"Consent";"Time\r\nZone"\np-1;A;39;yes;UTC', None, "shoe size")

    assert found.columns == ("participant", "name", "", "consent", "time_zone")


@pytest.mark.parametrize(
    ("written", "kind", "words"),
    [
        ("", None, "the file is empty"),
        ("\n \n", None, "the file is empty"),
        ("a,b,c", None, "matches no known table"),
        (f"{DIRECTORY},e_mail", None, "the column 'e_mail' is not known; leave it out with --skip-column 'e_mail'"),
        (f"{DIRECTORY},adresses", None, "did you mean 'addresses'"),
        (f"{DIRECTORY},name", None, "the column 'name' is there twice"),
        ("participant,name", "directory", "the column 'consent' is missing"),
        (f"{DIRECTORY},relationship,by,at,rating", None, "may be of feedback or directory: name it with --kind"),
        ('participant,"name', None, "line 1: the header has a quote that is never closed"),
        ("participant,name\rx,consent", None, "carriage return"),
    ],
)
def test_a_header_that_cannot_be_read_stops_the_import(written: str, kind: str | None, words: str) -> None:
    with pytest.raises(ImportStoppedError) as stopped:
        header(written, kind)

    assert words in str(stopped.value)


def test_a_header_that_is_not_utf_8_is_reported_with_its_position() -> None:
    with pytest.raises(ImportStoppedError, match="is not UTF-8: byte 0xe9 at character 7"):
        read_header(iter(lines("Prénom,x".encode("latin-1").replace(b"Pr", b"123456"))), HeaderOptions())


def test_a_column_may_be_left_out() -> None:
    found = header(f"{DIRECTORY},Shoe Size", None, "shoe size")

    assert found.cells(Line(2, b"p-ada,Ada,yes,39")) == {"participant": "p-ada", "name": "Ada", "consent": "yes"}


def test_a_row_with_quotes_goes_over_several_lines() -> None:
    found = rows('p-1,"A ""first""\r\nand second",yes\np-2,B,no\n\n')

    assert [row.number for row in found] == [1, 3]
    assert header(DIRECTORY).cells(found[0])["name"] == 'A "first"\nand second'


def test_a_stray_quote_rejects_only_its_own_row() -> None:
    found = rows('p-1,5" tall,yes\np-2,B,no\np-3,6" tall,yes\np-4,D,no')

    assert [(row.number, row.text) for row in found] == [
        (1, b'p-1,5" tall,yes'),
        (2, b"p-2,B,no"),
        (3, b'p-3,6" tall,yes'),
        (4, b"p-4,D,no"),
    ]


def test_a_hundred_thousand_stray_quotes_are_a_hundred_thousand_rows() -> None:
    assert len(rows('p-1,5" tall,yes\n' * 100_000)) == 100_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'p-1,5" tall,yes', "has a quote that is never closed"),
        (b"p-1,Ada", "has 2 cells, the header has 3"),
        (b"p-1,Ada,yes,x", "has 4 cells, the header has 3"),
        (b'p-1,"Ada"x,yes', "is no row of a table"),
        (b"p-1,Ad\xe9,yes", "is not UTF-8: byte 0xe9 at character 7"),
        (b"p-1,Ada\rp-2,Bo,yes", "carriage return within a line"),
        (b"x" * (MAX_BYTES + 1), "has more than"),
        (b"p-1," + b"x" * 200_000 + b",yes", "is no row of a table: field larger than"),
    ],
)
def test_an_unparsable_row_is_reported_with_the_reason(text: bytes, words: str) -> None:
    with pytest.raises(BrokenRowError, match=words):
        header(DIRECTORY).cells(Line(1, text))


def test_empty_cells_beyond_the_header_are_nothing() -> None:
    assert header(DIRECTORY).cells(Line(1, b"p-1,Ada,yes,,"))["consent"] == "yes"


def test_a_text_formula_of_excel_is_its_text() -> None:
    (row,) = rows(b'"=""00123""",="Ada",yes')

    assert header(DIRECTORY).cells(row) == {"participant": "00123", "name": "Ada", "consent": "yes"}
