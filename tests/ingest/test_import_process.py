"""An import as a process of its own: it waits for a gateway that is away, and may be interrupted."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.local.ports import free_port
from schemas.topics import EVENTS
from services.runtime.settings import Settings
from tests.ingest.conftest import Log, event, make_token, running_gateway
from tests.receiver import eventually

ROOT = Path(__file__).parents[2]


def start_import(file: Path, port: int, secret: str) -> subprocess.Popen[str]:
    environment = os.environ | {"RAPPORT_INGEST_PORT": str(port), "RAPPORT_INGEST_TOKEN": secret}
    command = [sys.executable, "-m", "services.cli", "ingest", "import", str(file)]
    return subprocess.Popen(
        command, env=environment, text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_an_import_waits_for_a_gateway_that_is_away(broker: Settings, tmp_path: Path) -> None:
    file, secret, port = tmp_path / "history.jsonl", make_token(broker), free_port(set())
    file.write_text("".join(json.dumps(event()) + "\n" for _ in range(3)))
    importing = start_import(file, port, secret)
    assert importing.stderr is not None

    assert "no answer from the gateway" in importing.stderr.readline()
    with running_gateway(broker.kafka, secret, ingest_port=port):
        told, _ = importing.communicate(timeout=90)

    assert (importing.returncode, told) == (0, "3 new, 0 duplicates, 0 rejected\n")


def test_an_interrupted_import_says_how_far_it_got(broker: Settings, tmp_path: Path) -> None:
    file, secret, port = tmp_path / "history.jsonl", make_token(broker), free_port(set())
    file.write_text("".join(json.dumps(event()) + "\n" for _ in range(30_000)))
    log = Log(broker, EVENTS.name)
    with running_gateway(broker.kafka, secret, ingest_port=port):
        importing = start_import(file, port, secret)
        eventually(lambda: log.growth() > 0)

        importing.send_signal(signal.SIGINT)
        told, said = importing.communicate(timeout=90)

    assert importing.returncode == 130
    assert "interrupted after line " in said
    done = int(said.split("interrupted after line ")[1].split(";")[0])
    assert told == f"{done} new, 0 duplicates, 0 rejected\n"
    assert 0 <= log.growth() - done <= 200
