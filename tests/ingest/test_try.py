"""`rapport ingest try`: the result of a payload without sending it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from schemas.topics import DIRECTORY, EVENTS
from services.ingest.__main__ import main
from services.ingest.console import write
from services.runtime.settings import Settings
from tests.ingest.sources.zoom_payloads import joined, left

STARTED = {
    "specversion": "1.0",
    "type": "mentoring.relationship.started.v1",
    "source": "urn:hr",
    "id": "started",
    "time": "2026-01-05T09:00:00Z",
    "subject": "rel-1",
    "program": "leaders",
    "data": {"mentors": ["p-ada"], "mentees": ["p-ben"]},
}
PEOPLE = [
    {
        "id": f"p-{name}",
        "name": name,
        "time_zone": "UTC",
        "consent": True,
        "addresses": [f"{name}@example.com"],
    }
    for name in ("ada", "ben")
]
CONNECTIONS = """
connections:
  - {id: zoom_europe, tool: zoom, tenant: acme, program: leaders, secret_env: NOBODY_HAS_SET_THIS}
  - {id: zoom_asia, tool: zoom, tenant: acme, secret_env: NOR_THIS}
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["try", *map(str, arguments)])


def told(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def payload(folder: Path, name: str, value: object) -> Path:
    file = folder / f"{name}.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return file


def by(value: dict[str, Any], name: str) -> dict[str, Any]:
    person = value["payload"]["object"]["participant"]
    person |= {"email": f"{name}@example.com", "id": "", "participant_user_id": "", "user_id": name}
    person |= {"participant_uuid": name, "registrant_id": ""}
    return value


@pytest.fixture
def meeting(tmp_path: Path) -> list[Path]:
    """Both come, and one leaves."""
    said = {"1": by(joined(), "ada"), "2": by(joined(), "ben"), "3": by(left(), "ben")}
    return [payload(tmp_path, name, value) for name, value in said.items()]


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    file = tmp_path / "roster.jsonl"
    file.write_text("\n".join(map(json.dumps, [STARTED, *PEOPLE])) + "\n\n")
    return file


def test_without_a_roster_the_statements_are_shown(meeting: list[Path]) -> None:
    result = run("zoom", meeting[0], "--json")

    assert result.exit_code == 0, result.output
    (one,) = told(result)
    assert (one["outcome"], one["payload"]) == ("told", 1)
    (statement,) = one["statements"]
    assert (statement["said"], statement["events"]) == ("joined", [])
    assert statement["person"] == {"address": "ada@example.com"}


def test_with_a_roster_the_events_of_a_whole_meeting_are_shown(meeting: list[Path], roster: Path) -> None:
    result = run("zoom", *meeting, "--roster", roster, "--json")

    assert result.exit_code == 0, result.output
    types = [event["type"] for one in told(result) for said in one["statements"] for event in said.get("events", ())]
    assert types.count("mentoring.session.joined.v1") == 2
    assert types.count("mentoring.session.left.v1") == 1
    assert "example.com" not in "".join(
        json.dumps(event) for one in told(result) for said in one["statements"] for event in said.get("events", ())
    )


def test_the_trace_is_readable_text(meeting: list[Path], roster: Path) -> None:
    result = run("zoom", *meeting, "--roster", roster)

    assert result.exit_code == 0, result.output
    assert "  says joined" in result.stdout
    assert "    person: " in result.stdout
    assert "becomes mentoring.session.joined.v1 of rel-1" in result.stdout
    cut = next(line for line in result.stdout.splitlines() if line.startswith("  is not kept: "))
    assert "payload.object.topic, " in cut
    assert "payload.object.participant.user_name" in cut


def test_the_outcome_of_a_meeting_is_shown_when_it_is_over(meeting: list[Path], roster: Path) -> None:
    whole = run("zoom", *meeting, "--roster", roster)
    last = told(run("zoom", *meeting, "--roster", roster, "--json"))
    short = run("zoom", *meeting[:1], "--roster", roster)

    assert "when the meetings are over\n  becomes mentoring.session.held.v1 of rel-1\n" in whole.stdout
    assert [len(one["outcomes"]) for one in last] == [0, 0, 1]
    assert (last[-1]["outcomes"][0]["type"], last[-1]["undecided"]) == ("mentoring.session.held.v1", [])
    assert "when the meetings are over" not in short.stdout


def test_a_session_without_an_outcome_has_a_reason(tmp_path: Path, meeting: list[Path], roster: Path) -> None:
    at_once = by(left(), "ben")
    at_once["payload"]["object"]["participant"]["leave_time"] = joined()["payload"]["object"]["participant"][
        "join_time"
    ]

    result = run("zoom", *meeting[:2], payload(tmp_path, "at_once", at_once), "--roster", roster)

    assert " of rel-1: not_booked" in result.stdout


def test_what_is_rejected_rejects_what_comes_after_it_as_the_service_does(tmp_path: Path) -> None:
    twins = [one | {"addresses": ["ada@example.com"]} for one in PEOPLE]
    roster = tmp_path / "twins.jsonl"
    roster.write_text("\n".join(map(json.dumps, [STARTED, *twins])))
    came = {"joinDateTime": "2026-03-02T10:00:00Z", "leaveDateTime": "2026-03-02T10:30:00Z"}
    report = {
        "id": "report",
        "meetingEndDateTime": "2026-03-02T10:30:00Z",
        "attendanceRecords": [{"emailAddress": "ada@example.com", "attendanceIntervals": [came]}],
    }

    result = run("microsoft_graph", payload(tmp_path, "report", report), "--roster", roster, "--json")

    assert result.exit_code == 1
    (one,) = told(result)
    assert one["outcome"] == "rejected"
    assert [(said["outcome"], said["reason"]) for said in one["statements"]] == [
        ("rejected", "unresolved"),
        ("ignored", "after_a_rejection"),
        ("ignored", "after_a_rejection"),
    ]


def test_a_duplicate_is_reported_once_as_the_log_holds_it_once(meeting: list[Path], roster: Path) -> None:
    twice = told(run("zoom", *meeting, *meeting, "--roster", roster, "--json"))

    events = [event["id"] for one in twice for said in one["statements"] for event in said["events"]]
    assert len(events) == len(set(events)) == 3


def test_an_ignored_or_rejected_payload_has_a_reason(tmp_path: Path) -> None:
    unused = run("zoom", payload(tmp_path, "a", {"event": "meeting.unheard_of", "event_ts": 1, "payload": {}}))
    broken = run("zoom", payload(tmp_path, "b", "{broken"))
    in_json = told(run("zoom", payload(tmp_path, "c", "{broken"), "--json"))

    assert (unused.exit_code, "  ignored: " in unused.stdout) == (0, True), unused.output
    assert (broken.exit_code, "rejected: malformed: " in broken.stdout) == (1, True), broken.output
    assert (in_json[0]["outcome"], in_json[0]["reason"]) == ("rejected", "malformed")


def test_a_connection_is_tried_without_its_secrets(tmp_path: Path, meeting: list[Path], roster: Path) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(CONNECTIONS)

    chosen = run("zoom", *meeting, "--connections", file, "--connection", "zoom_europe", "--roster", roster, "--json")
    unnamed = run("zoom", *meeting, "--connections", file)
    unknown = run("slack", *meeting, "--connections", file)

    assert chosen.exit_code == 0, chosen.output
    events = [event for one in told(chosen) for said in one["statements"] for event in said.get("events", ())]
    assert {(event["tenant"], event["source"]) for event in events} == {("acme", "urn:rapport:acme:zoom:zoom_europe")}
    assert (unnamed.exit_code, "zoom_europe, zoom_asia" in unnamed.output) == (1, True)
    assert (unknown.exit_code, "there is none" in unknown.output) == (1, True)


def test_faults_of_settings_and_files_are_named(tmp_path: Path, meeting: list[Path]) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("colour: green\n")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    connections = tmp_path / "connections.yaml"
    connections.write_text("connections: [{id: x}]")

    assert "colour: is not known here" in run("zoom", meeting[0], "--settings", settings).output
    assert str(broken) in run("zoom", meeting[0], "--settings", broken).output
    assert "connections.0.tool" in run("zoom", meeting[0], "--connections", connections).output
    assert "--roster or --live" in run("zoom", meeting[0], "--live", "--roster", settings).output


def test_a_set_is_shown_in_order_by_every_process(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("Employee ID,Name,Active\np-ben,Ben,true\n")
    command = [sys.executable, "-m", "services.cli", "ingest", "try", "hr", str(people), "--json"]

    # With this seed the set itself has another order.
    shown = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "1"}, capture_output=True, check=True)

    assert json.loads(shown.stdout)["statements"][0]["unsaid"] == ["consent", "leave", "time_zone"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: malformed"),
        ("[]", "line 2: malformed"),
        (json.dumps(STARTED | {"data": {}}), "line 2: invalid: data.mentors: is required"),
        (json.dumps({"id": "p-1"}), "line 2: invalid: name: is required"),
    ],
)
def test_a_broken_roster_names_the_line(line: str, words: str, meeting: list[Path], tmp_path: Path) -> None:
    roster = tmp_path / "broken.jsonl"
    roster.write_text(f"{json.dumps(STARTED)}\n{line}\n")

    result = run("zoom", meeting[0], "--roster", roster)

    assert (result.exit_code, words in result.output) == (1, True), result.output


def test_a_live_roster_is_that_of_the_log(
    broker: Settings, meeting: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)
    tenant, recorded = f"t{uuid4().hex}", {"recordedtime": "2026-01-05T09:00:00Z"}
    people = {f"{tenant}/{one['id']}": json.dumps(one | recorded | {"tenant": tenant}).encode() for one in PEOPLE}
    gone = {f"{tenant}/p-gone": b"no participant"}
    start = STARTED | recorded | {"tenant": tenant, "partitionkey": f"{tenant}/rel-1"}
    write(broker, DIRECTORY.name, people | gone)
    write(broker, EVENTS.name, {f"{tenant}/rel-1": json.dumps(start).encode()})

    result = run("zoom", *meeting, "--live", "--tenant", tenant, "--json")

    assert result.exit_code == 0, result.output
    assert any(said.get("events") for one in told(result) for said in one["statements"])
