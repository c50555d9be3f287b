"""One system on the log's own clock, which goes on from journey to journey: events in and alerts out, a fact that comes
late, a programme's profiles. Each has relationships of its own, and a later time."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.data_folder import ClockMode
from deploy.local.demo.progress import wait_until_caught_up
from deploy.local.stack import CommandFailedError
from tests.conftest import WithTables
from tests.journeys.system import System, clock_reached, event, system
from tests.receiver import eventually

DAY = timedelta(days=1)
BEGIN = datetime(2024, 3, 4, 9, tzinfo=UTC)
END = BEGIN + 120 * DAY
LATE_BEGIN = END + 30 * DAY
LATE_END = LATE_BEGIN + 450 * DAY
NEWEST = "SELECT relationship_id, as_of, health FROM mentoring_mart.relationship_current ORDER BY ALL"
DAYS = "SELECT * EXCEPT (version) FROM mentoring.program_daily FINAL ORDER BY ALL"
PROFILE_BEGIN = datetime(2026, 1, 5, 10, tzinfo=UTC)
CHANGE = PROFILE_BEGIN + timedelta(days=20, hours=3)
PROFILE_END = PROFILE_BEGIN + 40 * DAY
OWN = {"weights": {"growth": 10, "expectations": 5}, "cadence_days": 7}
ROWS = """
SELECT profile, min(as_of), groupUniqArrayArray(mapKeys(factors)), has(groupUniqArrayArray(causes), 'profile.changed')
FROM mentoring.score_history FINAL WHERE relationship_id = {relationship:String} GROUP BY profile ORDER BY min(as_of)
"""


@pytest.fixture(scope="module")
def whole(with_tables: WithTables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    data = tmp_path_factory.mktemp("journey")
    with_tables(data / "clickhouse")
    with system(data, ClockMode.LOG) as running:
        yield running


def test_missed_sessions_and_silence_reach_a_person_with_their_reasons(whole: System) -> None:
    token = whole.token("acme", "/test")
    sent = sorted([*_stood_up(), *_gone_silent(), *_going_well()], key=lambda one: one["time"])

    answer = whole.post(token, sent)
    reached = whole.post(token, [clock_reached(END)])

    assert answer.status_code == 202, answer.text
    assert reached.status_code == 202, reached.text
    eventually(lambda: "disengaging" in _rules(whole, "silent"), what="the alert of silence")
    eventually(lambda: "health_low" in _rules(whole, "stood-up"), what="the alert of missed sessions")
    assert not _rules(whole, "well"), "nobody is told of a relationship that goes well"
    for call in whole.receiver.calls:
        told = call.verified()["data"]
        assert told["summary"]
        assert told["reasons"]


def test_every_event_is_one_row_and_every_score_is_the_truth(whole: System) -> None:
    sent = len([*_stood_up(), *_gone_silent(), *_going_well()])

    eventually(lambda: whole.ask("SELECT count() FROM mentoring.events FINAL") == [[sent]], what="all rows")

    assert whole.verify().strip().endswith("equal")
    assert whole.ask("SELECT count() FROM mentoring.dead_letter") == [[0]]
    last = whole.ask("SELECT max(as_of) FROM mentoring_mart.scores WHERE relationship_id = 'silent'")
    assert last == [["2024-07-02 00:00:00.000000"]], "silence is scored up to the last midnight before the clock"


def test_program_daily_holds_what_the_scores_say(whole: System) -> None:
    recounted = """
        SELECT toString(toDate(as_of)) AS day, count() AS pairs, round(avg(health), 3)
        FROM (SELECT relationship_id, max(as_of) AS as_of, argMax(health, s.as_of) AS health
              FROM mentoring_mart.scores AS s WHERE program_id = 'journey' GROUP BY relationship_id, toDate(s.as_of))
        GROUP BY day ORDER BY day"""
    stored = (
        "SELECT toString(day), relationships FROM mentoring_mart.program_day WHERE program_id = 'journey' ORDER BY day"
    )

    def agree() -> bool:
        return [row[:2] for row in whole.ask(recounted)] == [row for row in whole.ask(stored) if row[1]]

    eventually(agree, what="program_daily")


def _rules(whole: System, relationship: str) -> set[str]:
    return {call.data["rule"] for call in whole.receiver.of(relationship)}


def _stood_up() -> list[dict[str, Any]]:
    """They write to each other every week, met four times, and then one side never comes."""
    out = [event("stood-up", "relationship.started", BEGIN, mentors=["m1"], mentees=["n1"], cadence_days=7)]
    for week in range(16):
        day = BEGIN + week * 7 * DAY
        out += [event("stood-up", "message.sent", day + DAY, channel="chat", by=side) for side in ("mentor", "mentee")]
        session = {"session_id": f"s{week}", "evidence": "observed"}
        if week < 4:
            out.append(event("stood-up", "session.held", day, started_at=day.isoformat(), **session))
        else:
            out.append(event("stood-up", "session.missed", day, absent="mentor", **session))
    return out


def _gone_silent() -> list[dict[str, Any]]:
    """Ten weekly sessions, and then nothing more."""
    out = [event("silent", "relationship.started", BEGIN, mentors=["m2"], mentees=["n2"], cadence_days=7)]
    return out + [_session("silent", BEGIN + week * 7 * DAY) for week in range(10)]


def _going_well() -> list[dict[str, Any]]:
    out = [event("well", "relationship.started", BEGIN, mentors=["m3"], mentees=["n3"], cadence_days=7)]
    return out + [_session("well", BEGIN + week * 7 * DAY) for week in range(17)]


def _session(relationship: str, time: datetime) -> dict[str, Any]:
    started = (time - timedelta(hours=1)).isoformat()
    return event(relationship, "session.held", time, session_id=f"{time:%j}", started_at=started, minutes=60)


def test_a_late_fact_is_healed_and_a_replay_finds_nothing_to_change(whole: System) -> None:
    token, started = whole.token("acme", "/test"), {"mentors": ["a"], "mentees": ["b"]}
    told = [event(name, "relationship.started", LATE_BEGIN, **started) for name in ("one", "two")]
    told += [held(name, week) for week in range(60) for name in ("one", "two")]
    told += [clock_reached(LATE_END - timedelta(days=1)), held("one", 2, days=3), clock_reached(LATE_END)]
    whole.post(token, told).raise_for_status()
    wait_until_caught_up(LATE_END.timestamp(), whole.stack.environment, lambda _: None)
    assert "stale  1 left out, they need a heal: acme/one" in whole.verify()

    healed = document(whole.stack.run("scoring", "heal", "--json"))

    assert healed["healed"]["acme/one"]["told"] > 200
    assert (list(healed["healed"]), healed["left"]) == (["acme/one"], [])
    verdict = whole.verify()
    assert "stale" not in verdict
    assert verdict.splitlines()[-1] == "equal"
    assert whole.stack.run("scoring", "heal", "acme/one").splitlines()[-1] == "0 healed"
    with pytest.raises(CommandFailedError, match="there is no relationship acme/three"):
        whole.stack.run("scoring", "heal", "acme/three")

    rehearsed = document(whole.stack.run("scoring", "replay", "--dry-run", "--processes", "1", "--json"))
    # What is derived from the healed rows is there: the service comes to that seconds later.
    whole.stack.run("warehouse", "recompute")
    newest, days = whole.ask(NEWEST), whole.ask(DAYS)
    replayed = document(whole.stack.run("scoring", "replay", "--json"))

    assert f"truth  {rehearsed['hash']}  {rehearsed['rows']} rows" in verdict
    assert {name: replayed[f"rows_{name}"] for name in ("as_before", "changed", "gone", "new")} == {
        "as_before": rehearsed["rows"],
        "changed": 0,
        "gone": 0,
        "new": 0,
    }
    assert replayed["table_from_before"] == "dropped"
    assert whole.verify() == verdict
    assert (whole.ask(NEWEST), whole.ask(DAYS)) == (newest, days)


def document(said: str) -> dict[str, Any]:
    """The JSON behind the lines of progress."""
    found: dict[str, Any] = json.loads(said[said.index("{") :])
    return found


def held(relationship: str, week: int, days: float = 0) -> dict[str, object]:
    at = LATE_BEGIN + timedelta(days=7 * week + days)
    return event(
        relationship, "session.held", at, session_id=f"{relationship}-{week}-{days}", started_at=at.isoformat()
    )


def test_a_profile_changes_scores_from_when_it_begins_and_a_late_description_is_no_silent_error(
    whole: System, tmp_path: Path
) -> None:
    first, later = {"version": "default-1"}, {"version": "spring-2", "effective_from": CHANGE.isoformat(), **OWN}
    hasty = {"version": "spring-3", "effective_from": PROFILE_END.isoformat()}
    apply(whole, tmp_path, "described", [first, later])
    token = whole.token("acme", "/test")
    sent = [*history("own", "described"), *history("theirs", "other"), clock_reached(PROFILE_END)]
    whole.post(token, sorted(sent, key=lambda e: str(e["time"]))).raise_for_status()
    wait_until_caught_up(PROFILE_END.timestamp(), whole.stack.environment, lambda _: None)

    default, own = whole.ask(ROWS, relationship="own")

    assert (default[0], own[0], own[3]) == ("default-1", "spring-2", True)
    assert datetime.fromisoformat(f"{own[1]}Z") == CHANGE
    assert {"growth", "expectations"} <= set(own[2]) - set(default[2])
    assert "equal" in whole.verify()

    with pytest.raises(CommandFailedError, match=r"at least 1 hour from the end of the log, at 2026-02-14T11:00"):
        apply(whole, tmp_path, "described", [first, later, hasty])
    said = apply(whole, tmp_path, "other", [{"version": "other-1", **OWN}])
    eventually(lambda: "stale" in whole.verify(), what="the profile on all partitions")
    verdict = whole.verify()

    assert "acme/other: applied; scores of it that are out already were made by the defaults" in said
    assert "stale  1 left out, they need a heal: acme/theirs" in verdict
    assert verdict.splitlines()[-1] == "equal"


def history(relationship: str, program: str) -> list[dict[str, Any]]:
    """A session a week and what the growth factors look at."""
    told = [event(relationship, "relationship.started", PROFILE_BEGIN, mentors=["a"], mentees=["b"])]
    for week in range(5):
        at = PROFILE_BEGIN + timedelta(days=7 * week + 1)
        told.append(
            event(relationship, "session.held", at, session_id=f"{relationship}-{week}", started_at=at.isoformat())
        )
        told.append(event(relationship, "reflection.recorded", at, by="mentee"))
    return [{**one, "program": program} for one in told]


def apply(whole: System, folder: Path, program: str, profiles: Sequence[object]) -> str:
    file = folder / "programme.json"
    file.write_text(json.dumps({"id": program, "tenant": "acme", "profiles": profiles}))
    return whole.stack.run("programs", "apply", str(file))


def test_no_service_logged_an_error(whole: System) -> None:
    logs = {file.name: file.read_text() for file in whole.stack.logs.glob("*.log")}

    errors = [line for text in logs.values() for line in text.splitlines() if '"level": "error"' in line]

    assert {"ingest.log", "scoring.log", "warehouse.log", "notify.log"} <= logs.keys()
    assert errors == []
