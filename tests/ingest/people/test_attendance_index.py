from schemas.events import MENTORING_EVENT
from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Meeting
from services.ingest.domain.meetings.attendance_index import MAX_VISITS, AttendanceIndex, MeetingAttendance, Visit
from services.ingest.domain.tools.projection import Projection
from tests.ingest.people.building import (
    ADA,
    BEN,
    MEETING,
    NATIVE,
    ZOOM,
    booked,
    ended,
    events,
    joined,
    kinds,
    known,
    left,
    minute,
)

OTHER = Meeting("other")


def test_over_the_limit_the_least_recently_updated_meeting_is_evicted() -> None:
    attendance_index = AttendanceIndex(most=2)
    for meeting in (MEETING, OTHER, MEETING, Meeting("third")):
        attendance_index.apply(ZOOM.source, joined(ADA, 0, meeting), "p-ada")

    assert attendance_index.at(ZOOM.source, MEETING).people == {"p-ada"}
    assert attendance_index.at(ZOOM.source, OTHER).people == frozenset()


def test_two_connections_do_not_share_a_meeting() -> None:
    attendance_index = AttendanceIndex()
    attendance_index.apply(ZOOM.source, joined(ADA, 0), "p-ada")

    assert attendance_index.at("urn:rapport:acme:zoom:other", MEETING).people == frozenset()


def test_what_is_neither_coming_nor_going_changes_nothing() -> None:
    projection = known()
    projection.track(booked(0, 60), ZOOM)

    assert projection.attendance_index.at(ZOOM.source, MEETING) == MeetingAttendance()


def test_a_run_that_was_booked_meanwhile_stays_the_session_that_it_was_also_after_a_restart() -> None:
    projection, said = known(), (joined(ADA, 0), joined(BEN, 1))
    projection.track(said[0], ZOOM)
    log = events(projection, said[1])
    late = booked(0, 60, meeting=Meeting(MEETING.id, "date-1"), time=minute(2))
    log += events(projection, late)
    restarted = known()
    for event in log:
        restarted.apply(event)
    for one in (*said, late):
        restarted.track(one, ZOOM)

    goes = events(restarted, left(BEN, 50))
    over = events(restarted, ended(51))

    assert kinds(log) == ["session.joined", "session.joined", "session.scheduled"]
    assert {one.data.model_dump()["session_id"] for one in (*goes, *over)} == {log[0].data.model_dump()["session_id"]}
    assert kinds(over) == ["session.left"]


def test_a_meeting_of_absurd_size_does_not_grow_on() -> None:
    full = MeetingAttendance(frozenset(Visit("p-ada", "joined", str(n), minute(n), NATIVE) for n in range(MAX_VISITS)))

    assert full.with_visit(Visit("p-ben", "joined", "x", minute(0), NATIVE)) is full
    crowded = MeetingAttendance(ends=frozenset(ended(n) for n in range(MAX_VISITS)))
    assert crowded.with_end(ended(-1)) is crowded


def test_a_clock_event_is_not_indexed() -> None:
    instant, projection = to_rfc3339(minute(0)), Projection()
    clock = {"type": "mentoring.clock.reached.v1", "source": "urn:test", "id": "c", "tenant": "acme"}
    told = clock | {"time": instant, "recordedtime": instant, "data": {"time": instant}}

    projection.apply(MENTORING_EVENT.validate_python(told, strict=False))

    assert projection.statement_index.find("acme", "urn:test", "c") == ()
