import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingest.domain.activity import GenericActivity, Person, Voided
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.slack import TOOL, SlackSettings
from services.ingest.sources.tool import Handshake, Received, Unverified, Verified, hmac_hex
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import redacted_by

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SETTINGS = SlackSettings.model_validate(
    {
        "channels": {
            "C123ABC456": {"relationship": "rel-1"},
            "D123ABC456": {"people": ["U-ada", "U-bob"]},
            "G123ABC456": {"people": ["U-ada", "U-bob", "U-eve"]},
        }
    }
)


def callback(event: object, **changes: object) -> dict[str, Any]:
    outer = {
        "token": "XXYYZZ",
        "team_id": "T123ABC456",
        "api_app_id": "A123ABC456",
        "event": event,
        "type": "event_callback",
        "authorizations": [{"enterprise_id": None, "team_id": "T123ABC456", "user_id": "U-bot", "is_bot": True}],
        "event_context": "EC123ABC456",
        "event_id": "Ev123ABC456",
        "event_time": 1772445600,
    }
    return outer | changes


def message(**changes: object) -> dict[str, Any]:
    event = {
        "type": "message",
        "channel": "C123ABC456",
        "user": "U-ada",
        "text": "Something very private",
        "ts": "1772445600.000200",
        "event_ts": "1772445600.000200",
        "channel_type": "channel",
        "team": "T123ABC456",
        "client_msg_id": "b2a1",
        "blocks": [{"type": "rich_text", "elements": [{"type": "text", "text": "Something very private"}]}],
    }
    return callback(event | changes)


def deleted(**changes: object) -> dict[str, Any]:
    before = {"type": "message", "user": "U-ada", "text": "Something very private", "ts": "1772445600.000200"}
    event = {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "channel": "C123ABC456",
        "ts": "1772449200.000001",
        "deleted_ts": "1772445600.000200",
        "previous_message": before,
    }
    return callback(event | changes)


def changed(inner: object, **changes: object) -> dict[str, Any]:
    event = {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": "C123ABC456",
        "ts": "1772449200.000001",
        "message": inner,
        "previous_message": {"user": "U-ada", "text": "Something very private", "ts": "1772445600.000200"},
    }
    return callback(event | changes)


SAMPLES = [
    *(message(), message(thread_ts="1772445000.000100", parent_user_id="U-bob"), deleted()),
    changed(
        {"type": "message", "user": "U-ada", "text": "Edited", "ts": "1772445600.000200", "edited": {"user": "U-ada"}}
    ),
    changed({"subtype": "tombstone", "user": "USLACKBOT", "ts": "1772445600.000200", "hidden": True}),
    message(subtype="bot_message", bot_id="B1", user=None),
]


def verdict(value: object, limits: SlackSettings = SETTINGS) -> Any:  # noqa: ANN401 (each test knows what)
    return TOOL.translate(value, limits)


def only(value: object, limits: SlackSettings = SETTINGS) -> Any:  # noqa: ANN401
    result = verdict(value, limits)
    assert isinstance(result, tuple), result
    (one,) = result
    return one


def paths(value: object) -> list[str]:
    result = verdict(value)
    assert isinstance(result, Rejected), result
    return [error.path for error in result.errors]


def request(
    body: bytes, at: datetime = NOW, secret: str = SECRET, changes: Mapping[str, str] | None = None
) -> Received:
    stamp = str(int(at.timestamp()))
    signature = f"v0={hmac_hex(secret, f'v0:{stamp}:'.encode() + body)}"
    return Received({"x-slack-signature": signature, "x-slack-request-timestamp": stamp, **(changes or {})}, body)


def test_the_example_of_slacks_documentation_is_proven() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "x-slack-request-timestamp": "1531420618",
    }

    assert TOOL.verify(Received(headers, body), SECRET, datetime.fromtimestamp(1531420618, UTC)) == Verified()


def test_a_retry_is_proven_like_the_first() -> None:
    retried = request(b"{}", changes={"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"})

    assert TOOL.verify(retried, SECRET, NOW) == Verified()


@pytest.mark.parametrize(
    "received",
    [
        Received({}, b"{}"),
        request(b"{}", changes={"x-slack-signature": "v0=0"}),
        request(b"{}", changes={"x-slack-request-timestamp": "-5"}),
        request(b"{}", secret="another"),
        request(b"{}", NOW - timedelta(minutes=6)),
        request(b"{}", NOW + timedelta(minutes=6)),
        Received(request(b"{}").headers, b"{ }"),
    ],
)
def test_a_request_without_a_fresh_signature_of_these_bytes_is_refused(received: Received) -> None:
    assert isinstance(TOOL.verify(received, SECRET, NOW), Unverified)


def test_the_url_is_verified_with_the_challenge_if_slack_signed_it() -> None:
    body = json.dumps({"token": "J", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY", "type": "url_verification"}).encode()

    verification = TOOL.verify(request(body), SECRET, NOW)

    assert isinstance(verification, Handshake)
    assert json.loads(verification.body) == {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY"}
    assert isinstance(TOOL.verify(Received({}, body), SECRET, NOW), Unverified)


def test_a_message_in_the_channel_of_a_relationship_is_sent_by_its_author() -> None:
    one = only(message())

    assert isinstance(one, GenericActivity)
    assert (one.type, one.relationship, one.by) == ("mentoring.message.sent.v1", "rel-1", Person("U-ada"))
    assert one.time == datetime(2026, 3, 2, 10, 0, 0, 200, UTC)
    assert one.data == {"channel": "channel"}
    assert one.native.id == "C123ABC456:1772445600.000200"


def test_the_recipient_of_a_direct_message_comes_from_the_settings() -> None:
    one = only(message(channel="D123ABC456", channel_type="im", user="U-bob"))

    assert (one.people, one.by, one.relationship) == ((Person("U-ada"), Person("U-bob")), Person("U-bob"), "")
    assert one.data == {"channel": "direct"}


def test_in_a_group_message_all_of_its_people_read() -> None:
    assert len(only(message(channel="G123ABC456", channel_type="mpim")).people) == 3


def test_somebody_else_in_the_conversation_of_a_pair_is_none_of_the_pair() -> None:
    assert verdict(message(channel="D123ABC456", user="U-eve")) == Ignored("not_of_this_conversation")


def test_a_conversation_that_is_not_mapped_is_none_of_our_business() -> None:
    assert verdict(message(channel="C-other")) == Ignored("channel_not_mapped")
    assert verdict(message(channel="D-other", channel_type="im")) == Ignored("channel_not_mapped")
    assert verdict(deleted(channel="C-other")) == Ignored("channel_not_mapped")


def test_an_answer_names_the_message_at_the_head_of_its_thread() -> None:
    head, answer = only(message()), only(message(ts="1772445700.000300", thread_ts="1772445600.000200"))

    assert answer.data["reply_to"] == head.key


def test_the_head_of_a_thread_is_no_reply() -> None:
    assert "reply_to" not in only(message(thread_ts="1772445600.000200")).data
    assert "reply_to" not in only(message(thread_ts=None)).data


def test_a_second_delivery_of_a_message_is_the_same_message() -> None:
    retried = message()
    other_team = message(team="T-other") | {"event_id": "Ev-other", "team_id": "T-other", "event_time": 1772445601}

    assert only(retried) == only(other_team) == only(message())


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast", "me_message"])
def test_files_broadcasts_and_actions_are_messages_of_people(subtype: str) -> None:
    assert only(message(subtype=subtype)) == only(message())


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B1"},
        {"subtype": "bot_message", "user": None, "bot_id": "B1"},
        {"subtype": "bot_message"},
        {"user": "USLACKBOT"},
    ],
)
def test_bots_are_not_people(changes: dict[str, object]) -> None:
    assert verdict(message(**changes)) == Ignored("bot")
    assert verdict(deleted(previous_message=changes | {"ts": "1772445600.000200"})) == Ignored("bot")


@pytest.mark.parametrize(
    "subtype", ["channel_join", "channel_topic", "huddle_thread", "pinned_item", "reminder_add", "new"]
)
def test_notes_of_slack_about_a_channel_are_ignored(subtype: str) -> None:
    assert verdict(message(subtype=subtype)) == Ignored("subtype_not_used")


def test_an_edited_message_stays_one_message() -> None:
    assert verdict(SAMPLES[3]) == Ignored("edited")
    assert verdict(changed(None)) == Ignored("edited")


def test_a_deleted_message_is_voided() -> None:
    one = only(deleted())

    assert isinstance(one, Voided)
    assert one.target == only(message()).key
    assert one.time == datetime(2026, 3, 2, 11, 0, 0, 1, UTC)
    assert only(deleted(previous_message=None)) == one


def test_a_deleted_head_of_a_thread_leaves_a_tombstone_and_is_voided_too() -> None:
    assert only(SAMPLES[4]).target == only(message()).key


@pytest.mark.parametrize("subtype", ["channel_join", "channel_topic", "huddle_thread", "reminder_add"])
def test_what_takes_back_a_note_of_slacks_own_is_ignored_like_the_note(subtype: str) -> None:
    before = {"type": "message", "subtype": subtype, "user": "U-ada", "text": "x", "ts": "1772445600.000200"}

    for value in (deleted(previous_message=before), changed({"subtype": "tombstone", "ts": "1772445600.000200"})):
        value["event"]["previous_message"] = before
        assert verdict(value) == verdict(redacted_by(TOOL, value, SETTINGS)) == Ignored("subtype_not_used")


def test_what_takes_back_a_message_of_somebody_else_is_ignored_like_the_message() -> None:
    before = {"user": "U-eve", "ts": "1772445600.000200"}

    assert verdict(deleted(channel="D123ABC456", previous_message=before)) == Ignored("not_of_this_conversation")


def test_that_a_message_was_answered_is_no_message() -> None:
    value = message(user=None, text=None, message={"user": "U-ada", "ts": "1772445600.000200", "reply_count": 1})

    assert verdict(value) == verdict(redacted_by(TOOL, value, SETTINGS)) == Ignored("subtype_not_used")
    assert verdict(message(subtype="message_replied", user=None)) == Ignored("subtype_not_used")


def test_a_deletion_that_names_no_message_is_rejected() -> None:
    assert paths(deleted(deleted_ts=None)) == ["event.deleted_ts"]


@pytest.mark.parametrize(
    "name", ["reaction_added", "member_joined_channel", "app_mention", "channel_created", "new_event"]
)
def test_other_events_are_ignored_whatever_they_hold(name: str) -> None:
    assert verdict(callback({"type": name, "item": None, "ts": {}})) == Ignored("event_not_used")


def test_that_slack_held_back_events_is_counted() -> None:
    limited = {"token": "J", "type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1772445600}

    assert verdict(limited) == Ignored("rate_limited")


def test_only_events_of_configured_teams_are_accepted() -> None:
    limits = SETTINGS.model_copy(update={"teams": frozenset({"T123ABC456"})})
    grid = SETTINGS.model_copy(update={"teams": frozenset({"E1"})})

    assert only(message(), limits) == only(message())
    assert verdict(message() | {"team_id": "T-foreign"}, limits) == Ignored("other_team")
    assert only(message() | {"team_id": "T-foreign", "context_team_id": "T123ABC456"}, limits) == only(message())
    assert only(message() | {"enterprise_id": "E1"}, grid) == only(message())


@pytest.mark.parametrize(
    "channels",
    [
        {"C1": {}},
        {"C1": {"relationship": "r", "people": ["U1"]}},
        {"C1": {"relationship": "a@b"}},
        {"C1": {"users": []}},
    ],
)
def test_a_conversation_is_mapped_in_one_way_only(channels: object) -> None:
    with pytest.raises(ValidationError):
        SlackSettings.model_validate({"channels": channels})


def test_what_is_missing_or_odd_is_named_by_its_path() -> None:
    assert paths({}) == paths({"type": None}) == ["type"]
    assert paths({"type": "event_callback"}) == ["event"]
    assert paths(callback({})) == ["event.type"]
    assert paths(message(user=None)) == ["event.user"]
    assert paths(message(ts="soon", channel=7.5)) == ["event.ts", "event.channel"]
    assert paths(message(ts=None)) == ["event.ts"]


@pytest.mark.parametrize("value", SAMPLES)
def test_what_is_cut_is_not_needed(value: dict[str, Any]) -> None:
    found = redacted_by(TOOL, value, SETTINGS)

    assert verdict(found) == verdict(value)
    assert "private" not in json.dumps(found)
    assert "Edited" not in json.dumps(found)


def test_of_an_event_that_is_not_used_nothing_but_that_it_is_another_is_kept() -> None:
    changed_profile = {"type": "user_change", "user": {"profile": {"real_name": "Ada", "status_text": "At the doctor"}}}

    assert redacted_by(TOOL, callback(changed_profile), SETTINGS) == {
        "type": "event_callback",
        "event": {"type": "cut"},
    }
    assert redacted_by(TOOL, {"type": "Ada went home", "user": "Ada"}, SETTINGS) == {"type": "cut"}


@given(mutated(SAMPLES))
def test_whatever_slack_or_somebody_else_sends_gets_a_verdict(value: object) -> None:
    assert translated(TOOL, value, SETTINGS)


@given(st.dictionaries(st.sampled_from(["x-slack-signature", "x-slack-request-timestamp"]), st.text()), st.binary())
def test_whatever_the_headers_are_they_prove_nothing(headers: dict[str, str], body: bytes) -> None:
    assert isinstance(TOOL.verify(Received(headers, body), SECRET, NOW), Unverified)
