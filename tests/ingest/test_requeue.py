"""`rapport ingest rejected` and `requeue`: listing, showing, exporting and resending dead letters, on the real
topics."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from schemas.topics import REJECTED
from services.ingest.__main__ import main
from services.ingest.domain.verdict import Reason, rejected
from services.ingest.flow.dead_letters import quarantine
from services.runtime.kafka import Producer, Record
from services.runtime.settings import Settings
from tests.foreign import RawName, foreign_producer
from tests.ingest.conftest import Log

RAW = "mentoring.raw.zoom"


@pytest.fixture(autouse=True)
def environment(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)


@dataclass
class Quarantine:
    """Of one connection that nobody else uses."""

    settings: Settings
    connection: str
    _offset: int = field(default_factory=lambda: randrange(2**40))

    def put(self, value: bytes, reason: Reason = "unresolved", topic: str = RAW, size: int = 1) -> str:
        """Returns the record's origin; the same record `size` times as long if that is given."""
        self._offset += 1
        headers = (("connection", self.connection.encode()), ("content-type", b"application/json"))
        record = Record(topic, 0, self._offset, self.connection.encode(), value * size, headers, 0)
        producer = Producer(self.settings)
        try:
            quarantine(producer, record, rejected(reason, "people", "no \x1b[31mpair")).result(20)
        finally:
            producer.close(5)
        return f"{topic}/0/{self._offset}"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--connection", self.connection])


@pytest.fixture
def quarantined(broker: Settings) -> Quarantine:
    return Quarantine(broker, f"c{uuid4().hex}")


def lines(result: Result) -> Sequence[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_rejections_are_listed_by_what_one_looks_for(quarantined: Quarantine) -> None:
    first = quarantined.put(b"{}")
    second = quarantined.put(b"{}", "invalid", "mentoring.raw.slack")

    every = quarantined.run("rejected", "list")
    unresolved = lines(quarantined.run("rejected", "list", "--json", "--reason", "unresolved"))
    of_slack = lines(quarantined.run("rejected", "list", "--json", "--tool", "slack"))
    of_topic = lines(quarantined.run("rejected", "list", "--json", "--topic", RAW, "--since", "1h"))
    later = quarantined.run("rejected", "list", "--json", "--since", "2199-01-01 00:00")
    newest = quarantined.run("rejected", "list", "--limit", "1")

    assert first in every.stdout
    assert second in every.stdout
    assert "people: no \\x1b[31mpair" in every.stdout
    assert "\x1b" not in every.stdout
    assert [one["origin"] for one in unresolved] == [one["origin"] for one in of_topic] == [first]
    assert [(one["origin"], one["reason"], one["state"]) for one in of_slack] == [(second, "invalid", "waiting")]
    assert later.stdout == ""
    assert "1 listed, there may be more" in newest.stderr


def test_a_time_that_is_none_is_refused(quarantined: Quarantine) -> None:
    result = quarantined.run("rejected", "list", "--since", "yesterday")

    assert (result.exit_code, "or 90m, 24h, 7d for ago" in result.output) == (2, True)


def test_one_is_shown_with_its_bytes(quarantined: Quarantine) -> None:
    origin = quarantined.put(b'{"topic": "\x1b[2J"}')
    binary = quarantined.put(b"\xff\x00")

    words = CliRunner().invoke(main, ["rejected", "show", origin])
    as_json = json.loads(CliRunner().invoke(main, ["rejected", "show", binary, "--json"]).stdout)
    missing = CliRunner().invoke(main, ["rejected", "show", "mentoring.raw.zoom/0/1125899906842624"])

    assert words.exit_code == 0, words.output
    assert "unresolved: people: no \\x1b[31mpair" in words.stdout
    assert f"  connection: {quarantined.connection}" in words.stdout
    assert "\x1b" not in words.stdout
    assert base64.b64decode(as_json["value_base64"]) == b"\xff\x00"
    assert (missing.exit_code, "there is no rejected record" in missing.output) == (1, True)


def test_they_are_exported_with_bytes_and_headers(quarantined: Quarantine, tmp_path: Path) -> None:
    origin = quarantined.put(b'{"a": 1}')
    file = tmp_path / "rejected.jsonl"

    result = quarantined.run("rejected", "export", str(file))

    assert "1 exported" in result.stderr
    (kept,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert (kept["origin"], kept["value"]) == (origin, '{"a": 1}')
    assert ["content-type", "application/json"] in kept["headers"]


def test_what_is_unresolved_goes_back_as_it_came_and_only_once(quarantined: Quarantine, broker: Settings) -> None:
    origin = quarantined.put(b'{"meeting": 1}')
    quarantined.put(b"{}", "invalid")
    raw = Log(broker, RAW)

    rehearsed = quarantined.run("requeue", "--dry-run")
    nothing_sent = raw.growth()
    first, second = quarantined.run("requeue"), quarantined.run("requeue")

    assert (rehearsed.stdout, nothing_sent) == ("1 would be sent again\n", 0)
    assert (first.stdout, second.stdout) == ("1 sent again\n", "0 sent again, 1 had been already\n")
    (record,) = raw.records()
    assert (record.value, record.key) == (b'{"meeting": 1}', quarantined.connection.encode())
    assert list(record.headers) == [
        ("connection", quarantined.connection.encode()),
        ("content-type", b"application/json"),
        ("requeued_from", origin.encode()),
    ]
    states = {one["origin"]: one["state"] for one in lines(quarantined.run("rejected", "list", "--json"))}
    assert states[origin] == "requeued"
    assert sorted(map(str, states.values())) == ["requeued", "waiting"]


def test_what_is_rejected_again_may_be_sent_again(quarantined: Quarantine, broker: Settings) -> None:
    quarantined.put(b"{}")
    raw = Log(broker, RAW)
    quarantined.run("requeue")
    (sent,) = raw.records()
    producer = Producer(broker)
    quarantine(producer, sent, rejected("unresolved", "people", "still no pair")).result(20)
    producer.close(5)

    again = quarantined.run("requeue")

    assert again.stdout == "1 sent again, 1 had been already\n"
    assert [name for name, _ in raw.records()[-1].headers].count("requeued_from") == 1


def test_a_record_that_was_set_aside_twice_is_sent_once(quarantined: Quarantine, broker: Settings) -> None:
    quarantined.put(b"{}")
    quarantined._offset -= 1
    quarantined.put(b"{}")
    raw = Log(broker, RAW)

    assert quarantined.run("requeue").stdout == "1 sent again\n"
    assert raw.growth() == 1


def test_other_reasons_go_back_when_they_are_chosen(quarantined: Quarantine) -> None:
    invalid = quarantined.put(b"{}", "invalid")
    quarantined.put(b"{}", "conflict")

    named = CliRunner().invoke(main, ["requeue", invalid])
    chosen = quarantined.run("requeue", "--reason", "invalid", "--reason", "conflict")

    assert named.stdout == "1 sent again\n"
    assert chosen.stdout == "1 sent again, 1 had been already\n"


def test_what_cannot_go_back_is_counted_by_why(quarantined: Quarantine) -> None:
    quarantined.put(b"x", size=900_001)
    quarantined.put(b"{}", topic="mentoring.events")

    result = quarantined.run("requeue")

    assert result.stdout == (
        "0 sent again, 1 cannot be: it does not come from a raw topic, 1 cannot be: its bytes were cut\n"
    )


def test_a_thousand_go_back_at_once(quarantined: Quarantine, broker: Settings) -> None:
    producer = Producer(broker)
    headers = (("connection", quarantined.connection.encode()),)
    records = [Record(RAW, 1, 5_000_000 + n, None, b"{}", headers, 0) for n in range(1_200)]
    for written in [quarantine(producer, one, rejected("unresolved", "", "nobody")) for one in records]:
        written.result(20)
    producer.close(5)
    raw = Log(broker, RAW)

    assert quarantined.run("requeue").stdout == "1200 sent again\n"
    assert raw.growth() == 1_200
    assert quarantined.run("requeue").stdout == "0 sent again, 1200 had been already\n"
    assert Log(broker, REJECTED.name).growth() == 0


def test_whatever_lies_in_quarantine_the_rest_is_sent_again(quarantined: Quarantine, broker: Settings) -> None:
    good = quarantined.put(b"{}")
    with foreign_producer(broker) as writer:
        for number, topic in enumerate((RAW, "mentoring.raw.nowhere", "mentoring.raw./.."), start=1):
            headers = [
                ("reason", b"unresolved"),
                ("origin_topic", topic.encode()),
                ("connection", quarantined.connection.encode()),
                (RawName("\xff"), b"\xff"),
            ]
            # Compressed it is small enough for the topic; as a record of ours it is too large for any.
            writer.put(REJECTED.name, f"x/{uuid4().hex}/{number}".encode(), b" " * 4_000_000, headers, timestamp_ms=1)

    result = quarantined.run("requeue")

    assert result.exit_code == 0, result.output
    assert "1 sent again" in result.output
    assert "1 cannot be: its topic does not take it" in result.output
    assert "2 cannot be: it does not come from a raw topic" in result.output
    assert lines(quarantined.run("rejected", "list", "--json"))[0]["origin"] == good
