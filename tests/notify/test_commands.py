"""The command line of notify."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.local.kafka import LocalKafka
from schemas.alerts import AlertChanged, Delivery
from schemas.events import to_json
from schemas.topics import ALERTS, DELIVERIES, DIRECTORY, PROGRAMS, ROSTER
from services.ingest.domain.people.relationship_history import RelationshipHistory
from services.ingest.flow.people.projected_topics import roster_value
from services.notify.__main__ import main
from services.notify.domain.decisions import alert_changed
from services.notify.domain.deliveries import mark_dead
from services.notify.flow.command_processor import HEADER, REPLAY
from services.notify.topics import NotifyTopics
from services.runtime.kafka import Producer, Record, create_topics, read_to_end
from services.runtime.settings import Settings
from tests.notify.building import Pair, apply_event, clock, day, hour, new_alerts
from tests.notify.emulators import ROUTING_KEY, PagerDuty, Slack, emulating
from tests.notify.naming import participant, programme
from tests.notify.sending import episode
from tests.receiver import SECRET, Receiver, receiving
from tests.schemas.golden import read


def test_check_prints_and_validates_the_rules() -> None:
    result = CliRunner().invoke(main, ["check"])

    assert result.exit_code == 0
    assert "health_low v1: health <= 40 for 24 h is P3" in result.output
    assert "9 rules are valid" in result.output


def test_serve_check_prints_the_settings_and_hides_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_NOTIFY_WEBHOOK_SECRET", SECRET)

    result = CliRunner().invoke(main, ["serve", "--check"])

    assert result.exit_code == 0
    assert "RAPPORT_NOTIFY_WEBHOOK_SECRET=**********  (set)" in result.output
    assert SECRET not in result.output


def test_invalid_settings_name_the_variable_and_exit_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_NOTIFY_WEBHOOK_URL", "https://example.org/hook")

    result = CliRunner().invoke(main, ["serve", "--check"])

    assert result.exit_code == 2
    assert "RAPPORT_NOTIFY_WEBHOOK_URL: Value error, needs RAPPORT_NOTIFY_WEBHOOK_SECRET" in result.output


@dataclass
class Stack:
    """Topics that notify's commands read, on the broker that the tests share; what a test writes has ids of its own."""

    settings: Settings
    receiver: Receiver

    def write(self, topic: str, key: str, value: bytes, **options: Any) -> None:  # noqa: ANN401
        producer = Producer(self.settings)
        producer.send(topic, key.encode(), value, **options).get(10)
        producer.close()

    def deliver(self, delivery: Delivery) -> None:
        self.write(DELIVERIES.name, delivery.delivery_id, delivery.model_dump_json().encode())

    def last(self, delivery: Delivery) -> Record:
        records = read_to_end(self.settings, [DELIVERIES.name])
        return [record for record in records if record.key == delivery.delivery_id.encode()][-1]


@pytest.fixture
def stack(local_kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    settings = Settings(kafka=local_kafka.bootstrap)
    compacted: dict[str, Any] = {
        "num_partitions": 2,
        "replication_factor": 1,
        "configs": {"cleanup.policy": "compact"},
    }
    names = NotifyTopics()
    topics = (names.deliveries, names.alerts, names.directory, names.programs, names.roster)
    create_topics(settings, dict.fromkeys(topics, compacted))
    with receiving() as receiver:
        monkeypatch.setenv("RAPPORT_KAFKA", local_kafka.bootstrap)
        monkeypatch.setenv("RAPPORT_NOTIFY_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("RAPPORT_NOTIFY_WEBHOOK_SECRET", SECRET)
        monkeypatch.setenv("RAPPORT_NOTIFY_WEBHOOK_ALLOW_PRIVATE", "true")
        yield Stack(settings, receiver)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def dead_letter(relationship: str) -> Delivery:
    return mark_dead(episode("webhook", "webhook", relationship)[0], "HTTP 422", day(9))


def test_dead_letters_are_listed_with_their_reason_and_their_destination(stack: Stack, pair: str) -> None:
    stack.deliver(dead_letter(pair))
    stack.deliver(episode("webhook", "webhook", f"{pair}-open")[0])

    dead, unfinished = invoke("deliveries", "--dead"), invoke("deliveries", "--open")

    line = next(line for line in dead.stdout.splitlines() if pair in line)
    assert dead.exit_code == 0
    assert all(word in line for word in ("dead", "webhook", "HTTP 422"))
    assert f"{pair}-open" in unfinished.output
    assert f"acme/{pair} " not in unfinished.output


def test_a_dead_letter_is_replayed_under_its_id(stack: Stack, pair: str) -> None:
    letter = dead_letter(pair)
    stack.deliver(letter)

    result = invoke("replay", letter.delivery_id[:16])

    assert result.exit_code == 0, result.output
    record = stack.last(letter)
    again = Delivery.model_validate_json(record.value or b"")
    assert record.headers == ((HEADER, REPLAY),)
    assert (again.state, again.attempt, again.status) == ("planned", 0, "replayed")


def test_a_dead_letter_is_discarded(stack: Stack, pair: str) -> None:
    letter = dead_letter(pair)
    stack.deliver(letter)

    result = invoke("discard", letter.delivery_id[:16])

    assert result.exit_code == 0, result.output
    assert stack.last(letter).value is None
    assert pair not in invoke("deliveries").output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "name the deliveries, or say --all"),
        (("0123456789abcdef", "--all"), "name the deliveries, or say --all"),
        (("01234",), "give at least 6 characters"),
        (("0123456789abcdef",), "0 deliveries that were given up have such an id"),
    ],
)
def test_only_what_was_given_up_is_replayed(stack: Stack, arguments: tuple[str, ...], reason: str) -> None:
    del stack

    result = invoke("replay", *arguments)

    assert result.exit_code == 1
    assert reason in result.output


def test_a_preview_names_people_as_they_are_called_now(stack: Stack, pair: str) -> None:
    event = alert_of(pair)
    stack.write(ALERTS.name, f"acme/{pair}", to_json(event))
    for id_, name in (("p-1041", "Ana Ruiz"), ("p-2077", "Ben Ode")):
        stack.write(DIRECTORY.name, f"acme/{id_}", participant(id_, name).model_dump_json().encode())
    history = RelationshipHistory().with_event(read("relationship.started.v1"))  # type: ignore[arg-type]
    stack.write(ROSTER.name, f"acme/{pair}", roster_value(1, history))

    mail = invoke("preview", event.data.dedup_key)
    card = invoke("preview", event.data.dedup_key, "--channel", "teams", "--raw")

    assert mail.exit_code == 0, mail.output
    # What else lies on the topics is logged where it cannot be read.
    assert "Subject: spruce: Ana Ruiz & Ben Ode: health low\n\nNEW" in mail.output
    assert json.loads(card.stdout[card.stdout.index('{"') :])["type"] == "message"


def test_a_preview_of_what_was_not_sent_says_so(stack: Stack, pair: str) -> None:
    event = alert_of(pair)
    muted = event.model_copy(update={"data": event.data.model_copy(update={"not_sent": "replay: history told again"})})
    stack.write(ALERTS.name, f"acme/{pair}", to_json(muted))

    result = invoke("preview", event.data.dedup_key, "--channel", "log")

    assert "it was not sent: replay: history told again" in result.output


@pytest.mark.parametrize(("alert", "reason"), [("0" * 8, "has no alert that begins with"), ("0", "at least 6")])
def test_a_preview_of_nothing_says_so(stack: Stack, alert: str, reason: str) -> None:
    del stack

    result = invoke("preview", alert)

    assert result.exit_code == 1
    assert reason in result.output


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(200, 0, "taken (HTTP 200)"), (422, 1, "the message was refused"), (410, 1, "messages would wait")],
)
def test_a_test_message_says_what_came_of_it(stack: Stack, status: int, code: int, words: str) -> None:
    stack.receiver.answer = lambda _: (status, {})

    result = invoke("test", "--to", "webhook")

    assert result.exit_code == code
    assert words in result.output
    assert stack.receiver.calls[0].verified()["data"]["summary"].startswith("Test message of Rapport")


def test_where_an_alert_would_go_and_why_is_reported(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = programme(tenant="routed", coordinator="p-8", deputy=None, time_zone="Asia/Tokyo")
    stack.write(PROGRAMS.name, "routed/spruce", described.model_dump_json().encode())
    known = participant("p-8", "Ana", tenant="routed", addresses=("ana@acme.example",), time_zone="Asia/Tokyo")
    stack.write(DIRECTORY.name, "routed/p-8", known.model_dump_json().encode())
    file = tmp_path / "destinations.yaml"
    file.write_text(
        "destinations: [{name: owners, channel: smtp, host: mail, sender: r@acme.example, to: owner},"
        " {name: chat, channel: slack, url_env: URL}]\n"
        "routes: [{classes: [P2], programs: [spruce], to: [owners, webhook]}, {to: [chat]}]\notherwise: chat\n"
    )
    monkeypatch.setenv("RAPPORT_NOTIFY_DESTINATIONS", str(file))
    monkeypatch.setenv("URL", "https://hooks.slack.com/services/x")
    monkeypatch.setenv("RAPPORT_CLOCK", "wall")

    found = invoke("test", "--rule", "health_low", "--tenant", "routed", "--program", "spruce")
    refusals = [invoke("test"), invoke("test", "--rule", "r"), invoke("test", "--to", "owners")]

    why, _, owners, webhook = found.stdout.splitlines()[-4:]
    assert why == "route 1 (class P2; programme spruce): log, owners, webhook; owners is p-8 (coordinator)"
    assert owners.startswith("owners (smtp) for p-8: batch, ")
    assert owners.endswith(" Asia/Tokyo at the earliest")
    assert webhook == "webhook (webhook): at once"
    assert [refusal.exit_code for refusal in refusals] == [2, 2, 1]
    assert "say --to DESTINATION, or --rule" in refusals[0].output


def test_a_test_of_pagerduty_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = PagerDuty()
    with emulating(found):
        configure(tmp_path, monkeypatch, f"{{name: pd, channel: pagerduty, url: '{found.url}', routing_key_env: PD}}")
        monkeypatch.setenv("PD", ROUTING_KEY)

        result = invoke("test", "--to", "pd")

    assert result.exit_code == 0, result.output
    assert found.states() == ["resolved"]


def test_a_test_reaches_people_as_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with emulating(Slack()) as slack:
        configure(tmp_path, monkeypatch, "{name: chat, channel: slack, url_env: URL}")
        monkeypatch.setenv("URL", slack.url)

        result = invoke("test", "--to", "chat")

    assert result.exit_code == 0, result.output
    assert slack.accepted[0]["text"] == "Rapport reaches you here"


def test_a_destination_that_nobody_knows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, monkeypatch, "")

    result = invoke("test", "--to", "nobody")

    assert result.exit_code == 1
    assert "there is no destination 'nobody'" in result.output


def test_destinations_are_checked_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = configure(tmp_path, monkeypatch, "{name: chat, channel: slack, url_env: URL}")
    monkeypatch.setenv("URL", "https://hooks.slack.com/services/secret0secret")

    checked, all_ = invoke("destinations", "check", str(file)), invoke("destinations", "list")
    monkeypatch.delenv("URL")
    refusals = [invoke("destinations", "check", str(file)), invoke("destinations", "list"), invoke("serve")]

    hours = "quiet 18:00-08:00 and on days off, digest at 08:30, zone of the person or the programme"
    said = f"chat: slack, gets alerts, tenant any, all programmes, {hours}"
    assert checked.stdout == f"{said}\n1 destinations are valid\n"
    assert "log: log" in all_.output
    assert [result.exit_code for result in refusals] == [1, 2, 2]
    assert all("the environment has no URL" in result.output for result in refusals)


def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: str) -> Path:
    """Private addresses are allowed: the emulators live on loopback."""
    file = tmp_path / "destinations.yaml"
    file.write_text(f"destinations: [{entries.replace('}', ', allow_private: true}')}]")
    monkeypatch.setenv("RAPPORT_NOTIFY_DESTINATIONS", str(file))
    return file


def alert_of(relationship: str) -> AlertChanged:
    transitioned = apply_event(new_alerts(), Pair(relationship).changed(hour(0), health=30.0), clock(day(2)))
    return alert_changed(transitioned[0], day(9))


@pytest.fixture
def pair() -> str:
    return f"pair-{uuid.uuid4().hex[:8]}"
