import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.activity import Booked, Cancelled, Meeting, Missed, Person, Voided
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.calcom import TOOL
from services.ingest.sources.tool import Received, ToolSettings, Unverified, Verified, hmac_hex
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import redacted_by

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = "cal-secret"
ADA, BOB, HOST = (Person(address=f"{name}@example.com") for name in ("ada", "bob", "host"))


def webhook(trigger: str, **changes: object) -> dict[str, Any]:
    payload = {
        "type": "60min",
        "title": "60min between Somebody and Somebody",
        "description": "Something private",
        "additionalNotes": "Something private",
        "customInputs": {},
        "startTime": "2026-03-09T10:00:00Z",
        "endTime": "2026-03-09T11:00:00Z",
        "organizer": {"id": 5, "name": "Somebody", "email": "host@example.com", "timeZone": "Asia/Kolkata"},
        "responses": {
            "email": {"label": "email_address", "value": "ada@example.com"},
            "guests": {"label": "additional_guests", "value": ["bob@example.com"]},
            "notes": {"label": "additional_notes", "value": "Something private"},
        },
        "attendees": [
            {"email": "ada@example.com", "name": "Somebody", "timeZone": "Asia/Kolkata"},
            {"email": "bob@example.com", "name": "Somebody", "timeZone": "Asia/Kolkata"},
        ],
        "location": "Something private",
        "uid": "bFJeNb2uX8ANpT3JL5EfXw",
        "bookingId": 91,
        "metadata": {},
        "status": "ACCEPTED",
    }
    return {"triggerEvent": trigger, "createdAt": "2026-03-01T09:30:00.538Z", "payload": payload | changes}


def created(**changes: object) -> dict[str, Any]:
    return webhook("BOOKING_CREATED", **changes)


def rescheduled(**changes: object) -> dict[str, Any]:
    old = {"rescheduleId": 90, "rescheduleUid": "old-uid", "rescheduleStartTime": "2026-03-08T10:00:00Z"}
    return webhook("BOOKING_RESCHEDULED", **(old | changes))


def cancelled(**changes: object) -> dict[str, Any]:
    return webhook(
        "BOOKING_CANCELLED", **({"status": "CANCELLED", "cancellationReason": "Something private"} | changes)
    )


def no_show(*attendees: object, trigger: str = "BOOKING_NO_SHOW_UPDATED", **changes: object) -> dict[str, Any]:
    payload = {
        "message": "ada@example.com marked as no-show",
        "attendees": list(attendees),
        "bookingUid": "bFJeNb2uX8ANpT3JL5EfXw",
        "bookingId": 91,
    }
    return {"triggerEvent": trigger, "createdAt": "2026-03-09T12:00:00.000Z", "payload": payload | changes}


def flat_end(**changes: object) -> dict[str, Any]:
    booking = {
        "triggerEvent": "MEETING_ENDED",
        "id": 91,
        "uid": "bFJeNb2uX8ANpT3JL5EfXw",
        "userId": 10,
        "userPrimaryEmail": "host@example.com",
        "title": "60min",
        "startTime": "2026-03-09T10:00:00.000Z",
        "endTime": "2026-03-09T11:00:00.000Z",
        "createdAt": "2026-03-01T09:30:00.538Z",
        "noShowHost": False,
        "user": {"email": "host@example.com", "name": "Somebody"},
        "attendees": [{"email": "ada@example.com", "name": "Somebody", "noShow": False}],
    }
    return booking | changes


ABSENT = {"email": "ada@example.com", "noShow": True}
HOSTS, GUESTS = "AFTER_HOSTS_CAL_VIDEO_NO_SHOW", "AFTER_GUESTS_CAL_VIDEO_NO_SHOW"
SAMPLES = [
    *(created(), rescheduled(), cancelled(), no_show(ABSENT), no_show(ABSENT | {"noShow": False}), flat_end()),
    *(no_show(ABSENT, trigger=HOSTS, hostEmail="host@example.com"), no_show(ABSENT, trigger=GUESTS)),
    *(flat_end(noShowHost=True), {"triggerEvent": "MEETING_ENDED", "payload": flat_end(noShowHost=True)}),
]


def verdict(value: object) -> Any:  # noqa: ANN401 (each test knows what)
    return TOOL.translate(value, ToolSettings())


def activities_of(value: object) -> Any:  # noqa: ANN401
    result = verdict(value)
    assert isinstance(result, tuple), result
    return result


def only(value: object) -> Any:  # noqa: ANN401
    (one,) = activities_of(value)
    return one


def paths(value: object) -> list[str]:
    result = verdict(value)
    assert isinstance(result, Rejected), result
    return [error.path for error in result.errors]


def test_a_body_that_was_signed_with_the_secret_is_proven() -> None:
    assert TOOL.verify(Received({"x-cal-signature-256": hmac_hex(SECRET, b"{}")}, b"{}"), SECRET, NOW) == Verified()


@pytest.mark.parametrize(
    "signature",
    ["", "no-secret-provided", "no-signature-provided", hmac_hex("another", b"{}"), hmac_hex(SECRET, b"{ }"), "é"],
)
def test_any_other_signature_is_refused(signature: str) -> None:
    assert isinstance(TOOL.verify(Received({"x-cal-signature-256": signature}, b"{}"), SECRET, NOW), Unverified)
    assert isinstance(TOOL.verify(Received({}, b"{}"), SECRET, NOW), Unverified)


def test_without_a_secret_nothing_is_proven() -> None:
    assert isinstance(TOOL.verify(Received({"x-cal-signature-256": hmac_hex("", b"{}")}, b"{}"), "", NOW), Unverified)


def test_a_booking_is_of_its_host_and_its_attendees_who_include_the_guests() -> None:
    one = only(created())

    assert isinstance(one, Booked)
    assert (one.meeting, one.people, one.replaces) == (Meeting("bFJeNb2uX8ANpT3JL5EfXw"), (HOST, ADA, BOB), None)
    assert (one.starts_at, one.ends_at) == (datetime(2026, 3, 9, 10, tzinfo=UTC), datetime(2026, 3, 9, 11, tzinfo=UTC))
    assert one.time == datetime(2026, 3, 1, 9, 30, 0, 538000, UTC)


def test_all_hosts_of_a_team_take_part() -> None:
    team = {"name": "Mentors", "members": [{"email": "eve@example.com"}, {"email": "host@example.com"}]}

    assert only(created(team=team)).people == (HOST, Person(address="eve@example.com"), ADA, BOB)


def test_an_unconfirmed_booking_is_ignored() -> None:
    triggers = ["BOOKING_REQUESTED", "BOOKING_REJECTED", "BOOKING_PAID", "BOOKING_PAYMENT_INITIATED"]

    assert {verdict(webhook(trigger)) for trigger in triggers} == {Ignored("not_confirmed")}
    assert verdict(created(status="PENDING")) == Ignored("not_confirmed")


def test_a_rescheduled_booking_replaces_the_old_one() -> None:
    assert only(rescheduled()).replaces == Meeting("old-uid")
    assert only(rescheduled(rescheduleUid="bFJeNb2uX8ANpT3JL5EfXw")).replaces is None
    assert verdict(cancelled(rescheduled=True)) == Ignored("rescheduled")


def test_a_cancelled_booking_is_cancelled_for_its_people() -> None:
    one = only(cancelled())

    assert isinstance(one, Cancelled)
    assert (one.meeting, one.people) == (Meeting("bFJeNb2uX8ANpT3JL5EfXw"), (HOST, ADA, BOB))
    assert one.starts_at == datetime(2026, 3, 9, 10, tzinfo=UTC)


def test_a_host_who_asks_for_another_date_cancels_nothing() -> None:
    assert verdict(cancelled(requestReschedule=True)) == Ignored("rescheduled")
    assert isinstance(only(cancelled(requestReschedule=False)), Cancelled)


def test_a_cancellation_that_names_the_booking_in_its_place_cancels_nothing() -> None:
    """As when the guest has chosen another date; `rescheduled` does not always say so."""
    assert verdict(cancelled(rescheduledToUid="new-uid")) == Ignored("rescheduled")
    assert isinstance(only(cancelled(rescheduledToUid=None)), Cancelled)


def test_tidying_up_a_booking_that_is_over_cancels_nothing() -> None:
    assert verdict(cancelled(startTime="2026-03-01T09:00:00Z")) == Ignored("already_over")


def test_who_is_marked_as_no_show_missed_it_and_who_is_unmarked_did_not() -> None:
    marked, unmarked = only(no_show(ABSENT)), only(no_show(ABSENT | {"noShow": False}))

    assert isinstance(marked, Missed)
    assert isinstance(unmarked, Voided)
    assert (marked.absent, marked.people, marked.evidence) == ((ADA,), (), "self_reported")
    assert unmarked.target == marked.key
    assert "ada" not in marked.key + unmarked.key


def test_several_marked_attendees_are_separate_no_shows() -> None:
    assert [one.absent for one in activities_of(no_show(ABSENT, {"email": "bob@example.com", "noShow": True}))] == [
        (ADA,),
        (BOB,),
    ]
    assert verdict(no_show()) == verdict(no_show({"noShow": True})) == Ignored("nobody_named")


def test_a_host_whom_cal_video_did_not_see_missed_it() -> None:
    one = only(no_show(ABSENT, trigger=HOSTS, hostEmail="host@example.com"))

    assert (one.absent, one.evidence) == ((HOST,), "observed")
    assert verdict(no_show(ABSENT, trigger=HOSTS)) == Ignored("nobody_named")


def test_guests_whom_cal_video_did_not_see_missed_it() -> None:
    here = {"email": "bob@example.com", "noShow": False}

    assert only(no_show(ABSENT, here, trigger=GUESTS)).absent == (ADA,)
    assert [one.absent for one in activities_of(no_show({"email": "ada@example.com"}, here, trigger=GUESTS))] == [
        (ADA,),
        (BOB,),
    ]


def test_the_end_of_the_booked_time_is_no_attendance() -> None:
    assert verdict(flat_end()) == Ignored("ended_by_the_clock")
    assert verdict({"triggerEvent": "MEETING_ENDED", "payload": flat_end()}) == Ignored("ended_by_the_clock")


@pytest.mark.parametrize("status", ["CANCELLED", "cancelled", "REJECTED", "PENDING"])
def test_what_was_called_off_or_never_confirmed_was_missed_by_nobody(status: str) -> None:
    assert verdict(flat_end(noShowHost=True, status=status)) == Ignored("not_confirmed")


def test_at_the_end_those_who_were_marked_have_missed_it() -> None:
    one, other = activities_of(flat_end(noShowHost=True, attendees=[ABSENT, {"email": "bob@example.com"}]))

    assert (one.absent, other.absent) == ((HOST,), (ADA,))
    assert one.time == datetime(2026, 3, 9, 11, tzinfo=UTC)
    assert other.key == only(no_show(ABSENT)).key
    assert only(flat_end(noShowHost=True, user=None)).absent == (HOST,)


def test_a_ping_is_ignored() -> None:
    ping = {"triggerEvent": "PING", "createdAt": "2026-03-01T09:30:00.538Z", "payload": {"type": "Test"}}

    assert verdict(ping) == Ignored("ping")


@pytest.mark.parametrize(
    "trigger", ["MEETING_STARTED", "RECORDING_READY", "FORM_SUBMITTED", "OOO_CREATED", "INSTANT_MEETING"]
)
def test_other_triggers_are_ignored_whatever_they_hold(trigger: str) -> None:
    assert verdict({"triggerEvent": trigger, "payload": None}) == Ignored("event_not_used")


def test_what_is_missing_or_odd_is_named_by_its_path() -> None:
    assert paths({}) == ["triggerEvent"]
    assert paths({"triggerEvent": "BOOKING_CREATED"}) == ["createdAt", "payload"]
    assert paths(created(uid=None, startTime="soon", attendees={})) == [
        "payload.uid",
        "payload.startTime",
        "payload.attendees",
    ]
    assert paths(no_show(ABSENT, bookingUid=None)) == ["payload.bookingUid"]
    assert paths(flat_end(uid=None)) == ["uid"]


@pytest.mark.parametrize("value", SAMPLES)
def test_what_is_cut_is_not_needed(value: dict[str, Any]) -> None:
    found = redacted_by(TOOL, value)

    assert verdict(found) == verdict(value)
    assert "private" not in json.dumps(found)
    assert "Somebody" not in json.dumps(found)


@given(mutated(SAMPLES))
def test_whatever_calcom_or_somebody_else_sends_gets_a_verdict(value: object) -> None:
    assert translated(TOOL, value, ToolSettings())


@given(st.text(), st.binary())
def test_whatever_the_header_is_it_proves_nothing(header: str, body: bytes) -> None:
    assert isinstance(TOOL.verify(Received({"x-cal-signature-256": header}, body), SECRET, NOW), Unverified)
