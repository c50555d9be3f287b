"""Slack, Teams and PagerDuty: what they get, what they make of it, and what their refusals mean."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from schemas.alerts import MAX_BODY, ChannelName, Delivery, DeliveryItem
from services.notify.channels.channel import Channel
from services.notify.channels.http_channels import ChatChannel, PagerDutyChannel
from services.notify.channels.verdicts import slack_verdict, teams_verdict
from services.notify.domain.deliveries import DeliveryAccepted, DestinationDown, MessageRejected, RetryLater, Verdict
from services.notify.domain.destinations import HttpTarget, PagerDutyOptions
from services.notify.domain.name_book import NameBook, PairRecord
from services.notify.rendering.phrases import next_act
from services.notify.rendering.renderer import TEAMS_BYTES
from tests.notify.emulators import ROUTING_KEY, Emulator, PagerDuty, Slack, Teams, emulating, teams_error
from tests.notify.naming import participant
from tests.notify.sending import episode, rendered, sending

ACT = "Ask both whether day and time still suit them, and agree on a slot that does."


def now() -> datetime:
    return datetime.now(UTC)


def opened(emulator: Emulator, routing_key: str = ROUTING_KEY) -> Channel:
    target = HttpTarget(emulator.url, allow_private=True, timeout_seconds=5)
    match emulator:
        case Slack():
            return ChatChannel(target, slack_verdict, now)
        case Teams():
            return ChatChannel(target, teams_verdict, now)
        case _:
            return PagerDutyChannel(PagerDutyOptions(target, SecretStr(routing_key)), now)


def send(emulator: Emulator, *deliveries: Delivery) -> list[Verdict]:
    with sending(lambda: opened(emulator)) as channel:
        return [channel.send(delivery) for delivery in deliveries]


@pytest.fixture
def slack() -> Iterator[Emulator]:
    with emulating(Slack()) as found:
        yield found


@pytest.fixture
def teams() -> Iterator[Emulator]:
    with emulating(Teams()) as found:
        yield found


@pytest.fixture
def pagerduty() -> Iterator[PagerDuty]:
    found = PagerDuty()
    with emulating(found):
        yield found


def test_slack_takes_blocks_whose_fallback_stands_alone(slack: Emulator) -> None:
    assert send(slack, rendered(episode("slack")[0])) == [DeliveryAccepted("HTTP 200")]

    (message,) = slack.accepted
    assert message["text"] == f"spruce: pair 4F2: health 38, low since 1 May. {ACT}"
    assert message["blocks"][0]["type"] == "header"


def test_teams_takes_a_card_of_a_version_that_its_clients_know(teams: Emulator) -> None:
    assert send(teams, rendered(episode("teams")[0])) == [DeliveryAccepted("HTTP 202")]

    (card,) = teams.accepted
    assert card["version"] == "1.2"
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": "https://pairs.example.org/4F2"}]


def test_a_name_is_neither_a_mention_nor_a_link_nor_markdown(slack: Emulator, teams: Emulator) -> None:
    people = NameBook()
    people.upsert(participant("p-1", "<!channel> [here](https://evil.example) <https://evil.example|x>"))
    people.upsert_pair("acme", "4F2", PairRecord(("p-1",), ()))

    send(slack, rendered(episode("slack")[0], people))
    send(teams, rendered(episode("teams")[0], people))

    assert "<!channel>" not in json.dumps(slack.accepted[0]["blocks"][1:])
    assert slack.accepted[0]["blocks"][0]["text"]["type"] == "plain_text"
    assert all(block["type"] == "RichTextBlock" for block in teams.accepted[0]["body"])


@pytest.mark.parametrize(
    ("status", "word", "verdict"),
    [
        (400, b"invalid_payload", MessageRejected("HTTP 400 invalid_payload")),
        (400, b"invalid_blocks", MessageRejected("HTTP 400 invalid_blocks")),
        (400, b"user_not_found", DestinationDown("HTTP 400 user_not_found")),
        (403, b"invalid_token", DestinationDown("HTTP 403 invalid_token")),
        (403, b"action_prohibited", DestinationDown("HTTP 403 action_prohibited")),
        (404, b"channel_not_found", DestinationDown("HTTP 404 channel_not_found")),
        (404, b"no_service", DestinationDown("HTTP 404 no_service")),
        (410, b"channel_is_archived", DestinationDown("HTTP 410 channel_is_archived")),
        (500, b"rollup_error", RetryLater("HTTP 500")),
        (400, b"<html>sig=secret0secret</html>", MessageRejected("HTTP 400")),
    ],
)
def test_slacks_words_say_whether_message_or_destination_is_at_fault(
    slack: Emulator, status: int, word: bytes, verdict: Verdict
) -> None:
    slack.fault = (status, {}, word)

    assert send(slack, rendered(episode("slack")[0])) == [verdict]


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (400, "TriggerInputSchemaMismatch", MessageRejected("HTTP 400 TriggerInputSchemaMismatch")),
        (400, "WorkflowTriggerIsNotEnabled", DestinationDown("HTTP 400 WorkflowTriggerIsNotEnabled")),
        (401, "DirectApiAuthorizationRequired", DestinationDown("HTTP 401 DirectApiAuthorizationRequired")),
        (404, "WorkflowNotFound", DestinationDown("HTTP 404 WorkflowNotFound")),
        (413, "", MessageRejected("HTTP 413")),
        (502, "", RetryLater("HTTP 502")),
    ],
)
def test_teams_codes_say_whether_message_or_flow_is_at_fault(
    teams: Emulator, status: int, code: str, verdict: Verdict
) -> None:
    teams.fault = teams_error(status, code)

    assert send(teams, rendered(episode("teams")[0])) == [verdict]


@pytest.mark.parametrize("kind", [Slack, Teams, PagerDuty])
def test_whoever_sends_too_much_waits_as_long_as_was_asked(kind: type[Emulator]) -> None:
    channels: dict[type[Emulator], ChannelName] = {Slack: "slack", Teams: "teams", PagerDuty: "pagerduty"}
    with emulating(kind()) as emulator:  # type: ignore[call-arg]
        emulator.fault = (429, {"retry-after": "30"}, b"rate_limited")
        (verdict,) = send(emulator, rendered(episode(channels[kind])[0]))

    assert isinstance(verdict, DestinationDown)
    assert verdict.wait == timedelta(seconds=30)


def test_an_incident_is_opened_appended_to_and_resolved_under_one_key(pagerduty: PagerDuty) -> None:
    fired, escalated, resolved = map(rendered, episode("pagerduty"))

    verdicts = send(pagerduty, fired, escalated)
    (incident,) = pagerduty.incidents[fired.dedup_key]
    assert verdicts == [DeliveryAccepted("HTTP 202", fired.dedup_key)] * 2
    assert (incident["state"], len(incident["log"])) == ("triggered", 2)

    send(pagerduty, resolved)
    assert pagerduty.states() == ["resolved"]


def test_an_acknowledgement_stops_the_paging_and_does_not_close(pagerduty: PagerDuty) -> None:
    fired = episode("pagerduty")[0]
    acknowledged = fired.model_copy(update={"alert": fired.alert.model_copy(update={"transition": "acknowledged"})})

    send(pagerduty, rendered(fired), rendered(acknowledged))

    assert pagerduty.states() == ["acknowledged"]


def test_a_repeat_changes_nothing_and_what_comes_after_the_end_is_a_new_incident(pagerduty: PagerDuty) -> None:
    fired, _, resolved = map(rendered, episode("pagerduty"))

    send(pagerduty, fired, resolved, resolved, fired)

    assert pagerduty.states() == ["resolved", "triggered"]


def test_pagerduty_holds_ids_and_no_names(pagerduty: PagerDuty) -> None:
    people = NameBook()
    people.upsert(participant("p-1", "Ana Ruiz"))
    people.upsert_pair("acme", "4F2", PairRecord(("p-1",), ()))

    send(pagerduty, rendered(episode("pagerduty")[0], people))

    assert "Ana" not in json.dumps(pagerduty.accepted)


def test_a_wrong_routing_key_is_the_destinations_fault_and_a_wrong_event_its_own(pagerduty: PagerDuty) -> None:
    fired = rendered(episode("pagerduty")[0])
    with sending(lambda: opened(pagerduty, "0" * 32)) as channel:
        assert channel.send(fired) == DestinationDown("HTTP 400: the routing key is not valid")

    event = json.loads(fired.body or "")
    event["payload"]["summary"] = ""
    assert send(pagerduty, fired.model_copy(update={"body": json.dumps(event)})) == [MessageRejected("HTTP 400")]


NASTY = st.text(st.characters(codec="utf-8"), max_size=200)


@given(NASTY, NASTY, st.integers(0, 9))
def test_whatever_people_are_called_a_message_is_within_the_limits_of_its_channel(
    name: str, words: str, items: int
) -> None:
    people = NameBook()
    for one in ("p-1", "p-2", "p-3"):
        people.upsert(participant(one, name or "-"))
    people.upsert_pair("acme", "4F2", PairRecord(("p-1", "p-2", "p-3"), ("p-1", "p-2", "p-3")))
    first = episode("slack")[0]
    reasons = tuple(reason.model_copy(update={"words": words}) for reason in first.alert.reasons)
    alert = first.alert.model_copy(update={"reasons": reasons, "summary": words})
    item = DeliveryItem(program="spruce", relationship="4F2", alert=alert)
    given_ = first.model_copy(update={"alert": alert, "items": (item,) * items, "more": 7})

    bodies = {
        c: rendered(given_.model_copy(update={"channel": c}), people).body or "" for c in ("smtp", "slack", "teams")
    }

    assert max(map(len, bodies.values())) <= MAX_BODY
    assert len(bodies["teams"].encode()) <= TEAMS_BYTES
    assert Slack().answer({"content-type": "application/json"}, bodies["slack"].encode())[0] == 200
    assert Teams().answer({}, bodies["teams"].encode())[0] == 202
    text = json.loads(bodies["smtp"])["text"]
    assert len(text.split("\n")[0].removesuffix(f". {next_act(alert, people.naming('acme', 'spruce', '4F2'))}")) <= 80
