"""Fetching what a notification of Microsoft Graph points to: completely, once, and across restarts."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from schemas.sync_tokens import SyncToken
from schemas.topics import SYNC_TOKENS
from services.ingest.domain.activity import Booked, Cancelled
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.tools.fetched_resources import FetchedResources
from services.ingest.sources.microsoft_graph.tool import TOOL, MicrosoftGraphSettings
from services.runtime.kafka import read_to_end
from services.runtime.loop import TryLaterError
from services.runtime.settings import Settings
from tests.ingest.fetching import Following, following
from tests.ingest.sources.test_microsoft_graph_events import event, local
from tests.ingest.sources.test_microsoft_graph_reports import record, report
from tests.ingest.vendor_apis import Reply, Vendors, vendor_apis

USER = "p-ada@example.com"
VIEW, MEETING = f"users/{USER}/calendarView", f"users/{USER}/onlineMeetings/MSo1=/attendanceReports"


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with vendor_apis() as running:
        running.write(VIEW)
        yield running


@pytest.fixture
def graph(broker: Settings, vendors: Vendors) -> Iterator[Following]:
    with following(broker, TOOL, MicrosoftGraphSettings(api_url=vendors.graph)) as ready:
        yield ready


def entries(*names: str, **changes: object) -> list[dict[str, Any]]:
    return [event(id=name, **changes) for name in names]


def occurrence(name: str, master: str) -> dict[str, Any]:
    """All that a delta tells of it."""
    return {
        "@odata.etag": 'W/"1"',
        "id": name,
        "type": "occurrence",
        "seriesMasterId": master,
        "start": local(10),
        "end": local(11),
    }


def said(value: object) -> object:
    found = TOOL.translate(value, MicrosoftGraphSettings())
    return found[0] if isinstance(found, tuple) else found


def test_all_pages_come_first_and_then_only_what_changed(graph: Following, vendors: Vendors) -> None:
    vendors.write(VIEW, *entries("a", "b", "c", "d", "e"))

    assert graph.follow(VIEW) == FetchedResources(5)
    vendors.write(VIEW, {"id": "b", "@removed": {"reason": "deleted"}}, *entries("f"))
    assert graph.follow(VIEW) == FetchedResources(2)
    assert graph.follow(VIEW) == FetchedResources(0)

    assert graph.ids() == ["a", "b", "c", "d", "e", "b", "f"]
    first, *_, changed, _ = vendors.asked
    assert first.query == {"startDateTime": "2026-02-15T08:01:00.000000Z", "endDateTime": "2026-11-26T08:01:00.000000Z"}
    assert changed.query == {"$deltatoken": "0.5.0"}
    assert all('outlook.timezone="UTC"' in asked.headers["prefer"] for asked in vendors.asked)


def test_each_event_is_recorded_like_one_that_was_pushed(graph: Following, vendors: Vendors) -> None:
    vendors.write(VIEW, *entries("a"), {"id": "b", "@removed": {"reason": "deleted"}})

    graph.follow(VIEW)

    booked, removed = graph.values()
    assert not {"subject", "body"} & booked.keys()
    assert booked["organizer"]["emailAddress"].keys() == {"address"}
    assert isinstance(said(booked), Booked)
    assert removed["lastModifiedDateTime"] == "2026-03-01T08:01:00.000000Z"
    assert isinstance(said(removed), Cancelled)


def test_occurrences_of_a_series_are_complete(graph: Following, vendors: Vendors) -> None:
    master = event(id="master", type="seriesMaster")
    vendors.write(VIEW, master, occurrence("first", "master"), occurrence("second", "master"))

    graph.follow(VIEW)

    outcomes = [said(value) for value in graph.values()]
    assert outcomes[0] == Ignored("series")
    assert [len(one.people) for one in outcomes[1:] if isinstance(one, Booked)] == [2, 2]


def test_a_series_that_did_not_change_itself_is_asked_who_takes_part(graph: Following, vendors: Vendors) -> None:
    vendors.resources[f"users/{USER}/events/master="] = event(id="master=", type="seriesMaster")
    vendors.write(VIEW, occurrence("first", "master="), occurrence("second", "master="), occurrence("odd", "gone"))

    assert graph.follow(VIEW) == FetchedResources(4)

    first, second, odd, _ = [said(value) for value in graph.values()]
    assert isinstance(first, Booked)
    assert isinstance(second, Booked)
    assert isinstance(odd, Rejected)
    assert len([asked for asked in vendors.asked if asked.path.endswith("/events/master=")]) == 1


def test_a_series_that_cannot_be_asked_now_is_asked_later(graph: Following, vendors: Vendors) -> None:
    vendors.write(VIEW, occurrence("first", "master"))
    vendors.scripted.extend([None, Reply(401)])

    assert isinstance(graph.follow(VIEW), Rejected)
    assert graph.records() == []


def test_a_restart_goes_on_where_the_process_before_it_was(graph: Following, vendors: Vendors) -> None:
    vendors.write(VIEW, *entries("a"))
    graph.follow(VIEW)

    again = graph.restarted()
    vendors.write(VIEW, *entries("b"))

    assert again.follow(VIEW) == FetchedResources(1)


def test_what_is_kept_names_nobody(graph: Following, broker: Settings) -> None:
    graph.follow(VIEW)

    name = graph.connection.connection_scope.connection
    (kept,) = [r for r in read_to_end(broker, [SYNC_TOKENS.name]) if name in (r.key or b"").decode(errors="replace")]
    assert SyncToken.model_validate_json(kept.value or b"").token == "0.0.0"
    assert b"ada" not in (kept.key or b"") + (kept.value or b"")


@pytest.mark.parametrize(
    "reply",
    [
        None,
        Reply(410, {"error": {"code": "resyncRequired"}}),
        Reply(400, {"error": {"code": "syncStateInvalid"}}),
        Reply(404, {"error": {"code": "SyncStateNotFound"}}),
    ],
)
def test_a_token_that_graph_forgot_makes_everything_be_read_again(
    graph: Following, vendors: Vendors, reply: Reply | None
) -> None:
    vendors.write(VIEW, *entries("a", "b", "c"))
    graph.follow(VIEW)
    vendors.forget_tokens()
    vendors.scripted.append(reply)

    assert graph.follow(VIEW) == FetchedResources(3)
    assert graph.follow(VIEW) == FetchedResources(0)


def test_the_token_goes_nowhere_else(graph: Following, vendors: Vendors) -> None:
    for link in (
        "https://evil.example.com/v1.0/next",
        f"{vendors.url}/v2.0/next",
        f"{vendors.graph}.evil.example.com/x",
    ):
        vendors.scripted.append(Reply(200, {"value": [], "@odata.nextLink": link}))

        match graph.follow(VIEW):
            case Rejected("forbidden", (problem,)):
                assert graph.connection.connection_scope.connection in problem.reason
            case other:
                raise AssertionError(other)


def test_an_api_that_never_ends_is_left(graph: Following, vendors: Vendors) -> None:
    more = {"value": [], "@odata.nextLink": f"{vendors.graph}/users/x"}
    vendors.scripted.extend([Reply(200, more)] * 500)

    assert isinstance(graph.follow(VIEW), Rejected)
    assert len(vendors.asked) == 400


def test_an_event_of_a_group_is_asked_for_itself(graph: Following, vendors: Vendors) -> None:
    vendors.resources["groups/g-1/events/a"] = event(id="a")

    assert graph.follow("groups/g-1/events/a") == FetchedResources(1)
    assert graph.follow("groups/g-1/events/deleted") == FetchedResources(1)

    booked, removed = [said(value) for value in graph.values()]
    assert isinstance(booked, Booked)
    assert isinstance(removed, Cancelled)
    assert removed.meeting.id == "deleted"


def test_of_a_series_of_a_group_the_occurrences_are_asked_for(graph: Following, vendors: Vendors) -> None:
    vendors.resources["groups/g-1/events/m"] = event(id="m", type="seriesMaster")
    vendors.resources["groups/g-1/events/m/instances"] = entries("a", "b", "c", type="occurrence")

    assert graph.follow("groups/g-1/events/m") == FetchedResources(3)
    assert graph.ids() == ["a", "b", "c"]


def test_every_report_of_a_meeting_is_fetched_with_those_who_were_there(graph: Following, vendors: Vendors) -> None:
    reports = [report(record((1, 50)), id=name) for name in ("r1", "r2", "r3")]
    vendors.resources[MEETING] = [{"id": one["id"], "totalParticipantCount": 1} for one in reports]
    vendors.resources |= {f"{MEETING}/{one['id']}": one for one in reports[:2]}

    assert graph.follow(MEETING) == FetchedResources(2)

    assert [len(value["attendanceRecords"]) for value in graph.values()] == [1, 1]
    assert graph.values()[0]["attendanceRecords"][0]["identity"].keys() == {"id"}


def test_one_report_is_fetched_with_all_pages_of_those_who_were_there(graph: Following, vendors: Vendors) -> None:
    path = f"{MEETING}/r1/attendanceRecords"
    more = {"attendanceRecords@odata.nextLink": f"{vendors.graph}/{path}?$skip=1"}
    people = [record((1, 50), emailAddress=f"p-{name}@example.com") for name in "abcde"]
    vendors.resources[f"{MEETING}/r1"] = report(people[0], id="r1") | more
    vendors.resources[path] = people

    assert graph.follow(f"{MEETING}/r1") == FetchedResources(1)

    (value,) = graph.values()
    assert [one["emailAddress"] for one in value["attendanceRecords"]] == [one["emailAddress"] for one in people]


@pytest.mark.parametrize(
    "missing", [f"users/nobody/{kind}" for kind in ("calendarView", "onlineMeetings/m/attendanceReports")]
)
def test_what_is_gone_is_left(graph: Following, missing: str) -> None:
    assert graph.follow(missing) == Ignored("gone")


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_failure_on_the_way_to_a_report_leaves_nothing_behind(graph: Following, vendors: Vendors, times: int) -> None:
    vendors.resources[MEETING] = [{"id": "r1"}, {"id": "r2"}]
    vendors.resources |= {f"{MEETING}/{name}": report(id=name) for name in ("r1", "r2")}
    vendors.scripted.extend([None] * times + [Reply(503, {}, {"retry-after": "30"})])

    with pytest.raises(TryLaterError, match="again in 30 s"):
        graph.follow(MEETING)

    assert graph.records() == []
    assert graph.follow(MEETING) == FetchedResources(2)


def test_without_a_token_for_the_api_nothing_is_asked(graph: Following, vendors: Vendors) -> None:
    bare = replace(graph, connection=replace(graph.connection, api_token=""))

    match bare.follow(VIEW):
        case Rejected("forbidden", (problem,)):
            assert "api_token" in problem.reason
        case other:
            raise AssertionError(other)
    assert vendors.asked == []


def test_what_was_fetched_is_whole_json(graph: Following, vendors: Vendors) -> None:
    address = "jörg@exämple.org"
    vendors.write(VIEW, event(id="a/o", organizer={"emailAddress": {"address": address}}))

    graph.follow(VIEW)

    (kept,) = graph.records()
    value = json.loads(kept.value or b"")
    assert (value["id"], value["organizer"]["emailAddress"]["address"]) == ("a/o", address)
