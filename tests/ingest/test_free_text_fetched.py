"""Free text in resources that are fetched from a tool's API is on no topic and in no line of the logs."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.topics import RAW_TOOLS, SYNC_TOKENS
from services.ingest.flow.tools.fetched_resources import FetchedResources
from services.ingest.sources.google_calendar import TOOL as GOOGLE
from services.ingest.sources.google_calendar import GoogleCalendarSettings
from services.ingest.sources.microsoft_graph.tool import TOOL as GRAPH
from services.ingest.sources.microsoft_graph.tool import MicrosoftGraphSettings
from services.runtime.settings import Settings
from tests.ingest.conftest import Log
from tests.ingest.fetching import following
from tests.ingest.marking import MARKER, at_once, in_turn, is_marked
from tests.ingest.vendor_apis import Reply, Vendors, vendor_apis
from tests.ingest.vendor_examples import google_calendar, microsoft_graph

CALENDAR = "p-ada@example.com"
FOLLOWED: dict[str, tuple[str, str]] = {
    "google": (CALENDAR, "calendars/p-ada%40example.com/events"),
    "graph": (f"users/{CALENDAR}/calendarView", f"users/{CALENDAR}/calendarView"),
}


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with vendor_apis() as running:
        running.page = 100
        yield running


def written(value: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [marked for _, marked in (*in_turn(value), *at_once(value))]


@pytest.mark.parametrize("tool", FOLLOWED)
def test_what_is_fetched_is_kept_as_what_is_pushed(broker: Settings, vendors: Vendors, tool: str) -> None:
    key, pointed = FOLLOWED[tool]
    event = google_calendar.EVENT if tool == "google" else microsoft_graph.EVENT
    given = (
        (GOOGLE, GoogleCalendarSettings(api_url=vendors.google))
        if tool == "google"
        else (GRAPH, MicrosoftGraphSettings(api_url=vendors.graph))
    )
    vendors.write(key, *written(event))
    logs = [Log(broker, topic.name) for topic in (*RAW_TOOLS, SYNC_TOKENS)]

    with capture_logs() as lines, following(broker, *given) as connected:
        found = connected.follow(pointed)

    assert isinstance(found, FetchedResources)
    assert found.resources
    records = [record for log in logs for record in log.records()]
    assert len(records) > found.resources
    assert not any(is_marked(repr((one.key, one.value, one.headers)).encode()) for one in records)
    assert not is_marked(repr(lines).encode())


@pytest.mark.parametrize("token", [MARKER, f"{MARKER}/x", "x" * 5_000])
def test_a_sync_token_that_is_none_is_not_stored(broker: Settings, vendors: Vendors, token: str) -> None:
    vendors.write(CALENDAR)
    vendors.scripted.append(Reply(200, {"items": [google_calendar.EVENT], "nextSyncToken": token}))
    log = Log(broker, SYNC_TOKENS.name)

    with following(broker, GOOGLE, GoogleCalendarSettings(api_url=vendors.google)) as connected:
        found = connected.follow(FOLLOWED["google"][1])

    assert found == FetchedResources(1)
    assert log.growth() == 0
