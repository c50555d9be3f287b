"""Rules, programmes and sources as they reach notify as a process on the real broker, and the commands about rules."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from schemas.alerts import Alert, AlertChanged
from schemas.programs import Programme, Source, SourceWatermark
from schemas.rule_sets import RULE_EVENT, RulesShadowed
from services.notify.commands import rules as commands
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime.kafka import Producer, read_to_end
from tests.notify.building import START, Pair, clock, day, hour
from tests.notify.conftest import Notify
from tests.notify.test_flow import TAKEOVER_SECONDS
from tests.receiver import Receiver, eventually

FEED = "/calendar"
STRICT = {
    "tenant": "acme",
    "program": "spruce",
    "version": "strict",
    "shadow_hours": 24,
    "rules": {"health_low": {"tiers": [{"level": 50, "for_hours": 12, "urgency": "P2"}], "clear": 75}},
}


def put(notify: Notify, topic: str, key: str, value: str) -> None:
    producer = Producer(notify.settings)
    producer.send(topic, key.encode(), value.encode(), partition=0).get(10)
    producer.close()


def describe(notify: Notify, *sources: str, at: datetime = START) -> None:
    expected = tuple(Source(source=source, interval_hours=24) for source in sources)
    programme = Programme(id="spruce", tenant="acme", sources=expected, recordedtime=at)
    put(notify, notify.names.programs, "acme/spruce", programme.model_dump_json())


def speak(notify: Notify, at: datetime) -> None:
    mark = SourceWatermark(tenant="acme", source=FEED, time=at, recordedtime=at)
    put(notify, notify.names.sources, f"acme/{FEED}", mark.model_dump_json())


def changes(notify: Notify) -> list[AlertChanged]:
    return [event for event in notify.alerts() if event.type == "mentoring.alert.changed.v1"]


def told(notify: Notify) -> list[tuple[str, str]]:
    return [(event.data.rule, event.data.transition) for event in changes(notify) if isinstance(event.data, Alert)]


def test_a_silent_source_is_reported_freezes_its_pairs_and_releases_them_in_one_digest(
    notify: Notify, receiver: Receiver
) -> None:
    wall = datetime.now(UTC)

    def ago(days: float) -> datetime:
        return wall - timedelta(days=days)

    describe(notify, FEED, at=ago(9))
    speak(notify, ago(6))
    pairs = [Pair(name, defaults={"sources": (FEED,), "last_contact": ago(6)}) for name in ("a", "b")]
    process = notify.start(RAPPORT_CLOCK="wall")
    notify.write(clock(ago(7)), *(pair.changed(ago(4.2), health=30) for pair in pairs), clock(ago(4.1)))
    eventually(lambda: "batch_done" in notify.log(), what="the scores")

    # 1. It falls silent before they are due.
    notify.write(clock(ago(3.9)), clock(ago(2)))
    eventually(lambda: told(notify) == [("source_silent", "fired")], what="the silence")
    eventually(lambda: len(receiver.calls) == 1, what="the webhook")
    (silent,) = changes(notify)
    assert silent.data.subject_kind == "source"
    assert silent.data.reading is None

    # 2. What is known stands over a restart.
    process.kill()
    process.wait(10)
    notify.start(RAPPORT_CLOCK="wall")
    notify.write(clock(ago(1)))
    eventually(lambda: "batch_done" in notify.log(1), TAKEOVER_SECONDS, what="the clock")
    assert told(notify) == [("source_silent", "fired")]

    # 3. It speaks, and scores have come so far.
    speak(notify, ago(0.01))
    eventually(lambda: notify.committed(notify.names.sources) == 2, what="the mark")
    notify.write(clock(wall))

    wanted = [("source_silent", "fired"), ("source_silent", "resolved"), *[("health_low", "fired")] * 2]
    eventually(lambda: told(notify) == wanted, what="the release")
    eventually(lambda: notify.states("a") == ["delivered"], what="the digest")
    (digest,) = notify.deliveries("a")
    assert [item.relationship for item in digest.items] == ["b"]
    assert "/calendar was silent since" in str(changes(notify)[-1].data.decisions)


@pytest.fixture
def command(notify: Notify, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Command":
    settings = NotifySettings(kafka=notify.settings.kafka, clock="log")
    monkeypatch.setattr(commands, "settings_or_exit", lambda: (settings, notify.names))
    return Command(notify.names, tmp_path / "rules.yaml")


class Command:
    def __init__(self, names: NotifyTopics, file: Path) -> None:
        self.names, self.file = names, file

    def __call__(self, name: str, content: object = None, *options: str) -> Result:
        if content is not None:
            self.file.write_text(yaml.safe_dump(content) if isinstance(content, dict) else str(content))
        arguments = [str(self.file)] if content is not None else []
        return CliRunner().invoke(commands.rules, [name, *arguments, *options])


def test_a_version_is_checked_tried_on_the_past_applied_and_pages_after_its_shadow(
    notify: Notify, command: Command, receiver: Receiver
) -> None:
    describe(notify)
    pair = Pair(defaults={"last_contact": day(9)})
    notify.write(*(pair.changed(day(at), health=45) for at in range(3)), clock(day(2)))

    checked, tried = command("check", STRICT), command("backtest", STRICT)
    applied, again = command("apply", STRICT), command("apply", STRICT)
    other = command("apply", STRICT | {"rules": {}})

    assert checked.exit_code == 0, checked.output
    assert "health_low vstrict: health <= 50 for 12 h is P2" in checked.output
    assert "other than in version 1, which is in force: health_low" in checked.output
    assert "1 pairs, 2024-05-01 00:00 UTC to 2024-05-03 00:00 UTC; fired by 1 > strict" in tried.output
    assert [line.split() for line in tried.stdout.splitlines() if line.startswith("health_low")] == [
        ["health_low", "0>1", "0>1", "0>1"]
    ]
    assert "strict runs in shadow, and pages from 2024-05-04 00:00 UTC on" in applied.output
    assert "was applied already" in again.output
    assert "applied with other rules: give this one another name" in other.output
    assert other.exit_code == 1

    notify.start()
    notify.write(pair.changed(day(2.5), health=45), clock(day(2.6)), clock(day(2.99)))
    eventually(lambda: shadows(notify), what="what has come of the shadow")
    assert told(notify) == []
    notify.write(pair.changed(day(3.1), health=45), clock(day(3.2)))
    eventually(lambda: receiver.of("4F2"), what="the alert")

    (fired,) = changes(notify)
    assert (fired.data.rule, fired.data.rule_version) == ("health_low", "strict")
    (result,) = shadows(notify)
    assert (result.data.pairs, [one.rule for one in result.data.differences]) == (1, ["health_low"])
    shown = command("show").output
    assert "acme/spruce: version strict is in force" in shown
    assert "in shadow 2024-05-03 00:00 UTC to 2024-05-03 23:00 UTC, 1 pairs, against 1:" in shown


def shadows(notify: Notify) -> list[RulesShadowed]:
    read = read_to_end(notify.settings, [notify.names.rules], isolation_level="read_committed")
    events = [RULE_EVENT.validate_json(record.value or b"") for record in read]
    return [event for event in events if isinstance(event, RulesShadowed)]


def test_what_cannot_be_applied_is_refused_with_all_its_faults(notify: Notify, command: Command) -> None:
    describe(notify)
    unwatched = STRICT | {"rules": {"health_low": {"clear": 61}, "disengaging": {"window_days": 1}}}

    results = [
        command("check", unwatched),
        command("apply", "tenant: acme\nprogram: spruce\nversion: v\nrules: {health_low: {clear: low, clears: 3}}"),
        command("apply", "- one\n- two"),
        command("apply", "a: [b"),
        command("apply", STRICT | {"rules": {"support_requested": {"disabled": True}}}),
    ]

    assert [result.exit_code for result in results] == [1] * 5
    assert (
        "rules.health_low: 61 is no watch level of health (75, 50, 40, 25), in profile default-1" in results[0].output
    )
    assert "rules.disengaging: disengaging has no window_days" in results[0].output
    assert "rules.health_low.clear: Input should be a valid number" in results[1].output
    assert "rules.health_low.clears: Extra inputs are not permitted" in results[1].output
    assert "one mapping of names to values is needed" in results[2].output
    assert "rules.yaml" in results[3].output
    assert "rules.support_requested" in results[4].output
    assert list(read_to_end(notify.settings, [notify.names.rules])) == []


def test_records_that_nobody_can_read_are_reported_and_what_was_known_stands(notify: Notify) -> None:
    describe(notify, FEED)
    write = partial(put, notify)
    write(notify.names.sources, "acme/x", "{}")
    write(notify.names.rules, "acme/spruce", '{"type": "mentoring.program.rules_set.v1"}')
    write(notify.names.programs, "acme/spruce", '{"id": "spruce"}')
    write(notify.names.subject_state, "acme/programme/spruce", '{"kind": "subject.9"}')
    notify.start()
    notify.write(clock(day(0)), Pair().changed(hour(0), health=80, last_contact=day(4)), clock(day(4)))

    eventually(lambda: told(notify) == [("source_silent", "fired")], what="the silence")

    assert notify.log().count("input_unreadable") == 3
    assert notify.log().count("subject_state_unreadable") == 1
