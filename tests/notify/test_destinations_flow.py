"""Destinations, requests and people as they change while notify runs, on the real broker."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.alerts import Delivery
from services.ingest.domain.people.relationship_history import RelationshipHistory
from services.ingest.flow.people.projected_topics import RosterRecord, dump, roster_value
from services.notify.domain.deliveries import reset_for_replay, start_attempt
from services.notify.flow.command_processor import DISCARD, HEADER, REPLAY
from services.runtime.kafka import Producer, read_to_end
from tests.notify.building import Pair, clock, day, hour
from tests.notify.conftest import Notify
from tests.notify.emulators import Slack, emulating
from tests.notify.naming import participant
from tests.notify.sending import episode
from tests.receiver import Receiver, eventually
from tests.schemas.golden import read

LOW = 30.0


def write(notify: Notify, topic: str, key: str, value: bytes | None, header: bytes | None = None) -> None:
    producer = Producer(notify.settings)
    headers = [(HEADER, header)] if header else []
    producer.send(topic, key.encode(), value, headers=headers).get(10)
    producer.close()


def chat(url: str) -> str:
    return f"destinations: [{{name: chat, channel: slack, url_file: chat-url, allow_private: true}}] # {url}"


def test_a_destination_is_found_while_notify_runs_and_a_fault_of_the_file_stops_nothing(
    notify: Notify, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "destinations.yaml"
    file.write_text("destinations: []")
    with emulating(Slack()) as slack:
        (tmp_path / "chat-url").write_text(slack.url)
        notify.start(RAPPORT_NOTIFY_DESTINATIONS=str(file))
        notify.write(Pair("before").changed(hour(0), health=LOW), clock(day(2)))
        eventually(lambda: receiver.of("before"), what="the webhook")

        file.write_text("destinations: [{name: chat, channel: fax}]")
        eventually(lambda: "destinations_at_fault" in notify.log(), what="the fault")
        file.write_text(chat(slack.url))
        eventually(lambda: "destinations_changed" in notify.log(), what="the change")
        notify.write(Pair("after").changed(day(2), health=LOW), clock(day(4)))
        eventually(lambda: slack.accepted, what="the message")

        assert "after" in slack.accepted[0]["text"]
        assert notify.states("before", "slack") == []
        assert "secret0secret" not in notify.log()


def test_what_is_sent_names_people_and_what_is_kept_of_the_erased_does_not(notify: Notify, tmp_path: Path) -> None:
    names = notify.names
    write(notify, names.directory, "acme/p-1041", participant("p-1041", "Ana Ruiz").model_dump_json().encode())
    history = RelationshipHistory().with_event(read("relationship.started.v1"))  # type: ignore[arg-type]
    write(notify, names.roster, "acme/4F2", roster_value(1, history))
    file = tmp_path / "destinations.yaml"
    with emulating(Slack()) as slack:
        (tmp_path / "chat-url").write_text(slack.url)
        file.write_text(chat(slack.url))
        notify.start(RAPPORT_NOTIFY_DESTINATIONS=str(file))
        notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))
        eventually(lambda: notify.states("4F2", "slack") == ["delivered"], what="the delivery")
        assert "Ana Ruiz" in slack.accepted[0]["text"]
        assert "Ana Ruiz" in (notify.deliveries("4F2", "slack")[0].body or "")

        write(notify, names.directory, "acme/p-1041", None)
        eventually(lambda: notify.states("4F2", "slack") == [], what="the tombstone")

    assert notify.states("4F2", "webhook") == ["delivered"]
    alerts = [record.value or b"" for record in read_to_end(notify.settings, [names.alerts])]
    assert len(alerts) == 4
    assert not any(b"Ana Ruiz" in value for value in alerts)
    assert "Ana Ruiz" not in notify.log()


def test_a_dead_letter_is_replayed_and_discarded_while_notify_runs(notify: Notify, receiver: Receiver) -> None:
    receiver.answer = lambda _: (422, {})
    notify.start()
    notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))
    eventually(lambda: notify.states("4F2") == ["dead"], what="the dead letter")
    (dead,) = notify.deliveries("4F2")

    again = reset_for_replay(dead, day(100))
    write(notify, notify.names.deliveries, dead.delivery_id, again.model_dump_json().encode(), REPLAY)
    eventually(lambda: len(receiver.of("4F2")) == 2, what="the second attempt")
    eventually(lambda: notify.states("4F2") == ["dead"], what="the second dead letter")
    write(notify, notify.names.deliveries, dead.delivery_id, None, DISCARD)

    assert notify.states("4F2") == []
    assert len({call.webhook_id for call in receiver.calls}) == 1


@pytest.mark.parametrize("state", ["planned", "dead"])
def test_a_record_of_an_older_version_is_read(notify: Notify, receiver: Receiver, state: str) -> None:
    delivery = episode("webhook", receiver.url)[0].model_copy(update={"state": state, "changed_at": day(900)})
    old = json.loads(delivery.model_dump_json())
    for name in ("items", "more", "body", "people", "repeat", "fallback_of", "provider_id"):
        del old[name]
    write(notify, notify.names.deliveries, delivery.delivery_id, json.dumps(old).encode())

    notify.start()

    eventually(lambda: "restored" in notify.log(), what="the start")
    if state == "planned":
        eventually(lambda: notify.states("4F2") == ["delivered"], what="the delivery")
        assert [call.webhook_id for call in receiver.calls] == [delivery.delivery_id]
        assert notify.deliveries("4F2")[0].recipient == "webhook"
    else:
        notify.write(Pair("other").changed(hour(0), health=LOW), clock(day(2)))
        eventually(lambda: notify.states("other") == ["delivered"], what="the delivery of another")
        assert receiver.of("4F2") == []


def test_what_a_crash_interrupted_on_a_channel_without_keys_comes_twice_at_most_and_says_so(
    notify: Notify, tmp_path: Path
) -> None:
    delivery: Delivery = start_attempt(episode("slack", "chat")[1], day(9))
    write(notify, notify.names.deliveries, delivery.delivery_id, delivery.model_dump_json().encode())
    file = tmp_path / "destinations.yaml"
    with emulating(Slack()) as slack:
        (tmp_path / "chat-url").write_text(slack.url)
        file.write_text(chat(slack.url))
        notify.start(RAPPORT_NOTIFY_DESTINATIONS=str(file))

        eventually(lambda: notify.states("4F2", "slack") == ["delivered"], what="the second message")

    assert len(slack.accepted) == 1
    assert "may be a repeat" in str(slack.accepted)


def test_what_waits_for_people_outlives_a_restart_and_goes_with_an_erasure(
    notify: Notify, receiver: Receiver, tmp_path: Path
) -> None:
    now, names = datetime.now(UTC), notify.names
    history = RelationshipHistory().with_event(read("relationship.started.v1"))  # type: ignore[arg-type]
    write(notify, names.roster, "acme/4F2", roster_value(1, history))
    file = tmp_path / "destinations.yaml"
    with emulating(Slack()) as slack:
        (tmp_path / "chat-url").write_text(slack.url)
        later = f"{now + timedelta(hours=6):%H:%M}"
        hours = f'quiet_hours: "00:00-00:00", digest_at: "{later}", time_zone: UTC'
        file.write_text(
            f"destinations: [{{name: chat, channel: slack, url_file: chat-url, allow_private: true, {hours}}}]"
        )
        first = notify.start(RAPPORT_NOTIFY_DESTINATIONS=str(file), RAPPORT_CLOCK="wall")
        low = Pair().changed(now - timedelta(hours=25), health=LOW, last_contact=now - timedelta(hours=26))
        notify.write(low, clock(now))
        eventually(lambda: receiver.of("4F2"), what="the webhook")
        eventually(lambda: notify.states("4F2", "slack") == ["held"], what="what is held")
        first.kill()
        first.wait(10)

        notify.start(RAPPORT_NOTIFY_DESTINATIONS=str(file), RAPPORT_CLOCK="wall")
        eventually(lambda: "restored" in notify.log(1), what="the second start")
        assert notify.states("4F2", "slack") == ["held"]
        write(notify, names.roster, "acme/4F2", dump(RosterRecord(position=2, erased=True)))
        eventually(lambda: len(receiver.of("4F2")) == 2, what="the end")
        eventually(lambda: not redacted_by(notify, b"4F2"), what="the tombstones")

        assert receiver.of("4F2")[1].data["why"] == "relationship erased"
        assert slack.accepted == []


def redacted_by(notify: Notify, relationship: bytes) -> list[bytes]:
    """What the compacted topics of notify still hold of it."""
    last: dict[tuple[str, bytes | None], bytes] = {}
    for record in read_to_end(notify.settings, [notify.names.deliveries, notify.names.alert_state]):
        last[record.topic, record.key] = record.value or b""
    return [value for value in last.values() if relationship in value]
