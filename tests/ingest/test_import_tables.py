"""Imports of tables through the gateway, onto the log and into the directory."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS
from services.ingest.__main__ import main
from services.runtime.settings import Settings
from tests.ingest.conftest import Gateway, Log, event, make_token
from tests.ingest.tooling import DirectoryLog
from tests.receiver import eventually

SOURCE = "urn:test:tables"
EVERY = ("--source", SOURCE, "--program", "onboarding", "--time-zone", "Europe/Berlin")


@dataclass
class Tables:
    """Imports of one tenant; `run` writes the file first."""

    folder: Path
    gateway: Gateway
    secret: str

    def run(self, name: str, text: str | bytes, *options: str) -> Result:
        file = self.folder / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.again(name, *options)

    def again(self, name: str, *options: str) -> Result:
        to = ("--url", str(self.gateway.client.base_url), "--token", self.secret)
        return CliRunner().invoke(main, ["import", str(self.folder / name), *to, *options])

    def rejected(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"{name}.rejected.jsonl").read_text().splitlines()]


@pytest.fixture
def tables(gateway: Gateway, broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)
    secret = make_token(broker, tenant=f"t{uuid4().hex}", sources=(SOURCE,))
    bearer = {"authorization": f"Bearer {secret}"}
    eventually(lambda: gateway.post(event(source=SOURCE), **bearer).status_code == 202)
    return Tables(tmp_path, gateway, secret)


def ended(result: Result) -> tuple[int, str]:
    """The exit code and the summary; the gateway logs into the same process."""
    return result.exit_code, next((line for line in result.stdout.splitlines() if " duplicates, " in line), "")


def told(log: Log) -> list[Any]:
    return [MENTORING_EVENT.validate_json(record.value or b"") for record in log.records()]


def test_a_table_of_relationships_is_imported_once(tables: Tables, broker: Settings) -> None:
    log = Log(broker, EVENTS.name)
    table = (
        "\ufeffrelationship;started_at;mentors;mentees;ended_at;end_planned\r\n"
        "rel-1;2026-01-05;p-ada;p-ben|p-cat;;\r\n"
        'rel-2;2026-01-05 09:00;p-dan;"p-eve";2026-03-01T10:00Z;yes\r\n'
    )

    first = tables.run("pairs.csv", table, *EVERY)
    again = tables.again("pairs.csv", *EVERY)

    assert ended(first) == (0, "3 new, 0 duplicates, 0 rejected"), first.output
    assert ended(again) == (0, "0 new, 3 duplicates, 0 rejected")
    found = {(one.subject, one.type.split(".")[2]): one for one in told(log)}
    assert set(found) == {("rel-1", "started"), ("rel-2", "started"), ("rel-2", "ended")}
    assert found["rel-1", "started"].data.mentees == ("p-ben", "p-cat")


def test_what_is_rejected_names_line_and_column_and_keeps_the_row(tables: Tables) -> None:
    table = (
        b"relationship,status,starts_at,minutes\n"
        b"rel-1,held,2026-03-02 10:00,45\n"
        b"rel-1,held,2026-03-29 02:30,45\n"
        b"\n"
        b"rel/1,held,2026-03-03 10:00,45\n"
        b"rel-1,held,2026-03-04 10:00,9999\n"
        b"rel-1,held\n"
        b"rel-\xe9,held,2026-03-05 10:00,45\n"
    )

    result = tables.run("met.csv", table, *EVERY, "--encoding", "utf-8")

    assert ended(result) == (1, "1 new, 0 duplicates, 5 rejected")
    kept = tables.rejected("met.csv")
    assert [(one["line"], one["errors"][0].get("column")) for one in kept] == [
        (3, "starts_at"),
        (5, "relationship"),
        (6, "minutes"),
        (7, None),
        (8, None),
    ]
    assert kept[1]["row"] == "rel/1,held,2026-03-03 10:00,45"
    assert "\\xe9" in kept[4]["row"]
    assert "line 3: invalid: starts_at: '2026-03-29 02:30' does not exist in Europe/Berlin" in result.stderr
    assert "line 6: invalid: minutes: Input should be less than or equal to 1440" in result.stderr
    assert "line 8: malformed: is not UTF-8: byte 0xe9 at character 5" in result.stderr


def test_a_correction_under_the_same_key_is_a_conflict(tables: Tables) -> None:
    head, row = "relationship,by,at,rating\n", "rel-1,mentee,2026-03-02T10:00Z,{}\n"
    tables.run("one.csv", head + row.format(4), *EVERY)

    changed = tables.run("two.csv", head + row.format(5), *EVERY)

    assert (changed.exit_code, tables.rejected("two.csv")[0]["reason"]) == (1, "conflict")


def test_people_are_imported_into_the_directory_and_nowhere_else(tables: Tables, broker: Settings) -> None:
    people, log = DirectoryLog(broker), Log(broker, EVENTS.name)
    table = (
        "participant\tname\tconsent\taddresses\n"
        "p-ada\tAda\tyes\tada@example.com\n"
        "p ben\tBen\tno\t\n"
        "p-cat\tCat\tno\tcat.example.com\n"
    )

    result = tables.run("people.tsv", gzip.compress(table.encode()), "--kind", "directory", *EVERY)
    packed = tables.run("people.tsv.gz", gzip.compress(table.encode()), *EVERY)

    assert "the file is gzipped: call it .gz" in result.stderr
    assert ended(packed) == (1, "1 new, 0 duplicates, 2 rejected")
    assert [one["errors"][0]["column"] for one in tables.rejected("people.tsv.gz")] == ["participant", "addresses"]
    (record,) = people.records()
    ada = Participant.model_validate_json(record.value or b"")
    assert record.key == f"{ada.tenant}/p-ada".encode()
    assert (ada.name, ada.addresses, ada.time_zone) == ("Ada", ("ada@example.com",), "Europe/Berlin")
    assert log.growth() == 0


def test_a_dry_run_checks_every_line_and_sends_nothing(tables: Tables, broker: Settings) -> None:
    log, people = Log(broker, EVENTS.name), DirectoryLog(broker)
    sessions = (
        "relationship,status,starts_at\n"
        "rel-1,held,2026-03-02 10:00\nrel-1,held,2026-03-02 10:00\nrel/1,held,2026-03-02 10:00\n"
        "rel-1,held,2199-03-02 10:00\n"
    )

    met = tables.run("met.csv", sessions, *EVERY, "--dry-run")
    known = tables.run("people.csv", "participant,name,consent\np-1,Ada,yes\np-2,Ben,maybe\n", *EVERY, "--dry-run")
    lines = tables.run("a.jsonl", json.dumps(event()) + "\n{\n" + json.dumps(event(type="x")), "--dry-run")

    assert ended(met) == (1, "dry run, nothing was sent: 1 new, 1 duplicates, 2 rejected")
    assert [one["reason"] for one in tables.rejected("met.csv")] == ["invalid", "future"]
    assert ended(known) == (1, "dry run, nothing was sent: 1 new, 0 duplicates, 1 rejected")
    assert ended(lines) == (1, "dry run, nothing was sent: 1 new, 0 duplicates, 2 rejected")
    assert (log.growth(), people.growth()) == (0, 0)


def test_a_dry_run_needs_neither_token_nor_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAPPORT_INGEST_TOKEN", raising=False)
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(event()) + "\n")

    result = CliRunner().invoke(main, ["import", str(file), "--dry-run", "--url", "http://127.0.0.1:1"])

    assert ended(result) == (0, "dry run, nothing was sent: 1 new, 0 duplicates, 0 rejected")


def test_a_dry_run_reports_a_conflict_within_the_file(tmp_path: Path) -> None:
    file, one = tmp_path / "a.jsonl", event()
    file.write_text("\n".join(map(json.dumps, [one, one | {"subject": "rel-2"}])))

    result = CliRunner().invoke(main, ["import", str(file), "--dry-run"])

    assert "line 2: conflict: id: this id was used above for another event" in result.stderr


@pytest.mark.parametrize(
    ("name", "text", "options", "words"),
    [
        ("a.csv", "", (), "the file is empty"),
        ("a.csv", "participant,name\n", ("--kind", "directory"), "the column 'consent' is missing"),
        ("a.jsonl", '{"a": 1}\n', ("--kind", "sessions"), "the header"),
        ("a.csv", "x,y\n", (), "matches no known table"),
    ],
)
def test_a_table_without_a_header_stops(
    tables: Tables, name: str, text: str, options: tuple[str, ...], words: str
) -> None:
    result = tables.run(name, text, *options)

    assert (result.exit_code, words in result.stderr) == (1, True), result.output


def test_a_table_with_a_header_only_has_nothing_to_say(tables: Tables) -> None:
    result = tables.run("a.csv", "participant,name,consent\n")

    assert ended(result) == (0, "0 new, 0 duplicates, 0 rejected")


def test_old_facts_name_the_command_that_heals(tables: Tables) -> None:
    head = "relationship,by,at,rating\n"

    old = tables.run("old.csv", head + "rel-1,mentee,2026-01-02T10:00Z,4\nrel-1,mentor,2026-01-02T10:00Z,4\n", *EVERY)
    repeated = tables.again("old.csv", *EVERY)

    assert "2 lines have times more than 30 days back" in old.stderr
    assert "rapport scoring heal" in old.stderr
    assert "heal" not in repeated.stderr


def test_a_report_of_an_earlier_run_does_not_stay(tables: Tables) -> None:
    head = "participant,name,consent\n"
    tables.run("people.csv", head + "p-1,Ada,maybe\n", *EVERY)
    assert (tables.folder / "people.csv.rejected.jsonl").exists()

    tables.run("people.csv", head + "p-1,Ada,yes\n", *EVERY)

    assert not (tables.folder / "people.csv.rejected.jsonl").exists()


@pytest.mark.parametrize("options", [("-", "--resume"), ("--dry-run", "--resume")])
def test_only_an_import_of_a_file_can_be_resumed(options: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.touch()
    named = options if options[0] == "-" else (str(file), *options)

    result = CliRunner().invoke(main, ["import", *named, "--token", "x"], input="")

    assert (result.exit_code, "--resume needs a file" in result.output) == (2, True)
