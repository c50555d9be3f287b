"""Feeds of people, tables that are imported, and events of files, as systems export them (`tables.yaml` in
`tests/ingest/cases`), and what is right for each."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result
from pydantic import AwareDatetime, TypeAdapter

from schemas.events import OfRelationship
from services.ingest.__main__ import main
from services.ingest.domain.cloudevents import TIMES
from services.runtime.strict_yaml import documents
from tests.ingest.test_cases import CASES, assert_told, events, statements, told, tried
from tests.ingest.test_documented_cases import FurtherCase

(_TABLE,) = documents(CASES / "tables.yaml")
ALL = TypeAdapter(list[FurtherCase]).validate_python(_TABLE)
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "mentoring.session.held.v1",
    "source": "urn:x:csv",
    "id": "e1",
    "time": "2026-11-20T10:00:00Z",
    "subject": "rel-1",
    "program": "prog",
    "data": {"session_id": "s1", "started_at": "2026-11-20T09:00:00Z", "by": "mentor", "evidence": "calendar"},
}


@pytest.mark.parametrize("case", ALL, ids=[one.case for one in ALL])
def test_what_a_feed_of_people_becomes_is_right(case: FurtherCase, tmp_path: Path) -> None:
    payloads = tried(case.as_case(tmp_path))

    outcomes = [" ".join(filter(None, (one["outcome"], one.get("reason")))) for one in payloads]
    assert outcomes == (case.payloads or ["told"] * len(case.bodies))
    assert_told([one for one in statements(payloads) if one["said"] == "employed"], case.people)
    assert_told([told(one) for one in events(payloads)], case.written)


def imported(file: Path, text: str) -> Result:
    file.write_text(text)
    options = ["--program", "prog", "--source", "urn:x:csv", "--rejected", str(file.with_suffix(".rejected"))]
    return CliRunner().invoke(main, ["import", "--dry-run", *options, str(file)])


@pytest.mark.parametrize(
    "time", ["2026-12-31T23:59:60Z", "2026-11-20T10:00:60.5+01:00", "2026-11-20T10:00:00+01", "2026-11-20 10:00-05"]
)
def test_leap_seconds_and_offsets_of_hours_are_read_in_all_times_of_an_event(time: str, tmp_path: Path) -> None:
    at_night = {**EVENT["data"], "started_at": "2025-11-20T09:00:60Z"}
    # An id may look as a time does, and stays as it is.
    hours = {**EVENT["data"], "started_at": "2026-11-20T09:00:00+01", "session_id": "2026-11-20T09:00:00-05"}
    lines = [{**EVENT, "time": time.replace("12-31", "11-30")}, {**EVENT, "id": "e2", "data": at_night}]
    lines.append({**EVENT, "id": "e3", "data": hours})

    result = imported(tmp_path / "events.jsonl", "\n".join(map(json.dumps, lines)))

    assert "3 new, 0 duplicates, 0 rejected" in result.output, result.output


@pytest.mark.parametrize("time", ["2026-11-20T10:00:61Z", "2026-11-20T10:60:00Z", "2026-11-20T10:00:00", 60, "x:60Z"])
def test_what_is_no_time_of_an_event_is_still_refused(time: object, tmp_path: Path) -> None:
    result = imported(tmp_path / "events.jsonl", json.dumps({**EVENT, "time": time}))

    assert "line 1: invalid: time" in result.output, result.output


def test_every_time_that_data_may_have_is_rewritten() -> None:
    data = [kind.model_fields["data"].annotation for kind in get_args(OfRelationship)]
    fields = [(field.alias or name, field.annotation) for kind in data for name, field in kind.model_fields.items()]

    assert {name for name, kind in fields if AwareDatetime in {kind, *get_args(kind)}} <= set(TIMES)


def test_a_meeting_to_which_somebody_did_not_come_was_not_held(tmp_path: Path) -> None:
    table = """relationship,status,starts_at,minutes,absent
rel-1,held,2026-11-20T10:00Z,45,mentee
rel-1,held,2026-11-21T10:00Z,45,Both
rel-1,held,2026-11-22T10:00Z,45,nobody
rel-1,held,2026-11-23T10:00Z,45,
rel-1,missed,2026-11-24T10:00Z,45,mentee
"""

    result = imported(tmp_path / "sessions.csv", table)

    assert "line 2: invalid: absent: " in result.output, result.output
    assert "line 3: invalid: absent: " in result.output
    assert "3 new, 0 duplicates, 2 rejected" in result.output


@pytest.mark.parametrize(
    ("header", "cells", "column"),
    [
        (
            "relationship,started_at,mentors,mentees,ended_at,end_planned",
            "rel-1,2026-01-05T08:00Z,p-ada,p-ben,2199-01-01T08:00Z,yes",
            "ended_at",
        ),
        (
            "relationship,status,starts_at,minutes,booked_at",
            "rel-1,held,2026-01-05T08:00Z,45,2199-01-01T08:00Z",
            "booked_at",
        ),
        (
            "relationship,status,starts_at,minutes,cancelled_at",
            "rel-1,cancelled,2026-01-05T08:00Z,45,2199-01-01T08:00Z",
            "cancelled_at",
        ),
        ("relationship,status,starts_at,minutes", "rel-1,held,2199-01-01T08:00Z,45", "starts_at"),
        (
            "relationship,started_at,mentors,mentees",
            "rel-1,2199-01-01T08:00Z,p-ada,p-ben",
            "started_at",
        ),
    ],
)
def test_a_time_in_the_future_is_that_of_its_own_column(header: str, cells: str, column: str, tmp_path: Path) -> None:
    result = imported(tmp_path / "table.csv", f"{header}\n{cells}\n")

    assert f"line 2: future: {column}: lies in the future" in result.output, result.output


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("Duration", "minutes"),
        ("Duration (min)", "minutes"),
        ("Duration (hours)", "''"),
        ("Dauer (Std.)", "''"),
        ("Length [h]", "''"),
        ("Duration (hh:mm)", "minutes"),
    ],
)
def test_what_is_counted_in_hours_is_not_proposed_as_minutes(name: str, ours: str, tmp_path: Path) -> None:
    result = imported(
        tmp_path / "sessions.csv", f"relationship,status,starts_at,{name}\nrel-1,held,2026-11-20T10:00Z,1.5\n"
    )

    proposed = (tmp_path / "sessions.csv.columns.yaml").read_text()
    assert f"  {name}: {ours}\n" in proposed, (proposed, result.output)
