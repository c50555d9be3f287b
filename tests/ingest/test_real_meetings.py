"""Meetings and bookings as real tools sent them, with invented people, and what is right for each."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.ingest.__main__ import main

CASES = Path(__file__).parent / "cases"


def tried(tool: str, *names: str, roster: str = "roster.jsonl") -> list[dict[str, Any]]:
    """What became of each payload, in order."""
    files = [str(CASES / name) for name in names]
    result = CliRunner().invoke(main, ["try", tool, "--roster", str(CASES / roster), "--json", *files])
    return [json.loads(line) for line in result.stdout.splitlines()]


def events(payload: dict[str, Any]) -> list[tuple[str, str]]:
    """Types and relationships."""
    told = [event for one in payload["statements"] for event in one.get("events", ())]
    return [(one["type"].removeprefix("mentoring.").removesuffix(".v1"), one["subject"]) for one in told]


SCHEDULED, CANCELLED = "session.scheduled", "session.cancelled"


def test_whoever_cancels_one_seat_of_several_cancels_it_for_nobody_else() -> None:
    one, both, left = tried("calcom", "H03_a_seat_ben.json", "H03_b_both_seats.json", "H03_c_one_seat_cancelled.json")

    assert (events(one), events(both)) == ([(SCHEDULED, "rel-1")], [(SCHEDULED, "rel-2")])
    assert events(left) == [(CANCELLED, "rel-2")]


def test_an_entry_that_turned_private_to_us_says_nothing_of_who_takes_part() -> None:
    booked, private = tried("google_calendar", "H04_a_booked.json", "H04_b_private_no_people.json")

    assert events(booked) == [(SCHEDULED, "rel-1")]
    assert (private["outcome"], private["reason"], events(private)) == ("ignored", "nobody_named", [])


@pytest.mark.parametrize(
    ("tool", "file"),
    [("microsoft_graph", "H10_name_and_address.json"), ("google_calendar", "H13_bom.json")],
)
def test_names_beside_addresses_and_marks_before_json_are_read_over(tool: str, file: str) -> None:
    (booked,) = tried(tool, file)

    assert events(booked) == [(SCHEDULED, "rel-1")]


def test_a_cancellation_that_says_nothing_of_the_event_is_of_those_who_were_booked() -> None:
    booked, cancelled = tried("calendly", "H17_a_created.json", "H17_b_cancel_sparse.json")

    assert events(booked) == [(SCHEDULED, "rel-1")]
    assert events(cancelled) == [(CANCELLED, "rel-1")]
    assert cancelled["statements"][0]["events"][0]["time"] == "2026-11-22T08:00:00.000000Z"


@pytest.mark.parametrize("file", ["H18_one_negative_interval.json", "H25_null_leave.json"])
def test_an_interval_that_ends_before_it_begins_costs_nothing_but_itself(file: str) -> None:
    (report,) = tried("microsoft_graph", file, roster="roster_booked.jsonl")

    said = [one["said"] for one in report["statements"]]
    assert said == ["joined", "joined", "left", "left", "ended"]
    assert {subject for _, subject in events(report)} == {"rel-1"}


def test_who_joined_did_so_when_zoom_says_it_and_not_when_it_told_it() -> None:
    (joined,) = tried("zoom", "H20_joined_date_time.json", roster="roster_booked.jsonl")

    (said,) = joined["statements"]
    assert said["time"] == "2026-11-25T10:00:00+00:00"


def test_of_what_people_chat_nothing_is_kept() -> None:
    (chat,) = tried("zoom", "H26_chat_not_used.json")

    assert (chat["outcome"], chat["reason"]) == ("ignored", "event_not_used")
    assert {"payload", "event_ts"} <= set(chat["cut"])
