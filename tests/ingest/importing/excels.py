"""The same six tables, with three mistakes each, as a German and an American Excel write them."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import openpyxl

Cell = str | float | int | bool | date | datetime | None


@dataclass(frozen=True)
class Table:
    """`mistakes`: by row (from 0) and column, the wrong text and its correction."""

    kind: str
    header: tuple[str, ...]
    rows: list[list[Cell]]
    mistakes: dict[tuple[int, str], tuple[str, str]]


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, 30)  # noqa: DTZ001 (as cells are)


PAIRS = [f"pair-{number}" for number in range(6)]
TABLES = (
    Table(
        "directory",
        ("participant", "name", "consent", "addresses"),
        [[f"p-{n}", f"Jörg Müller {n}", n % 2 == 0, f"jm{n}@example.com"] for n in range(12)],
        {
            (1, "consent"): ("vielleicht", "no"),
            (4, "addresses"): ("jm4.example.com", "jm4@example.com"),
            (7, "participant"): ("p 7", "p-7"),
        },
    ),
    Table(
        "relationships",
        ("relationship", "started_at", "mentors", "mentees", "cadence_days", "kind"),
        [
            [pair, date(2026, 1, 13 + n), f"p-{n}", f"p-{n + 6}", 10.5, "group" if n == 5 else "one_to_one"]
            for n, pair in enumerate(PAIRS)
        ],
        {
            (0, "mentors"): ("Jörg Müller", "p-0"),
            (2, "started_at"): ("soon", "2026-01-15"),
            (3, "cadence_days"): ("oft", "14"),
        },
    ),
    Table(
        "sessions",
        ("relationship", "status", "starts_at", "minutes", "absent"),
        [
            [pair, "missed" if n == 4 else "held", at(10 + n, 15), 45.5, "both" if n == 4 else None]
            for n, pair in enumerate(PAIRS)
        ],
        {
            (1, "starts_at"): ("99.99.2026", "2026-03-11 15:30"),
            (2, "status"): ("irgendwie", "held"),
            (5, "minutes"): ("4000", "40"),
        },
    ),
    Table(
        "goals",
        ("relationship", "goal_id", "change", "at", "percent"),
        [[pair, f"goal-{n}", "progressed", date(2026, 3, 14 + n), 40.25 + n] for n, pair in enumerate(PAIRS)],
        {
            (0, "percent"): ("140", "100"),
            (1, "at"): ("", "2026-03-15"),
            (2, "goal_id"): ("goal two", "goal-2"),
        },
    ),
    Table(
        "feedback",
        ("relationship", "by", "at", "rating", "about"),
        [[pair, "mentee", at(13 + n, 9), 3.5, "session"] for n, pair in enumerate(PAIRS)],
        {
            (0, "rating"): ("9", "5"),
            (3, "by"): ("Chef", "mentor"),
            (5, "relationship"): ("pair 5", "pair-5"),
        },
    ),
    Table(
        "sessions",
        ("relationship", "status", "starts_at", "minutes"),
        [[pair, "held", at(20 + n, 8), 30.25] for n, pair in enumerate(PAIRS)],
        {
            (0, "relationship"): ("", "pair-0"),
            (1, "starts_at"): ("2026-03-29 02:30", "2026-03-29 03:30"),
            (4, "minutes"): ("lang", "30"),
        },
    ),
)


@dataclass(frozen=True)
class Language:
    name: str
    headers: dict[str, str]
    values: dict[str, str]
    written: Callable[[Cell], str]
    delimiter: str
    encoding: str
    shown: str


def german(cell: Cell) -> str:
    match cell:
        case bool():
            return "WAHR" if cell else "FALSCH"
        case datetime():
            return f"{cell:%d.%m.%Y %H:%M}"
        case date():
            return f"{cell:%d.%m.%Y}"
        case float():
            return str(cell).replace(".", ",")
        case _:
            return str(cell or "")


def american(cell: Cell) -> str:
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case datetime():
            half, hour = "PM" if cell.hour >= 12 else "AM", cell.hour % 12 or 12
            return f"{cell.month}/{cell.day}/{cell.year} {hour}:{cell.minute:02} {half}"
        case date():
            return f"{cell.month}/{cell.day}/{cell.year}"
        case _:
            return str(cell or "")


GERMAN = Language(
    "de",
    {
        "participant": "Personalnummer",
        "name": "Anzeigename",
        "consent": "Einwilligung",
        "addresses": "E-Mail",
        "relationship": "Tandem",
        "started_at": "Beginn",
        "mentors": "Mentor:in",
        "mentees": "Mentee",
        "cadence_days": "Rhythmus (Tage)",
        "kind": "Art",
        "status": "Status",
        "starts_at": "Termin",
        "minutes": "Dauer (Minuten)",
        "absent": "Abwesend",
        "goal_id": "Ziel",
        "change": "Änderung",
        "at": "Datum",
        "percent": "Fortschritt",
        "by": "Von",
        "rating": "Bewertung",
        "about": "Bezug",
    },
    {
        "held": "stattgefunden",
        "missed": "nicht erschienen",
        "both": "beide",
        "progressed": "in Arbeit",
        "mentee": "Mentee",
        "session": "Treffen",
        "one_to_one": "zu zweit",
        "group": "Gruppe",
    },
    german,
    ";",
    "cp1252",
    "dd.mm.yyyy hh:mm",
)
AMERICAN = Language(
    "us",
    {
        "participant": "Employee ID",
        "name": "Full Name",
        "consent": "Consent Given",
        "addresses": "Email Address",
        "relationship": "Match ID",
        "started_at": "Start Date",
        "mentors": "Mentor",
        "mentees": "Mentee",
        "cadence_days": "Cadence (days)",
        "kind": "Type",
        "status": "Outcome",
        "starts_at": "Date and Time",
        "minutes": "Duration (min)",
        "absent": "No-show",
        "goal_id": "Goal",
        "change": "Action",
        "at": "Date",
        "percent": "Progress",
        "by": "Given by",
        "rating": "Stars",
        "about": "Subject",
    },
    {
        "held": "Took place",
        "missed": "No-show",
        "progressed": "In progress",
        "session": "Meeting",
        "one_to_one": "1:1",
        "group": "Group",
    },
    american,
    ",",
    "cp1252",
    "m/d/yyyy h:mm AM/PM",
)
LANGUAGES = (GERMAN, AMERICAN)


def as_csv(table: Table, language: Language) -> bytes:
    rows = [[language.written(cell) for cell in row] for row in _cells(table, language)]
    text = io.StringIO()
    csv.writer(text, delimiter=language.delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode(language.encoding)


def as_workbook(table: Table, language: Language, file: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in _cells(table, language):
        sheet.append(row)
    for column in sheet.iter_cols(min_row=2):
        for cell in column:
            if isinstance(cell.value, datetime):
                cell.number_format = language.shown
            elif isinstance(cell.value, date):
                cell.number_format = language.shown.split()[0]
    book.save(file)


def _cells(table: Table, language: Language) -> list[list[Cell]]:
    def one(row: int, column: str, cell: Cell) -> Cell:
        if (row, column) in table.mistakes:
            return table.mistakes[row, column][0]
        return language.values.get(cell, cell) if isinstance(cell, str) else cell

    head: list[Cell] = [language.headers[name] for name in table.header]
    body = [[one(n, name, c) for name, c in zip(table.header, row, strict=True)] for n, row in enumerate(table.rows)]
    return [head, *body]
