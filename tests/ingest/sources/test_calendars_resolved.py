"""Calendar entries in sequence, resolved for a pair (Ada mentors Ben)."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from services.ingest.domain.activity import Meeting
from services.ingest.domain.ids import series_id, session_id
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.google_calendar import TOOL as GOOGLE
from services.ingest.sources.microsoft_graph.tool import TOOL as GRAPH
from services.ingest.sources.tool import RawPayloads, Received, Tool
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
    (activity,) = translation
    found = say(projection, activity, ConnectionScope("acme", None, tool.name, "one"))
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
def test_a_meeting_without_a_booking_is_ignored(projection: Projection, attendees: object) -> None:
    outcome = tell(projection, GOOGLE, google_event("02-27", attendees=attendees))

    assert outcome == Ignored("not_booked" if attendees is None else "strangers")


def copies(changed: str = "02-27", **changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401 (any member)
    """One meeting, as the mailboxes of who asked and of who was asked have it."""
    answer = {"response": "accepted", "time": "2026-02-27T08:00:00Z"}
    guests = {"id": "in-bens", "isOrganizer": False, "responseStatus": answer, "changeKey": "bens"}
    return [graph_event(changed, id="in-adas", **changes), graph_event(changed, **guests, **changes)]


def session_starts(projection: Projection, tool: Tool, *values: object) -> list[datetime | None]:
    """Return the start of each session of the pair after these values; None for a cancelled one."""
    for value in values:
        assert not isinstance(tell(projection, tool, value), Rejected)
    bookings_now = (one.booking for one in projection.bookings.sessions("acme", "rel-1"))
    return [None if one.cancelled else one.starts_at for one in bookings_now]


TEN, TWO = datetime(2026, 3, 5, 9, tzinfo=UTC), datetime(2026, 3, 5, 13, tzinfo=UTC)
LATER = {"start": graph.local(14), "end": graph.local(15)}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_one_meeting_in_two_mailboxes_is_one_session_in_any_order(
    projection: Projection, order: tuple[int, ...]
) -> None:
    values = [*copies(), *copies("02-28", **LATER)]

    assert session_starts(projection, GRAPH, *(values[one] for one in order)) == [TWO]


def test_copies_of_two_mailboxes_at_the_same_time_book_one_session(projection: Projection) -> None:
    """The second copy links its id to the session, and books no other."""
    outcomes = [tell(projection, GRAPH, copy) for copy in (*copies(), *copies())]

    assert outcomes == [*[["session.scheduled"]] * 2, *[Ignored("unchanged")] * 2]


@pytest.mark.parametrize("whose", ["in-adas", "in-bens"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whichever_copy_is_removed_the_one_session_is_off(
    projection: Projection, whose: str, order: tuple[int, ...]
) -> None:
    """A removal has nothing but the id in that mailbox."""
    removed = {"id": whose, "@removed": {"reason": "deleted"}, "lastModifiedDateTime": "2026-02-28T08:00:00Z"}
    values = [*copies(), removed]

    assert session_starts(projection, GRAPH, *(values[one] for one in order)) == [None]


def test_a_meeting_that_is_called_off_in_both_mailboxes_is_cancelled_once(projection: Projection) -> None:
    outcomes = [tell(projection, GRAPH, one) for one in (*copies(), *copies("02-28", isCancelled=True))]

    assert outcomes[2:] == [["session.cancelled"], Ignored("unchanged")]


UID = "040000008200E00074C5B7101A82E008{}D0D5A3F5A5B7DC01000000000000000010000000A1B2"
SERIES = {"iCalUId": UID.format("00000000"), "type": "seriesMaster", "recurrence": {"pattern": {"type": "weekly"}}}


def dates_of(mailbox: str, *, is_organizer: bool) -> list[dict[str, Any]]:
    """A page of a calendar view: the series, a date as it was to be, and one that was moved, which comes whole."""
    master = graph_event("02-27", id=f"{mailbox}-series", isOrganizer=is_organizer, **SERIES)
    date = {"id": f"{mailbox}-1", "type": "occurrence", "seriesMasterId": master["id"]}
    moved = {"iCalUId": UID.format("07EA030C"), "type": "exception", "originalStart": "2026-03-12T09:00:00Z"}
    when = {name: {**LATER[name], "dateTime": LATER[name]["dateTime"].replace("-05T", "-13T")} for name in LATER}
    listed = [
        master,
        date | {"start": graph.local(10), "end": graph.local(11)},
        graph_event("02-28", id=f"{mailbox}-2", seriesMasterId=master["id"], isOrganizer=is_organizer, **moved, **when),
    ]
    received = Received({"content-type": "application/json"}, json.dumps({"value": listed}).encode())
    split = GRAPH.split(received, GRAPH.settings(), datetime(2026, 3, 1, tzinfo=UTC))
    assert isinstance(split, RawPayloads)
    return [one for one in map(json.loads, split.payloads) if one["type"] != "seriesMaster"]


def test_the_dates_of_a_series_in_two_mailboxes_are_one_session_each(projection: Projection) -> None:
    mine, theirs = dates_of("adas", is_organizer=True), dates_of("bens", is_organizer=False)
    unmoved = mine[1] | {"type": "occurrence", "start": graph.local(10), "end": graph.local(11), "id": "adas-2"}
    for side in ("start", "end"):
        unmoved[side] = {**unmoved[side], "dateTime": unmoved[side]["dateTime"].replace("-05T", "-12T")}
    unmoved |= {"lastModifiedDateTime": "2026-02-27T08:00:00Z"}

    found = session_starts(projection, GRAPH, *theirs, unmoved, *mine)

    assert sorted(filter(None, found)) == [TEN, TWO + timedelta(days=8)]
    assert len(found) == 2


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_who_is_asked_in_somebodys_place_meets_although_the_others_copy_is_cancelled(
    projection: Projection, order: tuple[int, ...]
) -> None:
    projection.apply(pair("ada", "cat", subject="rel-2", time="2026-01-01T00:00:00Z"))
    cats = graph_event("02-28", id="in-adas", attendees=[graph.guest("p-cat@example.com", "none")])
    _, bens = copies("03-01", isCancelled=True)
    values = [copies()[0], cats, bens]

    assert session_starts(projection, GRAPH, *(values[one] for one in order)) in ([None], [])
    (of_cat,) = projection.bookings.sessions("acme", "rel-2")
    assert (of_cat.booking.starts_at, of_cat.booking.cancelled) == (TEN, False)


@pytest.mark.parametrize("other", ["p-cat@example.com", "x@example.org"])
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_who_was_asked_before_and_is_no_pair_calls_nothing_off(
    projection: Projection, order: tuple[int, ...], other: str
) -> None:
    """Ben is invited in place of a person whose copy is then cancelled."""
    asked_first = [graph.guest(other, "accepted")]
    mine, theirs = copies(attendees=asked_first)
    bens = graph_event("02-28", id="in-adas")
    _, off = copies("03-01", isCancelled=True, attendees=asked_first)
    values = [mine, theirs, bens, off]

    for one in order:
        tell(projection, GRAPH, values[one])

    (of_ben,) = projection.bookings.sessions("acme", "rel-1")
    assert (of_ben.booking.starts_at, of_ben.booking.cancelled) == (TEN, False)


def test_of_more_than_two_each_copy_is_a_meeting_of_its_own(projection: Projection) -> None:
    """A guest who is asked no more has a cancelled copy, and the others meet all the same."""
    everybody = [graph.guest(BEN, "accepted"), graph.guest("p-cat@example.com", "accepted")]
    adas, cats = copies(attendees=everybody)
    _, asked_no_more = copies("02-28", attendees=everybody, isCancelled=True)

    found = session_starts(projection, GRAPH, adas, cats, asked_no_more)

    assert sorted(found, key=str) == [TEN, None]


def test_what_was_booked_before_copies_were_known_stays_the_session_that_it_is(projection: Projection) -> None:
    source = "urn:rapport:acme:microsoft_graph:one"
    own = session_id(source, Meeting("in-adas"))
    times = {"starts_at": "2026-03-05T09:00:00Z", "ends_at": "2026-03-05T10:00:00Z"}
    matter = {"source": source, "correlationid": f"{own}.{series_id(source, Meeting('in-adas'))}"}
    before = {"session_id": own, **times, "by": "system", "evidence": "calendar"}
    projection.apply(told_event("session.scheduled", before, time="2026-02-01T08:00:00Z", **matter))

    assert session_starts(projection, GRAPH, *copies("02-28", **LATER)) == [TWO]
    assert projection.bookings.sessions("acme", "rel-1")[0].booking.session == own
    assert tell(projection, GRAPH, copies("03-01", isCancelled=True)[0]) == ["session.cancelled"]


def test_one_entry_of_google_that_two_calendars_call_otherwise_is_one_session(projection: Projection) -> None:
    first = {"recurringEventId": "s", "originalStartTime": {"dateTime": "2026-03-05T10:00:00+01:00"}}
    second = {"recurringEventId": "_6", "originalStartTime": {"dateTime": "2026-03-05T09:00:00Z"}, "id": "_6_20260305"}
    another = {"recurringEventId": "s", "originalStartTime": {"dateTime": "2026-03-12T10:00:00+01:00"}, "id": "s_12"}

    found = session_starts(projection, GOOGLE, *(google_event("02-27", **one) for one in (first, second, another)))

    assert len(found) == 2


def test_a_relationship_that_ended_books_nothing(projection: Projection) -> None:
    data = {"planned": True, "reason_code": "done", "initiated_by": "admin"}
    projection.apply(told_event("relationship.ended", data, time="2026-02-01T00:00:00Z"))

    assert isinstance(tell(projection, GOOGLE, google_event("02-27")), Rejected)
