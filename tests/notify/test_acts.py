"""People act on alerts from the command line, and an instance does what they ask."""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.alerts import Alert, AlertAct
from services.notify.__main__ import main
from services.notify.topics import NotifyTopics
from services.runtime.kafka import Producer, read_to_end
from tests.notify.building import Pair, clock, day, hour
from tests.notify.conftest import Notify
from tests.receiver import Receiver, eventually
from tests.schemas.golden import example

LOW = 38.0


@pytest.fixture
def topics(notify: Notify, monkeypatch: pytest.MonkeyPatch) -> Notify:
    """Commands work on the topics of this test."""
    monkeypatch.setenv("RAPPORT_KAFKA", notify.settings.kafka)
    monkeypatch.setattr(NotifyTopics, "at", classmethod(lambda _, __: notify.names))
    return notify


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def acts(notify: Notify) -> Sequence[AlertAct]:
    return [event.data for event in notify.alerts() if isinstance(event.data, AlertAct)]


def keys(output: str) -> list[str]:
    return [line.split()[0] for line in output.splitlines() if "  P" in line]


def test_an_alert_is_listed_acknowledged_and_explained(topics: Notify, receiver: Receiver) -> None:
    topics.start()
    topics.write(Pair().changed(hour(0), health=LOW), clock(day(2)))
    eventually(lambda: receiver.of("4F2"), what="the webhook")

    (key,) = keys(run("alerts", "--program", "spruce"))
    run("ack", key[:12], "--note", "I call them", "--by", "person-7")
    run("vote", key, "--not-useful", "--because", "knew")
    eventually(lambda: len(acts(topics)) == 2, what="both acts")

    assert "acknowledged by person-7" in run("alerts")
    assert "0 open alerts" in run("alerts", "--tenant", "other")
    explained = run("explain", key[:12])
    assert "fired P3, episode 1, seq 1, health_low v1" in explained
    assert f"rests on {topics.names.scores} partition 0 offset 1" in explained
    assert "route    passed   catch-all: log, webhook" in explained
    assert "fired by webhook delivered: attempt 1, HTTP 200" in explained
    assert "vote (not_useful, knew) by operator: acknowledged" in explained


def test_a_silence_keeps_what_matches_from_people_and_outlives_a_restart(topics: Notify, receiver: Receiver) -> None:
    first = topics.start(RAPPORT_CLOCK="wall")
    run("silence", "--tenant", "acme", "--relationship", "quiet", "--until", "3d", "--name", "fair")
    eventually(lambda: list(read_to_end(topics.settings, [topics.names.shared_state])), what="the silence")
    first.kill()
    first.wait(10)

    topics.start(RAPPORT_CLOCK="wall")
    soon = datetime.now(UTC) + timedelta(minutes=1)
    low: dict[str, Any] = {"health": LOW, "last_contact": soon - timedelta(hours=24)}
    rows = [Pair(name).changed(soon - timedelta(hours=24), **low) for name in ("quiet", "loud")]
    topics.write(*rows, clock(soon))
    eventually(lambda: receiver.of("loud"), what="the webhook")

    silenced = [event.data for event in topics.alerts() if event.subject == "quiet"]
    assert [alert.not_sent[:12] for alert in silenced if isinstance(alert, Alert) and alert.not_sent] == [
        "silence fair"
    ]
    assert receiver.of("quiet") == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("silence", "--tenant", "acme", "--until", "soon"), 2, "neither a span like 3d nor an instant"),
        (("silence", "--tenant", "acme", "--until", "2026-01-01T00:00:00"), 2, "has no zone"),
        (("silence", "--tenant", "a b", "--until", "3d"), 2, "tenant"),
        (("ack", "abc"), 1, "at least 6 characters"),
        (("explain", "abc"), 1, "at least 6 characters"),
        (("ack", "abcdef"), 1, "no alerts have a key that begins with abcdef"),
        (("explain", "abcdef"), 1, "nothing was decided about an alert whose key begins with abcdef"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(
    topics: Notify, arguments: Sequence[str], code: int, words: str
) -> None:
    assert topics.names is not None

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == code
    assert words in result.output


def test_an_act_that_nobody_can_read_or_that_is_about_nothing_stops_nothing(topics: Notify, receiver: Receiver) -> None:
    topics.start()
    producer = Producer(topics.settings)
    for value in (b"\xff", b"{}", _command("no-such-pair")):
        producer.send(topics.names.commands, b"x", value).get(10)
    producer.close()

    topics.write(Pair().changed(hour(0), health=LOW), clock(day(2)))
    eventually(lambda: receiver.of("4F2"), what="the webhook")

    assert topics.log().count("command_unreadable") == 2
    assert "there is no such alert" in topics.log()


def _command(subject: str) -> bytes:
    return json.dumps(
        example("alertcommand") | {"alert": example("alertcommand")["alert"] | {"subject": subject}}
    ).encode()


def test_a_command_that_the_broker_does_not_take_says_why_and_leaves_nothing_open(
    topics: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = replace(topics.names, commands=f"{topics.names.commands}-that-nobody-made")
    monkeypatch.setattr(NotifyTopics, "at", classmethod(lambda _, __: nowhere))
    before = set(threading.enumerate())

    result = CliRunner().invoke(main, ["silence", "--tenant", "acme", "--until", "1d"])

    assert result.exit_code == 1
    assert "rapport notify: " in result.output
    assert [one.name for one in threading.enumerate() if one not in before] == []
