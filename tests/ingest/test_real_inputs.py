"""Inputs as real systems sent them, with invented people, and what is right for each: as `rapport ingest try` and the
dry run of an import show it. `tests/ingest/cases` holds them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.ingest.__main__ import main

CASES = Path(__file__).parent / "cases"
PAUSED = "mentoring.relationship.paused.v1"


def tried(tool: str, *names: str, settings: str = "") -> list[dict[str, Any]]:
    """What became of each payload."""
    files = [str(CASES / name) for name in names]
    options = ["--settings", str(CASES / settings)] if settings else []
    result = CliRunner().invoke(
        main, ["try", tool, "--roster", str(CASES / "roster.jsonl"), "--json", *options, *files]
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


def events(payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for one in payloads for said in one.get("statements", ()) for event in said.get("events", ())]


def people(payloads: list[dict[str, Any]]) -> list[tuple[str, str, tuple[str, ...]]]:
    said = (one for payload in payloads for one in payload.get("statements", ()))
    return [(one["participant"], one["status"], tuple(one["addresses"])) for one in said]


BEN = ("p-ben", "active", ("ben@example.com",))


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("H06_two_rows_one_person.csv", ""),
        ("H07_zero_dates.json", ""),
        ("H09_report_entry.json", ""),
        ("H11_zero_width.csv", ""),
        ("H14_sep_line.csv", ""),
        ("H15_nfd_header.csv", "hr_de.yaml"),
    ],
)
def test_a_person_is_read_as_active_and_no_relationship_ends(file: str, settings: str) -> None:
    found = tried("hr", file, settings=settings)

    assert people(found) == [BEN]
    assert events(found) == []


def test_a_databases_true_is_active() -> None:
    found = tried("hr", "H05_boolean_t.csv")

    assert [status for _, status, _ in people(found)] == ["active", "active"]
    assert events(found) == []


def test_a_day_with_an_offset_is_that_day_where_the_person_lives() -> None:
    (paused,) = events(tried("hr", "H08_xsd_date.csv"))

    assert (paused["type"], paused["subject"]) == (PAUSED, "rel-1")
    assert paused["data"]["from"] == "2026-11-19T23:00:00.000000Z"
    assert paused["data"]["until"] == "2026-12-31T23:00:00.000000Z"


@pytest.mark.parametrize(
    ("tool", "files", "settings", "reason"),
    [
        ("slack", ("H12_a_join_note.json", "H12_b_join_note_deleted.json"), "slack.yaml", "subtype_not_used"),
        ("slack", ("H22_message_replied.json",), "slack.yaml", "subtype_not_used"),
        ("caliper", ("H19_course_forum_post.json",), "", "of_a_course_or_forum"),
    ],
)
def test_what_is_no_contact_of_the_pair_is_ignored_and_not_parked(
    tool: str, files: tuple[str, ...], settings: str, reason: str
) -> None:
    found = tried(tool, *files, settings=settings)

    assert [(one["outcome"], one["reason"]) for one in found] == [("ignored", reason)] * len(files)


def test_offsets_of_hours_only_are_offsets(tmp_path: Path) -> None:
    file = str(CASES / "H23_hour_only_offset.csv")
    options = [
        "--dry-run",
        "--program",
        "prog",
        "--source",
        "urn:x:csv",
        "--rejected",
        str(tmp_path / "rejected.jsonl"),
    ]

    result = CliRunner().invoke(main, ["import", *options, file])

    assert "2 new, 0 duplicates, 0 rejected" in result.output
