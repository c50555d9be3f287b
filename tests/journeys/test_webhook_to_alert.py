"""The journey: events in over HTTP, alerts out at a webhook, rows in ClickHouse, through separate processes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.data_folder import Clock
from tests.journeys.system import System, clock_reached, event, system
from tests.receiver import eventually

DAY = timedelta(days=1)
BEGIN = datetime(2024, 3, 4, 9, tzinfo=UTC)
END = BEGIN + 120 * DAY


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("journey"), Clock.LOG) as running:
        yield running


def test_missed_sessions_and_silence_reach_a_person_with_their_reasons(whole: System) -> None:
    token = whole.token("acme", "/test")
    sent = sorted([*_stood_up(), *_gone_silent(), *_going_well()], key=lambda one: one["time"])

    answer = whole.post(token, sent)
    reached = whole.post(token, [clock_reached(END)])

    assert answer.status_code == 202, answer.text
    assert reached.status_code == 202, reached.text
    eventually(lambda: "disengaging" in _rules(whole, "silent"), seconds=60, what="the alert of silence")
    eventually(lambda: "health_low" in _rules(whole, "stood-up"), seconds=60, what="the alert of missed sessions")
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


def test_no_service_logged_an_error(whole: System) -> None:
    logs = {file.name: file.read_text() for file in whole.stack.logs.glob("*.log")}

    errors = [line for text in logs.values() for line in text.splitlines() if '"level": "error"' in line]

    assert {"ingest.log", "scoring.log", "warehouse.log", "notify.log"} <= logs.keys()
    assert errors == []


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
