"""What the entries of a calendar become, one after the other, for Ada who mentors Ben."""

from typing import Any

import pytest

from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.google_calendar import TOOL as GOOGLE
from services.ingest.sources.microsoft_graph.tool import TOOL as GRAPH
from services.ingest.sources.tool import Tool
from tests.ingest.people.building import event as told_event
from tests.ingest.people.building import kinds, known, pair, participant, say
from tests.ingest.sources import test_google_calendar_events as google
from tests.ingest.sources import test_microsoft_graph_events as graph

ADA, BEN = "p-ada@example.com", "p-ben@example.com"


@pytest.fixture
def projection() -> Projection:
    """Under the addresses of the calendars' own tests."""
    people = [participant(name, addresses=(f"p-{name}@example.com",)) for name in ("ada", "ben", "cat")]
    return known(pair(time="2026-01-01T00:00:00Z"), *people)


def tell(projection: Projection, tool: Tool, value: object) -> list[str] | Ignored | Rejected:
    """The types of the events, or why there are none."""
    translation = tool.translate(value, tool.settings())
    assert isinstance(translation, tuple), translation
    (said,) = translation
    found = say(projection, said, ConnectionScope("acme", None, tool.name, "one"))
    return kinds(found) if isinstance(found, list) else found


def google_event(updated: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any member)
    return google.event(updated=f"2026-{updated}T08:00:00Z", **changes)


def graph_event(changed: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any member)
    return graph.event(lastModifiedDateTime=f"2026-{changed}T08:00:00.0000000Z", **changes)


def test_a_mentee_of_google_who_declines_calls_the_session_off_and_may_change_their_mind(
    projection: Projection,
) -> None:
    declined = [google.guest(ADA), google.guest(BEN, responseStatus="declined")]

    assert tell(projection, GOOGLE, google_event("02-27")) == ["session.scheduled"]
    assert tell(projection, GOOGLE, google_event("02-27")) == Ignored("unchanged")
    assert tell(projection, GOOGLE, google_event("02-28", attendees=declined)) == ["session.cancelled"]
    assert tell(projection, GOOGLE, google_event("03-01")) == ["session.scheduled"]


def test_a_mentee_of_graph_who_declines_calls_the_session_off(projection: Projection) -> None:
    assert tell(projection, GRAPH, graph_event("02-27")) == ["session.scheduled"]
    assert tell(projection, GRAPH, graph_event("02-28", attendees=[graph.guest(BEN, "declined")])) == [
        "session.cancelled"
    ]


def test_a_session_that_turns_into_a_day_is_off(projection: Projection) -> None:
    days = {"start": {"date": "2026-03-05"}, "end": {"date": "2026-03-06"}}

    assert tell(projection, GOOGLE, google_event("02-27")) == ["session.scheduled"]
    assert tell(projection, GOOGLE, google_event("02-28", **days)) == ["session.cancelled"]


@pytest.mark.parametrize("day", ["02-28", "03-04"])
def test_what_was_deleted_in_time_is_off(projection: Projection, day: str) -> None:
    removed = {"id": graph.event()["id"], "@removed": {"reason": "deleted"}}

    assert tell(projection, GRAPH, graph_event("02-27")) == ["session.scheduled"]
    assert tell(projection, GRAPH, removed | {"lastModifiedDateTime": f"2026-{day}T08:00:00Z"}) == ["session.cancelled"]


def test_what_was_tidied_up_afterwards_took_place(projection: Projection) -> None:
    deleted = {"id": google.event()["id"], "status": "cancelled", "updated": "2026-03-05T10:00:00Z"}

    assert tell(projection, GOOGLE, google_event("02-27")) == ["session.scheduled"]
    assert tell(projection, GOOGLE, deleted) == Ignored("over")


@pytest.mark.parametrize("attendees", [None, [google.guest("stranger@example.org")]])
def test_what_was_never_booked_is_nobodys(projection: Projection, attendees: object) -> None:
    outcome = tell(projection, GOOGLE, google_event("02-27", attendees=attendees))

    assert outcome == Ignored("not_booked" if attendees is None else "strangers")


def test_two_mailboxes_tell_of_the_same_meeting_at_the_same_time(projection: Projection) -> None:
    """Each copy has an id of its own; meetings at one time are joined where they are scored."""
    copies = [graph_event("02-27", id="in-adas"), graph_event("02-27", id="in-bens", isOrganizer=False)]

    assert [tell(projection, GRAPH, copy) for copy in copies] == [["session.scheduled"]] * 2


def test_a_relationship_that_ended_books_nothing(projection: Projection) -> None:
    data = {"planned": True, "reason_code": "done", "initiated_by": "admin"}
    projection.apply(told_event("relationship.ended", data, time="2026-02-01T00:00:00Z"))

    assert isinstance(tell(projection, GOOGLE, google_event("02-27")), Rejected)
