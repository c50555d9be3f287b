"""An import as a separate process: it waits for an unavailable gateway, and can be interrupted and resumed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from schemas.topics import EVENTS
from services.runtime.settings import Settings
from tests.ingest.conftest import Log, event, make_token, running_gateway
from tests.receiver import eventually

ROOT = Path(__file__).parents[2]
PER_SECOND = 1_000
"""An import that is to be interrupted takes some seconds on every machine."""
EVENTS_OF_IT = 5_000


# What runs in the background of a shell ignores SIGINT, and so would its children.
INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('services.cli', run_name='__main__', alter_sys=True)"
)


def start_import(file: Path, port: int, secret: str, *options: str) -> subprocess.Popen[str]:
    environment = os.environ | {"RAPPORT_INGEST_PORT": str(port), "RAPPORT_INGEST_TOKEN": secret}
    command = [sys.executable, "-c", INTERRUPTIBLE, "ingest", "import", str(file), *options]
    return subprocess.Popen(
        command, env=environment, text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_an_import_waits_for_an_unavailable_gateway(broker: Settings, tmp_path: Path) -> None:
    file, secret, port = tmp_path / "history.jsonl", make_token(broker), free_port(set())
    file.write_text("".join(json.dumps(event()) + "\n" for _ in range(3)))
    importing = start_import(file, port, secret)
    assert importing.stderr is not None

    assert "no answer from the gateway" in importing.stderr.readline()
    with running_gateway(broker.kafka, secret, ingest_port=port):
        told, _ = importing.communicate(timeout=90)

    assert (importing.returncode, told) == (0, "3 new, 0 duplicates, 0 rejected\n")


def test_an_interrupted_import_reports_its_last_line(broker: Settings, tmp_path: Path) -> None:
    file, secret, port = tmp_path / "history.jsonl", make_token(broker), free_port(set())
    file.write_text("".join(json.dumps(event()) + "\n" for _ in range(30_000)))
    log = Log(broker, EVENTS.name)
    with running_gateway(broker.kafka, secret, ingest_port=port, ingest_token_rate=PER_SECOND):
        importing = start_import(file, port, secret)
        eventually(lambda: log.growth() > 0)

        importing.send_signal(signal.SIGINT)
        told, said = importing.communicate(timeout=90)

    assert importing.returncode == 130
    assert "interrupted after line " in said
    done = int(said.split("interrupted after line ")[1].split(";")[0])
    assert told == f"{done} new, 0 duplicates, 0 rejected\n"
    assert 0 <= log.growth() - done <= 200


def test_an_interrupted_import_is_resumed(broker: Settings, tmp_path: Path) -> None:
    file, secret, port = tmp_path / "history.jsonl", make_token(broker), free_port(set())
    position = tmp_path / "history.jsonl.position.json"
    file.write_text("".join(json.dumps(event()) + "\n" for _ in range(EVENTS_OF_IT)))
    log = Log(broker, EVENTS.name)
    with running_gateway(broker.kafka, secret, ingest_port=port, ingest_token_rate=PER_SECOND):
        importing = start_import(file, port, secret)
        eventually(position.exists)
        importing.send_signal(signal.SIGINT)
        told, _ = importing.communicate(timeout=90)
        done = int(told.split()[0])

        resumed = start_import(file, port, secret, "--resume")
        rest, said = resumed.communicate(timeout=90)

    assert resumed.returncode == 0, said
    assert "continuing where the last import of this file was interrupted" in said
    new, repeated = (int(rest.split()[at]) for at in (0, 2))
    assert new + repeated <= EVENTS_OF_IT - done + 200
    assert done + new + repeated >= EVENTS_OF_IT
    assert log.growth() == EVENTS_OF_IT
    assert not position.exists()


def test_an_import_of_a_changed_file_is_not_resumed(broker: Settings, tmp_path: Path) -> None:
    file, secret, port = tmp_path / "history.jsonl", make_token(broker), free_port(set())
    file.write_text(json.dumps(event()) + "\n")
    file.with_name("history.jsonl.position.json").write_text('{"line": 1, "digest": "of another"}')
    with running_gateway(broker.kafka, secret, ingest_port=port):
        refused, said = start_import(file, port, secret, "--resume").communicate(timeout=90)
        anew, _ = start_import(file, port, secret).communicate(timeout=90)

    assert refused == "0 new, 0 duplicates, 0 rejected\n"
    assert "the input has changed since: run it without --resume" in said
    assert anew == "1 new, 0 duplicates, 0 rejected\n"


def test_healing_waits_for_scoring_and_says_what_to_do_without_it(
    broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)
    file, secret, port = tmp_path / "history.jsonl", make_token(broker), free_port(set())
    file.write_text(json.dumps(event()) + "\n")
    with running_gateway(broker.kafka, secret, ingest_port=port):
        importing = start_import(file, port, secret, "--heal", "--patience", "1")
        told, said = importing.communicate(timeout=90)

    assert (importing.returncode, told) == (1, "1 new, 0 duplicates, 0 rejected\n")
    assert "waiting for scoring to apply what was imported" in said
    assert "is `rapport scoring serve` running? Later run: rapport scoring heal" in said
