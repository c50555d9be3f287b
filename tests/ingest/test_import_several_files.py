"""Templates, people by address, and imports of several files at once."""

import json
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from schemas.topics import EVENTS
from services.ingest.__main__ import main
from services.ingest.importing.kinds import KINDS
from services.runtime.settings import Settings
from tests.ingest.conftest import Log, event
from tests.ingest.test_import_tables import EVERY, SOURCE, Tables, ended, told
from tests.ingest.test_import_tables import tables as tables  # noqa: PLC0414 (a fixture)

PEOPLE = "participant,name,consent,addresses\np-ann,Ann,yes,ann@example.com\np-ben,Ben,yes,ben@example.com\n"
PAIRS = "relationship,started_at,mentors,mentees,ended_at,end_planned\n"
PAIRS += "rel-1,2026-01-05,ANN@example.com,Ben <ben@example.com>,2026-03-20,yes\n"
MET = "relationship,status,starts_at,minutes\nrel-1,held,2026-03-02 10:00,45\n"
MET += "rel-1,held,2026-02-02 10:00,45\nrel-9,held,2026-02-03 10:00,45\n"


def together(tables: Tables, *options: str, **files: str) -> Result:
    for name, text in files.items():
        (tables.folder / f"{name}.csv").write_text(text)
    named = [str(tables.folder / f"{name}.csv") for name in files]
    to = ("--url", str(tables.gateway.client.base_url), "--token", tables.secret)
    return CliRunner().invoke(main, ["import", *named, *to, *EVERY, *options])


def test_files_are_sent_in_the_right_order_whatever_their_order(tables: Tables, broker: Settings) -> None:
    log = Log(broker, EVENTS.name)
    events = json.dumps(event(source=SOURCE, subject="rel-1", time="2026-02-10T10:00:00+01:00")) + "\n"
    (tables.folder / "more.jsonl").write_text(events)

    result = together(tables, str(tables.folder / "more.jsonl"), met=MET, pairs=PAIRS, people=PEOPLE)

    assert ended(result) == (0, "8 new, 0 duplicates, 0 rejected"), result.output
    ordered = [one for one in told(log) if one.subject == "rel-1"]
    assert [one.type.split(".", 1)[1] for one in ordered] == [
        "relationship.started.v1",
        *["session.held.v1"] * 3,
        "relationship.ended.v1",
    ]
    assert [one.time for one in ordered[1:]] == sorted(one.time for one in ordered[1:])
    assert (ordered[0].data.mentors, ordered[0].data.mentees) == (("p-ann",), ("p-ben",))
    assert "1 rows refer to 1 relationships that were never declared" in result.stdout
    assert ": rel-9; import them as a table of relationships" in result.stdout


def test_what_is_refused_of_several_files_names_its_file(tables: Tables) -> None:
    result = together(tables, met=MET.replace("45\n", "0\n", 1), pairs=PAIRS.replace("ANN@", "nobody@"), people=PEOPLE)

    assert ended(result) == (1, "4 new, 0 duplicates, 2 rejected"), result.output
    assert "pairs.csv, line 2: invalid: mentors: 'nobody@example.com' is no address of the directory" in result.stderr
    assert "met.csv, line 2: invalid: minutes" in result.stderr
    assert (tables.folder / "pairs.csv.rejected.csv").read_text("utf-8-sig").splitlines()[1].startswith("2,mentors,")
    assert (tables.folder / "met.csv.rejected.csv").exists()
    assert not (tables.folder / "people.csv.rejected.csv").exists()


def test_an_address_is_looked_up_in_the_directory_of_the_tenant(tables: Tables) -> None:
    known = tables.run("people.csv", PEOPLE, *EVERY)
    again = tables.run("double.csv", PEOPLE.replace("p-ann", "p-twin").replace("p-ben", "p-cat"), *EVERY)
    pairs = tables.run("pairs.csv", PAIRS, *EVERY)

    assert (known.exit_code, again.exit_code) == (0, 0)
    assert "mentors: 'ANN@example.com' is an address of 2 people: give the id" in pairs.stderr


def test_pairs_of_the_directory_are_declared_and_found_again(tables: Tables, broker: Settings) -> None:
    log = Log(broker, EVENTS.name)
    tables.run("people.csv", PEOPLE, *EVERY)

    pairs = tables.run("pairs.csv", PAIRS, *EVERY)
    met = tables.run("met.csv", MET, *EVERY)

    assert ended(pairs) == (0, "2 new, 0 duplicates, 0 rejected"), pairs.output
    assert [one.data.mentees for one in told(log) if one.type.endswith(".started.v1")] == [("p-ben",)]
    assert "1 rows refer to 1 relationships that were never declared" in met.stdout


def test_an_import_of_several_files_is_not_resumed(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).touch()

    result = CliRunner().invoke(main, ["import", *map(str, tmp_path.iterdir()), "--resume", "--token", "x"])

    assert (result.exit_code, "--resume needs a file, one" in result.output) == (2, True)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_template_is_a_table_and_its_example_a_row(
    kind: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"{kind}.{form}"

    written = CliRunner().invoke(main, ["template", kind, str(file)])
    untouched = CliRunner().invoke(main, ["import", str(file), "--dry-run", *EVERY])
    shown = CliRunner().invoke(main, ["template", kind, "-"]).output
    (tmp_path / "filled.csv").write_text(shown.replace("# example: ", ""))
    filled = CliRunner().invoke(main, ["import", str(tmp_path / "filled.csv"), "--dry-run", *EVERY])

    assert written.exit_code == 0, written.output
    assert ended(untouched) == (0, "dry run, nothing was sent: 0 new, 0 duplicates, 0 rejected"), untouched.output
    assert ended(filled) == (0, "dry run, nothing was sent: 1 new, 0 duplicates, 0 rejected"), filled.output
    assert all(value in shown for column in KINDS[kind].columns.values() for value in column.values)
    assert "already exists" in CliRunner().invoke(main, ["template", kind, str(file)]).output


def test_questions_come_before_the_gateway_is_reached(tmp_path: Path) -> None:
    (tmp_path / "met.csv").write_text("relationship,status,starts_at\nrel-1,held,3/4/2026 10:00\n")

    result = CliRunner().invoke(main, ["import", str(tmp_path / "met.csv"), "--token", "x", *EVERY])

    assert (result.exit_code, "--day-format dd/mm/yyyy or --day-format mm/dd/yyyy" in result.stderr) == (1, True)


def test_a_workbook_of_several_sheets_asks_which(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    first, second = book.active, book.create_sheet("Sitzungen")
    assert first is not None
    for row in MET.splitlines():
        second.append(row.split(","))
    second.row_dimensions[2].hidden = True
    book.save(tmp_path / "a.xlsx")

    unsure = CliRunner().invoke(main, ["import", str(tmp_path / "a.xlsx"), "--dry-run", *EVERY])
    named = CliRunner().invoke(main, ["import", str(tmp_path / "a.xlsx"), "--dry-run", *EVERY, "--sheet", "Sitzungen"])

    assert "a.xlsx has several sheets: which holds the table?: give --sheet Sheet or --sheet Sitzungen" in unsure.stderr
    assert ended(named) == (0, "dry run, nothing was sent: 3 new, 0 duplicates, 0 rejected"), named.output
    assert "a.xlsx, sheet 'Sitzungen': 1 rows are hidden, and read all the same" in named.stderr
