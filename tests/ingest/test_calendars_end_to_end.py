"""Calendar notifications, end to end: from the notification over the vendor's API to sessions of the right pair."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from schemas.topics import EVENTS, REJECTED
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import Gateway, Log, make_token, running_gateway
from tests.ingest.sources import test_google_calendar_events as google
from tests.ingest.sources import test_microsoft_graph_events as graph
from tests.ingest.sources.test_microsoft_graph_notifications import notification
from tests.ingest.sources.test_microsoft_graph_reports import record, report
from tests.ingest.tooling import Pair, make_pair, of, url
from tests.ingest.vendor_apis import TOKEN, Vendors, vendor_apis
from tests.receiver import eventually

GOOGLE, GRAPH = "google_acme", "graph_acme"
SECRETS = {GOOGLE: "token-of-the-channel", GRAPH: "state-of-the-subscription"}
CALENDAR = "c-1@group.calendar.example.com"
VIEW = "users/u-1/calendarView"


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with vendor_apis() as running:
        yield running


@pytest.fixture(scope="module")
def file(vendors: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("connections")
    tools = {GOOGLE: ("google_calendar", vendors.google), GRAPH: ("microsoft_graph", vendors.graph)}
    (folder / "api_token").write_text(TOKEN)
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    entries = [
        {
            "id": name,
            "tool": tool,
            "tenant": "acme",
            "secret_file": name,
            "api_token_file": "api_token",
            "settings": {"api_url": address},
        }
        for name, (tool, address) in tools.items()
    ]
    path = folder / "connections.yaml"
    path.write_text(yaml.safe_dump({"connections": entries}))
    return path


@contextmanager
def gateway(broker: Settings, file: Path) -> Iterator[Gateway]:
    parts = ("projector", "tools", "attendance")
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file, ingest_parts=parts) as running:
        yield running


def pushed(running: Gateway) -> httpx.Response:
    headers = {
        "x-goog-channel-id": "channel-1",
        "x-goog-channel-token": SECRETS[GOOGLE],
        "x-goog-resource-state": "exists",
        "x-goog-resource-uri": f"https://www.googleapis.com/calendar/v3/calendars/{CALENDAR}/events?alt=json",
    }
    return plain_http.post(url(running, "google_calendar", GOOGLE), headers=headers, timeout=30)


def notified(running: Gateway, *notifications: dict[str, Any]) -> httpx.Response:
    body = {"value": [one | {"clientState": SECRETS[GRAPH]} for one in notifications]}
    return plain_http.post(url(running, "microsoft_graph", GRAPH), json=body, timeout=30)


def between(pair: Pair, name: str, updated: str, **changes: object) -> dict[str, Any]:
    attendees = [google.guest(pair.mentor), google.guest(pair.mentee)]
    names = {"id": name, "iCalUID": f"{name}@google.com"}
    return google.event(**names, updated=updated, organizer={"email": pair.mentor}, attendees=attendees, **changes)


def types(pair: Pair, log: Log) -> list[str]:
    return [told["type"].removeprefix("mentoring.").removesuffix(".v1") for told in of(pair, log)]


def test_a_booking_of_google_is_scheduled_moved_and_cancelled_across_a_restart_and_a_lost_push(
    broker: Settings, vendors: Vendors, file: Path
) -> None:
    pair, log = make_pair(broker), Log(broker, EVENTS.name)
    later = {"dateTime": "2026-03-06T10:00:00+01:00"}, {"dateTime": "2026-03-06T11:00:00+01:00"}
    moved = between(pair, "a", "2026-02-28T10:00:00Z", start=later[0], end=later[1])

    with gateway(broker, file) as first:
        vendors.write(CALENDAR, between(pair, "a", "2026-02-27T10:00:00Z"))
        assert pushed(first).status_code == 202
        eventually(lambda: types(pair, log) == ["session.scheduled"])
        # Of this one no push ever comes.
        vendors.write(CALENDAR, moved)
    with gateway(broker, file) as second:
        vendors.write(CALENDAR, between(pair, "b", "2026-02-28T11:00:00Z"))
        pushed(second)
        eventually(lambda: len(types(pair, log)) == 3)
        vendors.write(CALENDAR, {"id": "a", "status": "cancelled", "updated": "2026-03-01T10:00:00Z"})
        pushed(second)
        eventually(lambda: len(types(pair, log)) == 4)

    told = of(pair, log)
    assert types(pair, log) == ["session.scheduled", "session.rescheduled", "session.scheduled", "session.cancelled"]
    assert told[0]["data"]["session_id"] == told[1]["data"]["session_id"] == told[3]["data"]["session_id"]
    assert told[1]["data"]["starts_at"] == "2026-03-06T09:00:00.000000Z"
    assert told[3]["data"]["notice_hours"] == pytest.approx(119)
    assert "@" not in json.dumps(told)


def test_a_notification_of_graph_brings_what_is_booked_and_who_was_there(
    broker: Settings, vendors: Vendors, file: Path
) -> None:
    pair, log, kept = make_pair(broker), Log(broker, EVENTS.name), Log(broker, REJECTED.name)
    meeting = "users/u-1/onlineMeetings/m-1"
    organizer = {"emailAddress": {"address": pair.mentor}}
    vendors.write(VIEW, graph.event(id="e-1", organizer=organizer, attendees=[graph.guest(pair.mentee)]))
    there = [record((0, 60), emailAddress=address, identity=None) for address in (pair.mentor, pair.mentee)]
    vendors.resources[f"{meeting}/attendanceReports"] = [{"id": "r-1"}]
    vendors.resources[f"{meeting}/attendanceReports/r-1"] = report(*there, id="r-1")

    with gateway(broker, file) as running:
        target = url(running, "microsoft_graph", GRAPH)
        shaken = plain_http.post(f"{target}?validationToken=Validation%3A+a%20token", timeout=30)
        forged = plain_http.post(target, json={"value": [notification()]}, timeout=30)
        booked = notification(resource="users/u-1/events/e-1")
        answer = notified(running, booked, booked, notification(resource=f"{meeting}/transcripts/t-1"))
        eventually(lambda: "session.held" in types(pair, log))

    assert (shaken.status_code, shaken.text) == (200, "Validation: a token")
    assert shaken.headers["content-type"].startswith("text/plain")
    assert (forged.status_code, answer.status_code) == (401, 202)
    found = types(pair, log)
    assert (found[0], found.count("session.joined"), found.count("session.left")) == ("session.scheduled", 2, 2)
    assert kept.records() == []
    assert "@" not in json.dumps(of(pair, log))


def test_a_tool_that_refuses_us_leaves_the_notification_in_quarantine(
    broker: Settings, vendors: Vendors, file: Path
) -> None:
    kept = Log(broker, REJECTED.name)
    vendors.write("users/u-2/calendarView")
    vendors.token = "another"

    with gateway(broker, file) as running:
        try:
            notified(running, notification(resource="users/u-2/events/e-1"))
            eventually(kept.growth)
        finally:
            vendors.token = TOKEN

    (rejected,) = kept.records()
    headers = dict(rejected.headers)
    assert headers["reason"] == b"forbidden"
    assert GRAPH.encode() in headers["detail"]
    assert SECRETS[GRAPH].encode() not in (rejected.value or b"")
