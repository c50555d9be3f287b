import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.activity import Booked, Cancelled, Meeting, Missed, Person, Voided
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.calendly import TOOL
from services.ingest.sources.tool import Received, ToolSettings, Unverified, Verified, hmac_hex
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import redacted_by

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = "calendly-key"
EVENTS = "https://api.calendly.com/scheduled_events"
HOST = "https://api.calendly.com/users/HOST"


def webhook(event: str, **changes: object) -> dict[str, Any]:
    payload = {
        "cancel_url": "https://calendly.com/cancellations/AAAA",
        "created_at": "2026-03-01T09:00:00.123456Z",
        "email": "ada@example.com",
        "event": f"{EVENTS}/EV1",
        "name": "Somebody",
        "new_invitee": None,
        "old_invitee": None,
        "questions_and_answers": [{"answer": "Something private", "position": 0, "question": "What for?"}],
        "reschedule_url": "https://calendly.com/reschedulings/AAAA",
        "rescheduled": False,
        "status": "active",
        "text_reminder_number": None,
        "timezone": "America/New_York",
        "tracking": {"utm_campaign": None},
        "updated_at": "2026-03-01T09:00:00.123456Z",
        "uri": f"{EVENTS}/EV1/invitees/IN1",
        "no_show": None,
        "scheduled_event": {
            "uri": f"{EVENTS}/EV1",
            "name": "Mentoring",
            "status": "active",
            "start_time": "2026-03-09T10:00:00.000000Z",
            "end_time": "2026-03-09T10:45:00.000000Z",
            "event_type": "https://api.calendly.com/event_types/ET1",
            "location": {"type": "physical", "location": "Something private"},
            "invitees_counter": {"total": 1, "active": 1, "limit": 1},
            "event_memberships": [{"user": HOST, "user_email": "host@example.com", "user_name": "Somebody"}],
            "event_guests": [{"email": "eve@example.com", "created_at": "2026-03-01T09:00:00Z"}],
        },
    }
    return {
        "event": event,
        "created_at": "2026-03-01T09:00:01.000000Z",
        "created_by": HOST,
        "payload": payload | changes,
    }


CANCELLATION = {
    "canceled_by": "Somebody",
    "reason": "Something private",
    "canceler_type": "invitee",
    "created_at": "2026-03-01T12:00:00.000000Z",
}
NO_SHOW = {"uri": "https://api.calendly.com/invitee_no_shows/NS1", "created_at": "2026-03-09T11:00:00.000000Z"}


def created(**changes: object) -> dict[str, Any]:
    return webhook("invitee.created", **changes)


def canceled(**changes: object) -> dict[str, Any]:
    return webhook("invitee.canceled", **({"status": "canceled", "cancellation": CANCELLATION} | changes))


def no_show(**changes: object) -> dict[str, Any]:
    return webhook("invitee_no_show.created", **({"no_show": NO_SHOW} | changes))


SAMPLES = [
    *(created(), created(old_invitee=f"{EVENTS}/EV0/invitees/IN0"), canceled(), canceled(rescheduled=True)),
    *(no_show(), webhook("invitee_no_show.deleted")),
]


def verdict(value: object) -> Any:  # noqa: ANN401 (each test knows what)
    return TOOL.translate(value, ToolSettings())


def only(value: object) -> Any:  # noqa: ANN401
    result = verdict(value)
    assert isinstance(result, tuple), result
    (one,) = result
    return one


def paths(value: object) -> list[str]:
    result = verdict(value)
    assert isinstance(result, Rejected), result
    return [error.path for error in result.errors]


def signature(body: bytes, at: datetime = NOW, secret: str = SECRET) -> str:
    stamp = int(at.timestamp())
    return f"t={stamp},v1={hmac_hex(secret, f'{stamp}.'.encode() + body)}"


def received(header: str, body: bytes = b"{}") -> Received:
    return Received({"calendly-webhook-signature": header}, body)


def test_a_request_that_calendly_signed_is_proven() -> None:
    assert TOOL.verify(received(signature(b"{}")), SECRET, NOW) == Verified()


def test_one_of_several_signatures_is_enough_while_a_key_is_changed() -> None:
    stamp, good = signature(b"{}").split(",")

    assert TOOL.verify(received(f"{stamp},v1=0000,{good}"), SECRET, NOW) == Verified()
    assert TOOL.verify(received(f"{stamp}, {good}, v1=0000, v0=1"), SECRET, NOW) == Verified()


@pytest.mark.parametrize(
    "header",
    [
        *("", "t=1772452800", f"v1={'0' * 64}", "nonsense", "t=,v1=", "t=soon,v1=00", "t=1772452800,v1=é"),
        signature(b"{}", secret="another"),
        signature(b"{}", NOW - timedelta(minutes=6)),
        signature(b"{}", NOW + timedelta(minutes=6)),
        signature(b"{ }"),
        f"t=1772452800,{signature(b'{}')}",
    ],
)
def test_a_request_without_a_fresh_signature_of_these_bytes_is_refused(header: str) -> None:
    assert isinstance(TOOL.verify(received(header), SECRET, NOW), Unverified)
    assert isinstance(TOOL.verify(Received({}, b"{}"), SECRET, NOW), Unverified)


def test_without_a_secret_nothing_is_proven() -> None:
    assert isinstance(TOOL.verify(received(signature(b"{}", secret="")), "", NOW), Unverified)


def test_a_new_invitee_books_a_meeting_with_hosts_and_guests() -> None:
    one = only(created())

    assert isinstance(one, Booked)
    assert one.meeting == Meeting("EV1", "IN1")
    assert (one.starts_at, one.ends_at) == (
        datetime(2026, 3, 9, 10, tzinfo=UTC),
        datetime(2026, 3, 9, 10, 45, tzinfo=UTC),
    )
    assert one.people == (
        Person(HOST, "host@example.com"),
        Person(address="ada@example.com"),
        Person(address="eve@example.com"),
    )
    assert one.time == datetime(2026, 3, 1, 9, 0, 0, 123456, UTC)
    assert one.replaces is None


def test_two_subscriptions_to_the_same_event_give_the_same_activity() -> None:
    later = created() | {"created_at": "2026-03-01T09:00:07.000000Z"}

    assert only(later) == only(created())


def test_a_rescheduled_meeting_replaces_the_old_one_and_nothing_is_cancelled() -> None:
    new = created(old_invitee=f"{EVENTS}/EV0/invitees/IN0")
    old = canceled(rescheduled=True, new_invitee=f"{EVENTS}/EV1/invitees/IN1")

    assert only(new).replaces == Meeting("EV0", "IN0")
    assert verdict(old) == Ignored("rescheduled")


def test_each_invitee_of_a_group_event_has_a_meeting_of_their_own() -> None:
    other = created(uri=f"{EVENTS}/EV1/invitees/IN2", email="bob@example.com")

    assert only(other).meeting == Meeting("EV1", "IN2")
    assert only(other).key != only(created()).key


def test_a_cancelled_invitee_cancels_the_meeting_when_they_said_so() -> None:
    one = only(canceled())

    assert isinstance(one, Cancelled)
    assert (one.meeting, one.people) == (only(created()).meeting, only(created()).people)
    assert one.time == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert one.starts_at == datetime(2026, 3, 9, 10, tzinfo=UTC)
    assert only(canceled(cancellation=None)).time == datetime(2026, 3, 1, 9, 0, 1, tzinfo=UTC)


def test_tidying_up_a_meeting_that_is_over_cancels_nothing() -> None:
    late = CANCELLATION | {"created_at": "2026-03-09T10:00:00Z"}

    assert verdict(canceled(cancellation=late)) == Ignored("already_over")


def test_what_was_put_together_after_the_host_had_cancelled_books_nothing() -> None:
    """A repeated request has the state at the time of the repeat."""
    off = created()["payload"]["scheduled_event"] | {"status": "canceled"}

    assert verdict(created(scheduled_event=off)) == Ignored("already_canceled")


def test_an_invitee_who_did_not_show_up_missed_the_meeting() -> None:
    one = only(no_show())

    assert isinstance(one, Missed)
    assert one.absent == (Person(address="ada@example.com"),)
    assert (one.meeting, one.people) == (Meeting("EV1", "IN1"), only(created()).people)
    assert one.time == datetime(2026, 3, 9, 11, tzinfo=UTC)


def test_an_unmarked_no_show_is_voided() -> None:
    one = only(webhook("invitee_no_show.deleted"))

    assert isinstance(one, Voided)
    assert one.target == only(no_show()).key


@pytest.mark.parametrize("event", ["routing_form_submission.created", "event_type.updated", "user.updated", "new"])
def test_other_events_are_ignored_whatever_they_hold(event: str) -> None:
    assert verdict({"event": event, "payload": None}) == Ignored("event_not_used")


def test_what_is_missing_or_odd_is_named_by_its_path() -> None:
    assert paths({}) == ["event"]
    assert paths({"event": "invitee.created"}) == ["created_at", "payload"]
    assert paths(created(uri="https://api.calendly.com/else", email=None, scheduled_event={"start_time": 7})) == [
        "payload.uri",
        "payload.email",
        "payload.scheduled_event.start_time",
        "payload.scheduled_event.end_time",
    ]
    assert paths(created(old_invitee="elsewhere")) == ["payload.old_invitee"]


@pytest.mark.parametrize("value", SAMPLES)
def test_what_is_cut_is_not_needed(value: dict[str, Any]) -> None:
    found = redacted_by(TOOL, value)

    assert verdict(found) == verdict(value)
    assert "private" not in json.dumps(found)
    assert "Somebody" not in json.dumps(found)


@given(mutated(SAMPLES))
def test_whatever_calendly_or_somebody_else_sends_gets_a_verdict(value: object) -> None:
    assert translated(TOOL, value, ToolSettings())


@given(
    st.text() | st.lists(st.sampled_from(["t=1772452800", "v1=", "v1=00", "t=", ",", "="])).map(",".join), st.binary()
)
def test_whatever_the_header_is_it_proves_nothing(header: str, body: bytes) -> None:
    assert isinstance(TOOL.verify(received(header, body), SECRET, NOW), Unverified)
