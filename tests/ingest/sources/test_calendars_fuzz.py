"""Arbitrary calendar payloads, verified or not, are translated or rejected; nothing raises."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.verdict import Rejected
from services.ingest.sources.google_calendar import TOOL as GOOGLE
from services.ingest.sources.microsoft_graph.tool import TOOL as GRAPH
from services.ingest.sources.tool import Received, Tool
from tests.ingest.sources import test_google_calendar_events as google
from tests.ingest.sources import test_google_calendar_pushes as pushes
from tests.ingest.sources import test_microsoft_graph_events as events
from tests.ingest.sources import test_microsoft_graph_notifications as notifications
from tests.ingest.sources import test_microsoft_graph_reports as reports
from tests.ingest.sources.mutation import mutated, translated

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
GOOGLE_SAMPLES = (
    google.event(),
    google.event(status="cancelled"),
    google.event(start={"date": "2026-03-05"}, end={"date": "2026-03-06"}),
    {"items": [google.event(), google.event(id="b")], "nextSyncToken": "s"},
    {"x-goog-resource-state": "exists", "x-goog-resource-uri": pushes.URI},
)
GRAPH_SAMPLES = (
    events.event(),
    events.event(isCancelled=True),
    {"id": "a", "@removed": {"reason": "deleted"}, "lastModifiedDateTime": "2026-03-01T08:00:00Z"},
    {"value": [events.event(id="m", type="seriesMaster"), {"id": "o", "type": "occurrence", "seriesMasterId": "m"}]},
    {"value": [notifications.notification(), notifications.lifecycle("missed")]},
    notifications.notification(),
    reports.report(reports.record((1, 10), (20, 30)), reports.record((None, 5))),
)


def _is_dealt_with(tool: Tool, value: object) -> None:
    translated(tool, value, tool.settings())
    body = json.dumps(value).encode()
    received = Received({}, body)
    tool.verify(received, "secret", NOW)
    split = tool.split(received, tool.settings(), NOW)
    if isinstance(split, Rejected):
        return
    for payload in split.payloads:
        parsed = tool.parse(payload, split.media_type)
        if not isinstance(parsed, Rejected):
            assert translated(tool, parsed.value, tool.settings())
            assert tool.split(Received({}, payload), tool.settings(), NOW) == type(split)((payload,))


@given(mutated(GOOGLE_SAMPLES))
def test_whatever_google_sends_gets_a_verdict(value: Any) -> None:  # noqa: ANN401
    _is_dealt_with(GOOGLE, value)


@given(mutated(GRAPH_SAMPLES))
def test_whatever_microsoft_sends_gets_a_verdict(value: Any) -> None:  # noqa: ANN401
    _is_dealt_with(GRAPH, value)


@given(st.binary(), st.dictionaries(st.text(max_size=8), st.text(max_size=8)))
def test_whatever_bytes_come_get_a_verdict(body: bytes, query: dict[str, str]) -> None:
    for tool in (GOOGLE, GRAPH):
        received = Received(query, body, query)
        tool.verify(received, "secret", NOW)
        tool.split(received, tool.settings(), NOW)
