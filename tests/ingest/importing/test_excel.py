"""Workbooks as lines of a table, and workbooks that are refused."""

import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import openpyxl
import pytest

from services.ingest.importing import excel
from services.ingest.importing.excel import MAX_COLUMNS, ExcelFile
from services.ingest.importing.sender import ImportStoppedError


def workbook(file: Path, *rows: list[object], others: tuple[str, ...] = ()) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for name in others:
        book.create_sheet(name)
    book.save(file)
    return file


def lines(file: Path, sheet: str | None = None) -> list[tuple[int, bytes]]:
    with ExcelFile(file, sheet) as opened:
        return [(line.number, line.text) for line in opened]


def packed(file: Path, **parts: bytes) -> Path:
    """A workbook whose parts are replaced or added."""
    original = workbook(file.with_name("original.xlsx"), ["a"])
    with zipfile.ZipFile(original) as read, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        names = {"sheet": "xl/worksheets/sheet1.xml"}
        replaced = {names.get(name, name): content for name, content in parts.items()}
        for name in read.namelist():
            written.writestr(name, replaced.pop(name, read.read(name)))
        for name, content in replaced.items():
            written.writestr(name, content)
    return file


def test_cells_are_written_as_a_table_of_text_has_them(tmp_path: Path) -> None:
    when = datetime(2026, 3, 31, 16, 30)  # noqa: DTZ001 (as cells are)
    file = workbook(
        tmp_path / "a.xlsx",
        ["text", "yes", "no", "whole", "part", "thousandths", "time", "day", "long"],
        ['a "b", c', True, False, 45.0, 4.5, 1.125, when, when.date(), timedelta(hours=30)],
        [],
        [None, None, "x"],
    )

    assert lines(file) == [
        (1, b"text,yes,no,whole,part,thousandths,time,day,long"),
        (2, b'"a ""b"", c",yes,no,45,4.5,1.1250,2026-03-31 16:30:00,2026-03-31,"1 day, 6:00:00"'),
        (3, b""),
        (4, b",,x,,,,,,"),
    ]


def test_rows_that_a_filter_hides_are_read_and_counted(tmp_path: Path) -> None:
    file = workbook(tmp_path / "a.xlsx", ["a"], ["b"], ["c"], others=("other",))
    book = openpyxl.load_workbook(file)
    book.worksheets[0].row_dimensions[2].hidden = True
    book.worksheets[1].append(["d"])
    for row in (1, 2, 3):
        book.worksheets[1].row_dimensions[row].hidden = True
    book.save(file)

    assert lines(file, "Sheet") == [(1, b"a"), (2, b"b"), (3, b"c")]
    for sheet, many in (("Sheet", 1), ("other", 3)):
        with ExcelFile(file, sheet) as opened:
            assert opened.hidden_rows == many


def test_percentages_are_what_the_sheet_shows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"], sheet["A1"].number_format = 0.4, "0%"
    book.save(tmp_path / "a.xlsx")

    assert lines(tmp_path / "a.xlsx") == [(1, b"40%")]


@pytest.mark.parametrize(
    ("number", "shown", "written"),
    [
        (42, "00000", "00042"),
        (42, "0000#", "00042"),
        (42, '"E"0000', "E0042"),
        (42, "\\E0000", "E0042"),
        (12345, "00-000", "12-345"),
        (1234567, "00-000", "1234-567"),
        (0, "000", "000"),
        # A unit, or a number as numbers are.
        (45, '0" min"', "45"),
        (45, '0"d"', "45"),
        (45, "#,##0", "45"),
        (45, "0.00", "45"),
        # A percent sign that is no format stands behind what is a percentage already.
        (50, '0"%"', "50"),
        (50, "0\\%", "50"),
        (-4, "000", "-4"),
        # Excel has forgotten their last digits.
        (1.23457e17, "0", "1.234570E+17"),
        (1234567890123456789.0, "General", "1.234568E+18"),
        (123456789012345, "0", "123456789012345"),
    ],
)
def test_a_number_that_is_shown_as_an_id_is_that_id(number: float, shown: str, written: str, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"], sheet["A1"].number_format = number, shown
    book.save(tmp_path / "a.xlsx")

    assert lines(tmp_path / "a.xlsx") == [(1, written.encode())]


def test_what_unpacks_to_too_much_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MAX_UNPACKED", 10 * 2**20)
    bomb = packed(tmp_path / "bomb.xlsx", sheet=b" " * 11 * 2**20)
    assert bomb.stat().st_size < 100_000

    with pytest.raises(ImportStoppedError, match="unpacks to more than 10 MiB"):
        lines(bomb)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_workbook_that_declares_entities_is_not_read(encoding: str, tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet>&b;</worksheet>'

    with pytest.raises(ImportStoppedError, match="declares a document type"):
        lines(packed(tmp_path / "bomb.xlsx", sheet=(" " * 70_000 + bomb).encode(encoding)))


@pytest.mark.parametrize("content", [b"", b"no workbook", b"PK\x03\x04" + b"\x00" * 40])
def test_a_file_that_is_no_workbook_is_reported_as_such(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)

    with pytest.raises(ImportStoppedError, match="is no workbook that can be read"):
        lines(tmp_path / "a.xlsx")


SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


@pytest.mark.parametrize("sheet", [b"<worksheet>", SHEET + b'<row r="x"/></sheetData></worksheet>', SHEET])
def test_a_truncated_sheet_is_reported(sheet: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImportStoppedError, match=r"a.xlsx (cannot be read on|is no workbook)"):
        lines(packed(tmp_path / "a.xlsx", sheet=sheet))


def test_a_row_that_claims_to_be_the_billionth_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MAX_ROWS", 1_000)
    row = b'<row r="2000000000"><c r="A2000000000" t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>'

    with ExcelFile(packed(tmp_path / "a.xlsx", sheet=SHEET + row), None) as opened:
        assert not any(line.text for line in opened)
        assert opened.position() <= 1_000


def test_more_columns_than_a_table_has_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(ImportStoppedError, match=f"more than {MAX_COLUMNS} columns"):
        lines(workbook(tmp_path / "a.xlsx", ["x"] * (MAX_COLUMNS + 1)))


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    file = workbook(tmp_path / "a.xlsx", ["a"], others=("Second",))

    with ExcelFile(file, None) as opened:
        assert (opened.sheet, opened.others) == ("Sheet", ("Second",))
    assert lines(file, "Second") == []
    with pytest.raises(ImportStoppedError, match="has no visible sheet 'Third': Sheet, Second"):
        lines(file, "Third")


def test_a_formula_without_a_result_is_no_empty_cell(tmp_path: Path) -> None:
    file = workbook(tmp_path / "a.xlsx", ["minutes", "note"], ["=1+44", None], [45, "x"])

    assert lines(file) == [(1, b"minutes,note"), (2, b"=1+44,"), (3, b"45,x")]


def test_a_formula_that_gave_an_empty_text_is_an_empty_cell(tmp_path: Path) -> None:
    rows = (
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>note</t></is></c>'
        b'<c r="B1" t="inlineStr"><is><t>x</t></is></c></row>'
        b'<row r="2"><c r="A2" t="str"><f>IF(1,"","")</f><v></v></c><c r="B2"><f>1+1</f><v>2</v></c></row>'
    )
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = b'<worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>' % (main, rows)

    assert lines(packed(tmp_path / "a.xlsx", sheet=sheet)) == [(1, b"note,x"), (2, b",2")]
