"""From the cells of a row to its messages."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted
from services.ingest.importing.cell_formats import CellFormats
from services.ingest.importing.entry import ImportEntry
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.row import IS_A_NAME, RowContext, RowDefaults, TableRow
from services.ingest.importing.table import Header, row_converter
from services.ingest.sources.tables import Line

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFAULTS = RowContext(RowDefaults("urn:csv", "onboarding", "Europe/Berlin"), saved_at="2026-02-01T00:00:00.000000Z")
SCOPE = Scope("acme", frozenset({"urn:csv"}))


def admitted_events(kind: str, /, **cells: str) -> list[dict[str, Any]]:
    """What the row says, all of which is admitted."""
    row = TableRow(cells, DEFAULTS)
    messages = [dict(message) for message in KINDS[kind].messages_of(row)]
    assert row.problems == []
    for message in messages:
        assert isinstance(admit(json.loads(json.dumps(message)), SCOPE, Clock(NOW)), Admitted), message
    return messages


def faults(kind: str, /, **cells: str) -> dict[str, str]:
    row = TableRow(cells)
    KINDS[kind].messages_of(row)
    return {problem.path: problem.reason for problem in row.problems}


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"].removeprefix("mentoring.").removesuffix(".v1") for message in messages]


PAIR = {"relationship": "rel-1", "started_at": "2026-01-05", "mentors": "p-ada", "mentees": "p-ben"}


def test_a_relationship_starts_at_the_begin_of_a_day() -> None:
    (start,) = admitted_events(
        "relationships", **PAIR, kind="group", cadence_days="7.5", planned_end="2026-12-31", cohort="c-1"
    )

    assert (start["time"], start["subject"], start["program"]) == ("2026-01-04T23:00:00.000000Z", "rel-1", "onboarding")
    assert start["data"] == {
        "by": "admin",
        "evidence": "admin",
        "mentors": ["p-ada"],
        "mentees": ["p-ben"],
        "kind": "group",
        "cadence_days": 7.5,
        "planned_end": "2026-12-31",
        "cohort": "c-1",
    }


@pytest.mark.parametrize("written", ["p-1|p-2", "p-1;p-2", "p-1\r\np-2", " p-1 | p-2 ", "p-1 ;\np-2"])
def test_several_people_are_separated_by_what_stands_in_no_name(written: str) -> None:
    (start,) = admitted_events("relationships", **PAIR | {"mentees": written})

    assert start["data"]["mentees"] == ["p-1", "p-2"]


@pytest.mark.parametrize("written", ["Ben Example", "Example, Ben", "p-1 | Ben Example", "p-1, p-2", "p-1 p-2"])
def test_a_name_is_never_two_people(written: str) -> None:
    assert faults("relationships", **PAIR | {"mentees": written})["mentees"].endswith(IS_A_NAME)


def test_people_are_named_by_address() -> None:
    directory = {"ann@example.com": "p-ann", "ben@example.com": "p-ben"}
    cells = PAIR | {"mentors": "Ann Example <ann@example.com>", "mentees": "ben@example.com|p-cat"}
    row = TableRow(cells, replace(DEFAULTS, resolve_address=directory.__getitem__))

    (start,) = KINDS["relationships"].messages_of(row)

    assert (row.problems, start["data"]["mentors"], start["data"]["mentees"]) == ([], ["p-ann"], ["p-ben", "p-cat"])  # type: ignore[index]
    assert "the directory is not known here" in faults("relationships", **cells)["mentors"]


def test_a_pair_has_one_coordinator() -> None:
    assert "names several people" in faults("relationships", **PAIR, coordinator="p-1|p-2")["coordinator"]


def test_a_future_meeting_was_booked_when_the_table_was_written_at_the_latest() -> None:
    (ahead,) = admitted_events("sessions", **MET, status="scheduled", minutes="30")
    (past,) = admitted_events("sessions", **MET | {"starts_at": "2026-01-15 10:00"}, status="scheduled", minutes="30")

    assert ahead["time"] == DEFAULTS.saved_at
    assert past["time"] == past["data"]["starts_at"] == "2026-01-15T09:00:00.000000Z"


def test_progress_may_be_written_with_its_sign() -> None:
    goal = {"relationship": "rel-1", "goal_id": "g-1", "at": "2026-03-02", "change": "progressed"}

    assert admitted_events("goals", **goal, percent="40 %")[0]["data"]["percent"] == 40


def test_a_relationship_that_has_ended_is_two_events() -> None:
    start, end = admitted_events(
        "relationships", **PAIR, ended_at="2026-05-01T10:00Z", end_planned="no", end_reason="moved"
    )

    assert kinds([start, end]) == ["relationship.started", "relationship.ended"]
    assert end["data"] == {
        "by": "admin",
        "evidence": "admin",
        "planned": False,
        "reason_code": "moved",
        "initiated_by": "admin",
    }


MET = {"relationship": "rel-1", "starts_at": "2026-03-02 10:00"}


def test_a_held_session_happened_when_it_was_over() -> None:
    (by_minutes,) = admitted_events("sessions", **MET, status="held", minutes="45", session_id="s-1")
    (by_end,) = admitted_events("sessions", **MET, status="Held", ends_at="2026-03-02 10:45", session_id="s-1")
    (open_end,) = admitted_events("sessions", **MET, status="held", evidence="calendar")

    assert by_minutes["time"] == by_end["time"] == "2026-03-02T09:45:00.000000Z"
    assert by_minutes["data"]["minutes"] == by_end["data"]["minutes"] == 45
    assert open_end["time"] == open_end["data"]["started_at"] == "2026-03-02T09:00:00.000000Z"
    assert by_minutes["id"] == by_end["id"] != open_end["id"]


def test_the_life_cycle_of_a_session_is_in_order() -> None:
    booked = {**MET, "booked_at": "2026-02-20 09:00", "minutes": "30", "session_id": "s-1"}

    assert kinds(admitted_events("sessions", **booked, status="held")) == ["session.scheduled", "session.held"]
    assert kinds(admitted_events("sessions", **booked, status="missed", absent="Mentee")) == [
        "session.scheduled",
        "session.missed",
    ]
    assert kinds(admitted_events("sessions", **booked, status="scheduled")) == ["session.scheduled"]
    _, cancelled = admitted_events(
        "sessions", **booked, status="cancelled", cancelled_at="2026-03-01 22:00", by="mentor"
    )
    assert cancelled["data"] == {"by": "mentor", "session_id": "s-1", "notice_hours": 12.0}


def test_a_session_cancelled_after_its_begin_had_no_notice() -> None:
    (cancelled,) = admitted_events("sessions", **MET, status="cancelled", cancelled_at="2026-03-02 12:00")

    assert cancelled["data"]["notice_hours"] == 0


def test_goals_change_one_row_at_a_time() -> None:
    smart = dict.fromkeys(("specific", "measurable", "achievable", "relevant", "time_bound"), "yes")
    goal = {"relationship": "rel-1", "goal_id": "g-1", "at": "2026-03-02"}

    changes = [
        *admitted_events("goals", **goal, **smart, change="set", due="2026-09-01", by="mentee"),
        *admitted_events("goals", **goal, change="progressed", percent="40"),
        *admitted_events("goals", **goal, change="achieved"),
    ]

    assert kinds(changes) == ["goal.set", "goal.progressed", "goal.achieved"]
    assert changes[0]["data"]["smart"] == dict.fromkeys(smart, True)
    assert changes[0]["data"]["due"] == "2026-09-01"
    assert changes[1]["data"] == {"goal_id": "g-1", "percent": 40}


def test_feedback_keeps_its_scale() -> None:
    (given,) = admitted_events(
        "feedback", relationship="rel-1", by="mentee", at="2026-03-02", rating="7", scale_min="0", scale_max="10"
    )

    assert given["data"] == {"by": "mentee", "about": "relationship", "rating": 7, "scale_min": 0, "scale_max": 10}


def test_people_go_to_the_directory() -> None:
    row = TableRow(
        {
            "participant": "p-ada",
            "name": "Ada",
            "consent": "Yes",
            "addresses": "ada@example.com ada@example.org",
            "identities": "slack:U1|zoom:abc",
            "status": "leave",
        },
        DEFAULTS,
    )

    (said,) = KINDS["directory"].messages_of(row)

    person = read_participant(dict(said), "acme", NOW)
    assert isinstance(person, Participant)
    assert (person.time_zone, person.status, person.consent) == ("Europe/Berlin", "leave", True)
    assert [(one.tool, one.id) for one in person.identities] == [("slack", "U1"), ("zoom", "abc")]
    assert person.addresses == ("ada@example.com", "ada@example.org")


def test_a_repeat_is_the_same_event_however_its_time_is_written() -> None:
    (local,), (utc,) = (
        admitted_events("sessions", **MET, status="held"),
        admitted_events(
            "sessions", relationship="rel-1", starts_at="2026-03-02T09:00:00Z", status="held", program="other"
        ),
    )

    assert local["id"] == utc["id"]
    assert local["data"]["session_id"] == utc["data"]["session_id"]


@pytest.mark.parametrize(
    ("kind", "cells", "column", "words"),
    [
        ("relationships", PAIR, "started_at", "has no time zone"),
        ("relationships", PAIR, "program", "names no --program"),
        ("relationships", PAIR, "source", "names no --source"),
        ("relationships", PAIR | {"relationship": " "}, "relationship", "is empty"),
        ("relationships", PAIR | {"time_zone": "Mars/Base"}, "started_at", "is no IANA time zone"),
        ("relationships", PAIR | {"cadence_days": "1,5"}, "cadence_days", "'1,5' is no number: write it like 4.5"),
        ("relationships", PAIR | {"cadence_days": "9" * 400}, "cadence_days", "is no number"),
        ("relationships", PAIR | {"end_reason": "moved"}, "ended_at", "is empty"),
        ("relationships", PAIR | {"ended_at": "2026-05-01T10:00Z"}, "end_planned", "yes or no"),
        ("sessions", MET | {"status": "happened"}, "status", "is none of held, missed"),
        ("sessions", MET | {"status": "held", "starts_at": "2026-03-02"}, "starts_at", "names no time of day"),
        ("sessions", {"status": "held", "starts_at": "soon", "relationship": "r"}, "starts_at", "is no time"),
        ("goals", {"change": "dropped"}, "change", "is none of set"),
        ("goals", {"change": "progressed"}, "percent", "is empty"),
        ("goals", {"change": "set", "specific": "yes"}, "relevant", "give all five flags, or none"),
        ("goals", {"change": "set", "specific": "maybe"}, "specific", "is neither yes nor no"),
        ("feedback", {"rating": "good"}, "rating", "is no number"),
        ("directory", {"identities": "U1"}, "identities", "is not written tool:id"),
        ("directory", {}, "time_zone", "names no --time-zone"),
        ("directory", {"consent": ""}, "consent", "is empty"),
    ],
)
def test_a_fault_names_its_column(kind: str, cells: dict[str, str], column: str, words: str) -> None:
    assert words in faults(kind, **cells)[column]


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"booked_at": "2026-02-20 09:00", "status": "scheduled"}, "ends_at"),
        ({"status": "scheduled"}, "ends_at"),
        ({"status": "missed"}, "absent"),
        ({"status": "cancelled"}, "cancelled_at"),
        ({"status": "held", "ends_at": "2026-03-02 09:00"}, "ends_at"),
    ],
)
def test_a_session_lacks_what_its_status_needs(cells: dict[str, str], column: str) -> None:
    row = TableRow({**MET, **cells}, DEFAULTS)

    KINDS["sessions"].messages_of(row)

    assert [problem.path for problem in row.problems] == [column]


@pytest.mark.parametrize(
    ("kind", "path", "column"),
    [
        ("relationships", "data.mentors.0", "mentors"),
        ("relationships", "subject", "relationship"),
        ("relationships", "time", "started_at"),
        ("relationships", "data.reason_code", "end_reason"),
        ("sessions", "data.started_at", "starts_at"),
        ("sessions", "data.minutes", "minutes"),
        ("sessions", "partitionkey", ""),
        ("directory", "addresses.1", "addresses"),
        ("directory", "id", "participant"),
        ("directory", "", ""),
    ],
)
def test_a_path_of_the_gateway_is_reported_as_its_column(kind: str, path: str, column: str) -> None:
    assert KINDS[kind].column(path) == column


def test_a_row_becomes_an_entry_with_its_times() -> None:
    header = Header(KINDS["sessions"], ("relationship", "status", "starts_at"), ",")

    entry = row_converter(header, DEFAULTS)(Line(7, b"rel-1,held,2026-03-02 10:00"))
    broken = row_converter(header, DEFAULTS)(Line(8, b"rel-1,held"))

    assert entry.times == ("2026-03-02T09:00:00.000000Z",)
    assert isinstance(entry, ImportEntry)
    assert MENTORING_EVENT  # the entry's messages are judged in test_kinds by the gate itself
    assert broken.refusal is not None
    assert (broken.refusal.reason, broken.messages) == ("malformed", ())


def test_what_stands_around_an_address_and_days_that_are_none_are_left_out() -> None:
    cells = {"participant": "p-ada", "name": "Ada L", "consent": "yes", "addresses": "\u200bAda L <ada@example.com>"}
    row = TableRow(cells, DEFAULTS)

    (person,) = KINDS["directory"].messages_of(row)

    assert person["addresses"] == ["ada@example.com"]
    (start,) = admitted_events("relationships", **PAIR, planned_end="0000-00-00")
    assert "planned_end" not in start["data"]
    (other,) = admitted_events("relationships", **PAIR, planned_end="2026-12-31+01:00")
    assert other["data"]["planned_end"] == "2026-12-31"


@pytest.mark.parametrize(
    ("kind", "column", "cells"),
    [
        ("relationships", "started_at", PAIR),
        ("sessions", "starts_at", {"relationship": "rel-1", "status": "held", "minutes": "4"}),
        ("goals", "at", {"relationship": "rel-1", "goal_id": "g-1", "change": "set"}),
    ],
)
def test_no_day_where_one_is_needed_is_a_fault(kind: str, column: str, cells: dict[str, str]) -> None:
    for written in ("NULL", "0000-00-00 00:00:00"):
        assert "names no day" in faults(kind, **cells | {column: written})[column]


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({"ended_at": "2025-12-31 10:00", "end_planned": "yes"}, "ended_at", "is before started_at"),
        ({"mentees": "p-ben|p-ada"}, "mentees", "names a mentor of the same row: a relationship needs two people"),
    ],
)
def test_a_pair_that_cannot_be_is_refused(changes: dict[str, str], column: str, words: str) -> None:
    assert faults("relationships", **PAIR | {"time_zone": "UTC"} | changes)[column] == words


def test_peers_may_be_mentors_and_mentees_of_each_other() -> None:
    (start,) = admitted_events(
        "relationships", **PAIR | {"kind": "peer", "mentors": "p-ada|p-ben", "mentees": "p-ada|p-ben"}
    )

    assert start["data"]["mentees"] == ["p-ada", "p-ben"]


@pytest.mark.parametrize("zone", ["W. Europe Standard Time", "europe/berlin", "Europe/Berlin"])
def test_zones_are_known_by_their_windows_names_and_in_any_case(zone: str) -> None:
    held = {"relationship": "rel-1", "status": "held", "starts_at": "2026-03-02 10:00"}
    person = {"participant": "p-ada", "name": "Ada", "consent": "yes"}

    (one,) = admitted_events("sessions", **held, time_zone=zone)
    (other,) = KINDS["directory"].messages_of(TableRow(person | {"time_zone": zone}))

    assert one["data"]["started_at"] == "2026-03-02T09:00:00.000000Z"
    assert other["time_zone"] == "Europe/Berlin"
    assert "no IANA time zone" in faults("directory", **person, time_zone="Middle Earth")["time_zone"]


def test_a_cell_that_is_read_twice_is_reported_once() -> None:
    held = {"relationship": "r", "status": "held", "starts_at": "2026-03-02T10:00:00Z", "minutes": "1:30"}
    row = TableRow(held, DEFAULTS)
    KINDS["sessions"].messages_of(row)

    assert [problem.path for problem in row.problems].count("minutes") == 1


@pytest.mark.parametrize(
    ("written", "minutes"),
    [("1:30:00", 90), ("00:45:30", 45.5), ("45 min", 45), ("45Min.", 45), ("90 Minuten", 90), ("45.5 minutes", 45.5)],
)
def test_how_long_it_took_is_also_read_as_excel_shows_it(written: str, minutes: float) -> None:
    (one,) = admitted_events(
        "sessions", relationship="rel-1", status="held", starts_at="2026-03-02 10:00", minutes=written
    )

    assert one["data"]["minutes"] == minutes


@pytest.mark.parametrize("written", ["1:30", "1:75:00", "1 h", "min", "1 day, 1:00:00"])
def test_how_long_it_took_is_not_guessed(written: str) -> None:
    held = {"relationship": "rel-1", "status": "held", "starts_at": "2026-03-02T10:00:00Z", "minutes": written}

    assert "is no number" in faults("sessions", **held, program="p", source="urn:csv")["minutes"]


@pytest.mark.parametrize("written", ["9999-12-31", "31.12.9999", "1900-01-01", "1899-12-30 00:00:00", "1900-01-00"])
def test_days_at_which_a_calendar_begins_or_ends_are_empty(written: str) -> None:
    (start,) = admitted_events("relationships", **PAIR, planned_end=written, ended_at=written)

    assert "planned_end" not in start["data"]
    held = {"relationship": "rel-1", "status": "held", "starts_at": "2026-03-02 10:00", "ends_at": written}
    assert kinds(admitted_events("sessions", **held)) == ["session.held"]


def test_null_markers_of_databases_are_empty() -> None:
    nothing = dict.fromkeys(("kind", "coordinator", "cohort", "ended_at", "end_reason", "end_planned"), "NULL")
    held = {"relationship": "rel-1", "status": "held", "starts_at": "2026-03-02 10:00", "minutes": "-"}

    (start,) = admitted_events("relationships", **PAIR | nothing | {"mentees": "p-ben|NULL"})
    (session,) = admitted_events("sessions", **held)

    assert start["data"] == {"by": "admin", "evidence": "admin", "mentors": ["p-ada"], "mentees": ["p-ben"]}
    assert "minutes" not in session["data"]


@pytest.mark.parametrize(
    ("column", "written", "words"),
    [
        ("participant", "NULL", "names no day, person or thing"),
        ("name", "(null)", "names no day, person or thing"),
        ("name", "#REF!", "formula that went wrong"),
        ("name", "=B2&C2", "is a formula"),
        ("name", "M\ufffdller", "a letter that was lost"),
        ("addresses", "[mailto:ada@example.com]", "is no address"),
        ("addresses", '=HYPERLINK("mailto:ada@example.com")', "is no address"),
        ("name", "MÃ¼ller", "in another encoding than it was written in"),
        ("status", "#N/A", "formula that went wrong"),
    ],
)
def test_nothing_is_nobody_and_an_error_is_no_name(column: str, written: str, words: str) -> None:
    person = {"participant": "p-ada", "name": "Ada", "consent": "yes", "time_zone": "UTC"} | {column: written}
    row = TableRow(person)

    KINDS["directory"].messages_of(row)

    assert any(problem.path == column and words in problem.reason for problem in row.problems)


def test_a_person_is_read_without_what_nobody_sees() -> None:
    row = TableRow(
        {
            "participant": "p-ada",
            "name": "\u202aAda\u202c\u00a0\nL\u0007",
            "consent": "t\u200b",
            "addresses": "mailto:ada@example.com; N/A",
            "time_zone": "UTC",
            "status": "act\u00adive",
        }
    )

    (person,) = KINDS["directory"].messages_of(row)

    assert row.problems == []
    assert (person["name"], person["consent"], person["status"]) == ("Ada L", True, "active")
    assert person["addresses"] == ["ada@example.com"]


def test_a_time_may_be_written_with_narrow_blanks() -> None:
    context = replace(DEFAULTS, formats=CellFormats("mm/dd/yyyy"))
    row = TableRow(
        {"relationship": "rel-1", "status": "held", "starts_at": "3/2/2026, 10:00\u202fAM", "minutes": "45\u00a0min"},
        context,
    )

    (held,) = KINDS["sessions"].messages_of(row)

    assert (held["data"]["started_at"], held["data"]["minutes"]) == ("2026-03-02T09:00:00.000000Z", 45)  # type: ignore[index]
