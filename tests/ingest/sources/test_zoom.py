import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from services.ingest.domain.activity import Ended, Joined, Left, Meeting, Person
from services.ingest.domain.verdict import Ignored
from services.ingest.sources.tool import RawPayloads, Received, ToolSettings
from services.ingest.sources.zoom.tool import TOOL
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import redacted_by
from tests.ingest.sources.zoom_payloads import (
    SAMPLES,
    TOLD_AT,
    UUID,
    created,
    ended,
    event,
    joined,
    left,
    only,
    paths,
    run,
    verdict,
)


def test_who_joins_is_known_by_account_and_address() -> None:
    one = only(joined())

    assert isinstance(one, Joined)
    assert one.person == Person("rstuvwxyza789-cde", "ada@example.com")
    assert one.meeting == Meeting("93200000000", UUID)
    assert one.time == datetime(2026, 3, 2, 10, 1, tzinfo=UTC)
    assert (one.native.type, one.native.id) == ("meeting.participant_joined", "93200000000")


def test_the_id_of_a_meeting_is_the_same_as_number_and_as_text() -> None:
    number, text = joined(), joined()
    number["payload"]["object"]["id"] = 93200000000

    assert only(number) == only(text)


def test_a_run_is_known_by_its_uuid_where_the_id_is_missing() -> None:
    value = joined()
    del value["payload"]["object"]["id"]

    assert only(value).meeting == Meeting("", UUID)
    assert only(value).native.id == UUID


def test_without_an_address_the_account_is_enough_and_the_other_way_round() -> None:
    assert only(joined(email="")).person == Person("rstuvwxyza789-cde")
    assert only(joined(email=None, participant_user_id="")).person == Person("iFxeBPYun6SAiWUzBcEkX")
    assert only(joined(email="", participant_user_id="", id="")).person == Person("abcdefghij0-klmnopq23456")
    assert only(joined(participant_user_id="", id="", registrant_id="")).person == Person("", "ada@example.com")


def test_an_unidentified_guest_is_an_attendee() -> None:
    nobody = {"email": "", "id": "", "participant_user_id": None, "registrant_id": ""}

    came, went = only(joined(**nobody)), only(left(**nobody))

    assert (type(came), type(went)) == (Joined, Left)
    assert came.person == went.person == Person()


@pytest.mark.parametrize("name", ["meeting.participant_joined_waiting_room", "meeting.participant_jbh_waiting"])
def test_who_waits_at_the_door_may_be_anybody(name: str) -> None:
    value = {**joined(join_time=None, date_time="2026-03-02T10:03:00Z"), "event": name}

    waits = only(value)

    assert isinstance(waits, Joined)
    assert waits.person == Person()
    assert waits.time == datetime(2026, 3, 2, 10, 3, tzinfo=UTC)
    assert only({**joined(join_time=None), "event": name}).time == TOLD_AT


def test_who_comes_twice_says_so_twice_and_a_repeat_says_it_once() -> None:
    again = only(joined(join_time="2026-03-02T10:09:00Z", user_id="16779264", participant_uuid="other"))

    assert again.key != only(joined()).key
    assert only(joined()) == only(copy.deepcopy(joined()))


def test_who_leaves_left_when_zoom_says_so_or_when_it_told_so() -> None:
    one = only(left())

    assert isinstance(one, Left)
    assert one.time == datetime(2026, 3, 2, 10, 31, tzinfo=UTC)
    assert only(left(leave_time=None)).time == only(left(leave_time="")).time == TOLD_AT


def test_what_has_no_time_at_all_is_rejected() -> None:
    for timeless in (left(leave_time=""), joined(join_time=None), ended(end_time=None)):
        del timeless["event_ts"]

        assert paths(timeless) == ["event_ts"]


def test_a_meeting_ends_once_per_run_and_each_end_is_told_apart() -> None:
    first, second = only(ended()), only(ended(uuid="k==", end_time="2026-03-02T10:50:00Z"))

    assert isinstance(first, Ended)
    assert (first.meeting, second.meeting) == (Meeting("93200000000", UUID), Meeting("93200000000", "k=="))
    assert first.time == datetime(2026, 3, 2, 10, 32, tzinfo=UTC)
    assert first.key != second.key


def test_the_scheduled_duration_is_not_how_long_it_took() -> None:
    value = ended()
    value["payload"]["object"] |= {"end_time": "", "duration": 600}

    assert only(value).time == TOLD_AT


@pytest.mark.parametrize(
    "name",
    [
        *("meeting.started", "meeting.participant_jbh_joined", "meeting.participant_left_waiting_room"),
        *("meeting.alert", "meeting.chat_message_sent"),
        *("meeting.participant_joined_breakout_room", "meeting.participant_left_breakout_room"),
        *("recording.completed", "endpoint.url_validation", "new.event"),
    ],
)
def test_other_events_are_ignored_whatever_they_hold(name: str) -> None:
    assert verdict({"event": name, "payload": None}) == Ignored("event_not_used")


def test_webinars_are_ignored() -> None:
    assert verdict({**joined(), "event": "webinar.participant_joined"}) == Ignored("webinar")


def test_attendance_at_no_meeting_is_rejected() -> None:
    assert paths(ended(id=None, uuid="")) == ["payload.object"]
    assert only(ended(uuid=None)).meeting == Meeting("93200000000")


def test_what_is_missing_or_odd_is_named_by_its_path() -> None:
    assert paths({}) == paths({"event": None}) == ["event"]
    assert paths({"event": "meeting.ended"}) == ["payload"]
    assert paths({"event": "meeting.ended", "payload": {"object": []}}) == ["payload.object"]
    assert paths(created(duration=-5, start_time="9999-12-31T23:59:59-14:00")) == [
        "payload.object.start_time",
        "payload.object.duration",
    ]


@pytest.mark.parametrize("participant", [None, [], "somebody", {"email": {}}, {"id": []}, {"email": ""}])
def test_of_whom_nothing_can_be_read_is_somebody_all_the_same(participant: object) -> None:
    came, went = (only(event(f"meeting.participant_{way}", run(participant=participant))) for way in ("joined", "left"))

    assert (came.person, came.time) == (went.person, went.time) == (Person(), TOLD_AT)
    assert only(event("meeting.participant_left", run())).person == Person()


@pytest.mark.parametrize(
    ("join_time", "time"),
    [
        ("soon", TOLD_AT),
        ("0000-00-00T00:00:00Z", TOLD_AT),
        ("0001-01-01T00:00:00Z", TOLD_AT),
        ([], TOLD_AT),
        (1772445660000, datetime(2026, 3, 2, 10, 1, tzinfo=UTC)),
        ("1772445660", datetime(2026, 3, 2, 10, 1, tzinfo=UTC)),
        ("2026-03-02T11:01:00+01", datetime(2026, 3, 2, 10, 1, tzinfo=UTC)),
    ],
)
def test_a_time_that_cannot_be_read_is_that_of_the_message(join_time: object, time: datetime) -> None:
    assert only(joined(join_time=join_time)).time == time


def test_a_request_is_recorded_as_it_came_and_answered_as_zoom_wants_it() -> None:
    split = TOOL.split(Received({}, b"{}"), ToolSettings(), TOLD_AT)

    assert isinstance(split, RawPayloads)
    assert split.payloads == (b"{}",)
    assert split.answer
    assert split.answer.status == 200


@pytest.mark.parametrize("value", SAMPLES)
def test_what_is_cut_is_not_needed(value: dict[str, Any]) -> None:
    found = redacted_by(TOOL, value)

    assert verdict(found) == verdict(value)
    assert "Somebody" not in json.dumps(found)
    assert "pwd" not in json.dumps(found)


def test_of_an_event_that_is_not_used_nothing_but_its_name_is_kept() -> None:
    summary = {"summary_title": "How Ada felt", "summary_details": [{"label": "Ada", "summary": "She cried"}]}

    assert redacted_by(TOOL, event("meeting.summary_completed", summary)) == {"event": "meeting.summary_completed"}
    assert redacted_by(TOOL, event("Ada went home", summary)) == {"event": "cut"}


@given(mutated(SAMPLES))
def test_whatever_zoom_or_somebody_else_sends_gets_a_verdict(value: object) -> None:
    assert translated(TOOL, value, ToolSettings())
