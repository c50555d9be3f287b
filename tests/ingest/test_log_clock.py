"""`RAPPORT_CLOCK=log`: the gateway, and the import of a history through it."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS
from services.ingest.__main__ import main
from services.runtime.settings import Settings
from tests.ingest.conftest import BATCH, Gateway, Log, event, make_token, running_gateway
from tests.receiver import eventually

MIDNIGHT = "2026-03-02T00:00:00.000000Z"


@dataclass
class Imports:
    gateway: Gateway
    secret: str

    def run(self, file: Path | str, *options: str, text: str | None = None) -> Result:
        command = ["import", str(file), "--url", str(self.gateway.client.base_url), "--token", self.secret, *options]
        return CliRunner().invoke(main, command, input=text)


@pytest.fixture(scope="module")
def imports(broker: Settings) -> Iterator[Imports]:
    secret = make_token(broker, tenant=f"t{uuid4().hex}", admin=True)
    with running_gateway(broker.kafka, secret, clock="log") as gateway:
        yield Imports(gateway, secret)


@pytest.fixture
def log(broker: Settings) -> Log:
    return Log(broker, EVENTS.name)


def clock_event(time: str) -> dict[str, object]:
    return event(type="mentoring.clock.reached.v1", subject=None, program=None, data={"time": time})


def jsonl(*events: object) -> str:
    return "".join(json.dumps(one) + "\n" for one in events)


def test_an_event_is_recorded_when_it_happened(imports: Imports, log: Log) -> None:
    imports.gateway.post(event()).raise_for_status()

    (record,) = log.records()
    recorded = MENTORING_EVENT.validate_json(record.value or b"")
    assert recorded.recordedtime == recorded.time


def test_the_clock_goes_to_every_partition_once(imports: Imports, log: Log) -> None:
    first = imports.gateway.post(clock_event("2026-02-01T00:00:00Z"))
    again = imports.gateway.post([clock_event("2026-02-01T01:00:00+01:00")], BATCH)

    assert first.json() == {"id": "clock-reached-2026-02-01T00:00:00.000000Z", "status": 202, "reason": "recorded"}
    assert again.json()["duplicates"] == 1
    records = log.records()
    assert [record.partition for record in sorted(records, key=lambda r: r.partition)] == [0, 1, 2, 3]
    assert len({record.value for record in records}) == 1


def test_on_the_clock_of_the_wall_nobody_tells_the_time(gateway: Gateway, broker: Settings) -> None:
    bearer = {"authorization": f"Bearer {make_token(broker, admin=True)}"}
    eventually(lambda: gateway.post(event(), **bearer).status_code == 202)

    answer = gateway.post(clock_event(MIDNIGHT), **bearer)

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "type")


def test_an_import_counts_what_is_new_and_what_was_there(imports: Imports, log: Log, tmp_path: Path) -> None:
    events = [event(subject=f"rel-{number % 7}") for number in range(1_000)]
    file = tmp_path / "history.jsonl.gz"
    file.write_bytes(gzip.compress(jsonl(*events).encode()))

    first = imports.run(file, "--clock-reached", MIDNIGHT)
    second = imports.run(file, "--clock-reached", MIDNIGHT)

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "1000 new, 0 duplicates, 0 rejected" in first.output
    assert "0 new, 1000 duplicates, 0 rejected" in second.output
    assert log.growth() == 1_000 + 4
    assert not file.with_name("history.jsonl.gz.rejected.jsonl").exists()


def test_an_import_keeps_the_order_of_the_file(imports: Imports, log: Log) -> None:
    events = [event() for _ in range(500)]

    result = imports.run("-", text="\ufeff" + jsonl(*events))

    assert result.exit_code == 0, result.output
    assert [json.loads(record.value or b"")["id"] for record in log.records()] == [one["id"] for one in events]


def test_rejected_lines_are_told_by_number_and_kept(imports: Imports, log: Log, tmp_path: Path) -> None:
    file = tmp_path / "mixed.jsonl"
    foreign = event(source="urn:foreign")
    lines = [json.dumps(event()), "", "{broken", json.dumps(foreign), json.dumps(event()), '"' + "x" * 600_000 + '"']
    file.write_text("\n".join(lines))

    result = imports.run(file, "--clock-reached", MIDNIGHT)

    assert result.exit_code == 1
    assert "2 new, 0 duplicates, 3 rejected" in result.output
    assert "line 3: malformed: is not valid JSON" in result.output
    assert "line 4: forbidden: source: this sender may not speak for this source" in result.output
    assert "the clock event is not sent, because lines were rejected" in result.output
    kept = [json.loads(line) for line in (tmp_path / "mixed.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [(entry["line"], entry["status"]) for entry in kept] == [(3, 400), (4, 403), (6, 413)]
    assert json.loads(kept[1]["event"]) == foreign
    assert log.growth() == 2


def test_a_batch_of_foreign_lines_only_is_rejected_line_by_line(imports: Imports) -> None:
    result = imports.run("-", text=jsonl(event(source="urn:foreign"), event(source="urn:foreign")))

    assert (result.exit_code, "0 new, 0 duplicates, 2 rejected" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--token", "rpt_nobody_00"), "the gateway answers 401"),
        (("--url", "http://127.0.0.1:1", "--patience", "0.7"), "no answer from the gateway"),
        (("--clock-reached", "tomorrow"), "the clock event is refused, invalid"),
    ],
)
def test_an_import_that_cannot_go_on_says_why(imports: Imports, options: tuple[str, ...], words: str) -> None:
    result = imports.run("-", *options, text=jsonl(event()))

    assert result.exit_code == 1
    assert words in result.output


def test_an_import_needs_a_source_for_the_clock(imports: Imports) -> None:
    unnamed = imports.run("-", "--clock-reached", MIDNIGHT, text="")
    named = imports.run("-", "--clock-reached", MIDNIGHT, "--source", event()["source"], text="")

    assert "name it with --source" in unnamed.output
    assert (unnamed.exit_code, named.exit_code) == (1, 0)


def test_a_broken_archive_stops_an_import(imports: Imports, tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(jsonl(*(event() for _ in range(50))).encode())[:-20])

    result = imports.run(file)

    assert result.exit_code == 1
    assert "cannot be read on" in result.output
