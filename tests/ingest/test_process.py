"""The gateway as a separate process: logs and answers while its broker is away, and shutdown."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from pydantic import SecretStr

from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.ports import free_port
from schemas.topics import EVENTS
from services.ingest.settings import IngestSettings
from services.runtime.settings import Settings
from tests import plain_http
from tests.conftest import JARS_CACHE
from tests.ingest.conftest import BATCH, SOURCE, Gateway, Log, event, is_ready, make_token, make_topics
from tests.plain_http import NO_TLS
from tests.receiver import STOP_WITHIN_SECONDS, eventually

ROOT = Path(__file__).parents[2]


def own_lines(file: Path) -> list[dict[str, Any]]:
    """Return the log lines of Rapport, without those of libraries (which log on a busy machine)."""
    told = [json.loads(line) for line in file.read_text().splitlines()]
    return [line for line in told if line["logger"].startswith("services.")]


@dataclass
class Process:
    gateway: Gateway
    running: subprocess.Popen[str]

    def terminate(self) -> tuple[int, float]:
        """The exit code, and the seconds it took."""
        began = time.monotonic()
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(90), time.monotonic() - began


@contextmanager
def process(settings: IngestSettings, secret: str, log: IO[str]) -> Iterator[Process]:
    changed = settings.model_dump(exclude_defaults=True)
    environment = {f"RAPPORT_{name.upper()}": _in_words(value) for name, value in changed.items()}
    command = [sys.executable, "-m", "services.cli", "ingest", "serve"]
    running = subprocess.Popen(command, env=os.environ | environment, stderr=log, text=True, cwd=ROOT)
    headers = {"authorization": f"Bearer {secret}"}
    url = f"http://127.0.0.1:{settings.ingest_port}"
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=30, verify=NO_TLS) as client:
            gateway = Gateway(settings, client)
            eventually(lambda: running.poll() is not None or is_ready(gateway))
            yield Process(gateway, running)
    finally:
        running.kill()
        running.wait(5)


def _in_words(value: object) -> str:
    """As a variable of the environment holds it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    with LocalKafka(KafkaConfig(data=tmp_path / "kafka", cache=JARS_CACHE)) as own:
        yield own


def of(bootstrap: str, **options: object) -> IngestSettings:
    ports = {"ingest_port": free_port(set()), "ingest_health_port": free_port(set())}
    return IngestSettings.model_validate({"kafka": bootstrap, **ports, **options})


def test_a_broker_that_is_away_is_answered_503_and_its_return_is_noticed(kafka: LocalKafka, tmp_path: Path) -> None:
    broker = make_topics(kafka.bootstrap)
    limits = {"ingest_delivery_seconds": 2, "ingest_outstanding_bytes": 2**20}
    settings = of(kafka.bootstrap, **limits, ingest_raw_tenant="acme", ingest_raw_sources=[SOURCE])
    with (tmp_path / "log").open("w") as log, process(settings, make_token(broker), log) as running:
        gateway, waiting = running.gateway, event()
        gateway.post(event()).raise_for_status()
        written = Log(broker, EVENTS.name)

        kafka.kill()
        with ThreadPoolExecutor(12) as threads:
            twice = [threads.submit(gateway.post, waiting) for _ in range(2)]
            large = [threads.submit(gateway.post, [event() for _ in range(2_000)], BATCH) for _ in range(10)]

        answers = [future.result() for future in [*twice, *large]]
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["type"] for answer in answers} == {"urn:rapport:problem:unavailable"}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        assert any("too many events wait" in answer.json()["detail"] for answer in answers)
        eventually(lambda: gateway.readiness()[0] == 503, 90)

        kafka.start()
        eventually(lambda: gateway.post(waiting).status_code == 202, 90)
        eventually(lambda: gateway.readiness()[0] == 200, 90)
        assert waiting["id"].encode() in b"".join(record.value or b"" for record in written.records())

        kafka.kill()
        with ThreadPoolExecutor(1) as threads:
            left = threads.submit(gateway.post, event())
            time.sleep(0.2)
            assert running.terminate() < (0, STOP_WITHIN_SECONDS)
        assert left.result().status_code == 503


def test_it_says_what_it_reads_and_ends_in_time_when_it_is_asked_to(broker: Settings, tmp_path: Path) -> None:
    settings = of(broker.kafka, log_format="json")
    file = tmp_path / "log"
    with file.open("w") as log, process(settings, make_token(broker), log) as running:
        status, said = running.gateway.readiness()
        running.gateway.post(event()).raise_for_status()

        assert (status, said["state"]) == (200, "ready")
        assert said["detail"].startswith(
            "producer: ready; knowledge: not read: nobody here asks for relationships; gateway: "
        )
        assert running.terminate() < (0, STOP_WITHIN_SECONDS)
    told = own_lines(file)
    assert [line["event"] for line in told] == ["serving", "request_done", "stopped"]
    assert (told[1]["recorded"], told[1]["tenant"], told[1]["status"]) == (1, "acme", 202)


def test_the_workers_are_a_process_of_their_own_that_says_what_it_reads(broker: Settings, tmp_path: Path) -> None:
    health = free_port(set())
    file, environment = (
        tmp_path / "log",
        {"RAPPORT_KAFKA": broker.kafka, "RAPPORT_INGEST_WORK_HEALTH_PORT": str(health)},
    )
    command = [sys.executable, "-m", "services.cli", "ingest", "work"]
    with file.open("w") as log:
        running = subprocess.Popen(command, env=os.environ | environment, stderr=log, text=True, cwd=ROOT)
        try:
            eventually(lambda: running.poll() is not None or _state(health) == "ready")
            said = plain_http.get(f"http://127.0.0.1:{health}/readyz", timeout=30).json()

            assert "RAPPORT_INGEST_RAW_TENANT is not set" in said["detail"]
            assert {"producer", "projector", "knowledge", "attendance", "tools", "raw topic"} == {
                part.partition(":")[0] for part in said["detail"].split("; ")
            }
            began = time.monotonic()
            running.send_signal(signal.SIGTERM)
            assert running.wait(90) == 0
            assert time.monotonic() - began < STOP_WITHIN_SECONDS
        finally:
            running.kill()


def _state(port: int) -> str:
    try:
        return str(plain_http.get(f"http://127.0.0.1:{port}/readyz", timeout=30).json()["state"])
    except httpx.TransportError:
        return "away"


def test_a_port_that_is_taken_ends_it_with_one_error(broker: Settings, tmp_path: Path) -> None:
    settings = of(broker.kafka, log_format="json", ingest_health_port=0)
    file = tmp_path / "log"
    with (
        socket.create_server(("127.0.0.1", settings.ingest_port)),
        file.open("w") as log,
        process(settings, "", log) as refused,
    ):
        assert refused.running.wait(90) == 1
    (line,) = own_lines(file)
    assert (line["event"], line["level"]) == ("ingest_failed", "error")
    assert "in use" in line["error"]
