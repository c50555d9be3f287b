"""A broker that is stopped for a minute under load: every acknowledged event is on the log once, and refused ones can
be sent again."""

import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from deploy.local.kafka import KafkaConfig, LocalKafka
from schemas.topics import EVENTS, raw_topic
from services.ingest.settings import IngestSettings
from tests import plain_http
from tests.conftest import JARS_CACHE
from tests.ingest.conftest import BATCH, DIGEST_KEY, Gateway, Log, event, make_token, make_topics
from tests.ingest.test_process import of, process
from tests.ingest.tooling import SECRETS, connections_file, meeting_id, sign_zoom, url, zoom

STOPPED_SECONDS = 60
SENDERS = 4
PATIENCE_SECONDS = 180


@dataclass
class Sender:
    """Sends one request after the other, repeating each after a 503, until it is stopped."""

    gateway: Gateway
    promised: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            events = [event() for _ in range(10)]
            self._insist(json.dumps(events).encode())
            self.promised += [one["id"] for one in events]

    def _insist(self, body: bytes) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while (answer := self._post(body)).status_code != 202:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
            assert time.monotonic() < until
            time.sleep(1)

    def _post(self, body: bytes) -> httpx.Response:
        answer = self.gateway.client.post("/v1/events", content=body, headers={"content-type": BATCH})
        self.statuses[answer.status_code] += 1
        return answer


@dataclass
class ZoomSender(Sender):
    """The same for what a tool sends."""

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            meeting = meeting_id()
            self._insist(json.dumps(zoom("ended", meeting)).encode())
            self.promised.append(meeting)

    def _post(self, body: bytes) -> httpx.Response:
        headers = sign_zoom(body, SECRETS["zoom_acme"])
        answer = plain_http.post(url(self.gateway, "zoom", "zoom_acme"), content=body, headers=headers, timeout=60)
        self.statuses[answer.status_code] += 1
        return httpx.Response(202) if answer.status_code == 200 else answer


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_broker_that_stands_still_loses_nothing_that_was_promised_and_doubles_nothing(tmp_path: Path) -> None:
    with LocalKafka(KafkaConfig(data=tmp_path / "kafka", cache=JARS_CACHE)) as kafka:
        broker = make_topics(kafka.bootstrap)
        settings = _settings(kafka, tmp_path)
        with (tmp_path / "log").open("w") as log, process(settings, make_token(broker), log) as running:
            assert running.running.poll() is None, (tmp_path / "log").read_text()
            senders = [Sender(running.gateway) for _ in range(SENDERS)]
            tool = ZoomSender(running.gateway)
            stop = Event()
            with ThreadPoolExecutor(SENDERS + 1) as threads:
                ran = [threads.submit(sender.run, stop) for sender in (*senders, tool)]
                _stand_still(kafka)
                stop.set()
            for future in ran:
                future.result()

            written = Counter(json.loads(r.value or b"")["id"] for r in _all(broker, EVENTS.name))
            meetings = Counter(_meeting(r.value) for r in _all(broker, raw_topic("zoom")))
    promised = [one for sender in senders for one in sender.promised]
    assert all(sender.statuses[503] for sender in senders)
    assert all(sender.statuses[202] for sender in senders)
    assert written == Counter(promised)
    assert set(meetings) == set(tool.promised)


def _settings(kafka: LocalKafka, folder: Path) -> IngestSettings:
    tools = {"ingest_connections": connections_file(folder), "ingest_digest_key": DIGEST_KEY}
    return of(kafka.bootstrap, ingest_delivery_seconds=5, **tools)


def _stand_still(kafka: LocalKafka) -> None:
    time.sleep(5)
    os.kill(kafka.pid, signal.SIGSTOP)
    time.sleep(STOPPED_SECONDS)
    os.kill(kafka.pid, signal.SIGCONT)
    time.sleep(20)


def _all(broker: Any, topic: str) -> list[Any]:  # noqa: ANN401
    log = Log(broker, topic)
    log._starts = dict.fromkeys(log._starts, 0)
    return log.records()


def _meeting(value: bytes | None) -> str:
    found: str = json.loads(value or b"")["payload"]["object"]["id"]
    return found
