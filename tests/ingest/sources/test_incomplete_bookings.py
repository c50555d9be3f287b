"""A later version of a booking with missing, empty or broken members cancels no session."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest

from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.sources.registry import TOOLS
from tests.ingest.people.building import kinds, known, pair, participant, say
from tests.ingest.sources.redaction import redacted_by
from tests.ingest.test_documented_cases import BASES

Step = str | int
REJOIN_GRACE = object()
BROKEN: tuple[object, ...] = (None, [], {}, "", "x", 0, True, [None], "false", REJOIN_GRACE)
LATER: Mapping[str, Mapping[str, object]] = {
    "google_calendar": {"updated": "2026-11-20T09:00:00Z"},
    "microsoft_graph": {"lastModifiedDateTime": "2026-11-20T09:00:00Z"},
    "zoom": {"event": "meeting.updated", "event_ts": 1795161700000},
    "calendly": {"created_at": "2026-11-21T08:00:00Z"},
    "calcom": {"triggerEvent": "BOOKING_RESCHEDULED", "createdAt": "2026-11-21T08:00:00Z"},
}
BASE = {"google_calendar": "google", "microsoft_graph": "graph"}
# What does say that the session is off: nobody is asked any more, or the tool calls it so.
OFF = {
    "google_calendar": {("attendees",), ("attendees", 1)},
    "microsoft_graph": {("attendees",), ("attendees", 0), ("isAllDay",), ("isCancelled",)},
}


def places(value: object, place: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield (*place, step)
        yield from places(one, (*place, step))


def broken(value: object, place: tuple[Step, ...], by: object) -> object:
    found = deepcopy(value)
    at: Any = found
    for step in place[:-1]:
        at = at[step]
    if by is REJOIN_GRACE:
        del at[place[-1]]
    else:
        at[place[-1]] = by
    return found


def become(projection: Projection, tool: str, value: object) -> list[str]:
    """The types of the events."""
    known_tool = TOOLS[tool]
    settings = known_tool.settings()
    translation = known_tool.translate(redacted_by(known_tool, value, settings), settings)
    activity = translation if isinstance(translation, tuple) else ()
    found = [say(projection, one, ConnectionScope("acme", None, tool, "one")) for one in activity]
    return [kind for one in found if isinstance(one, list) for kind in kinds(one)]


@pytest.mark.parametrize("tool", LATER)
def test_what_is_broken_calls_nothing_off(tool: str) -> None:
    first = BASES[BASE.get(tool, tool)]
    later = {**first, **LATER[tool]}
    people = participant("ada", identities=({"tool": "zoom", "id": "zAdaUserId0000000000"},)), participant("ben")
    called_off = set()

    for place in places(later):
        for by in BROKEN:
            projection = known(pair(time="2026-01-01T00:00:00Z"), *people)
            assert become(projection, tool, first) == ["session.scheduled"]
            if "session.cancelled" in become(projection, tool, broken(later, place, by)):
                called_off.add(place)

    assert called_off == OFF.get(tool, set())
