"""A connection whose tool is slow, unavailable or rate-limited delays no other connection of its partition."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from schemas.topics import EVENTS, REJECTED, raw_topic
from services.ingest.fetching import api
from services.runtime.kafka import partition_of
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import Gateway, Log, make_token, running_gateway
from tests.ingest.test_calendars_end_to_end import between, types
from tests.ingest.tooling import Pair, make_pair, url
from tests.ingest.vendor_apis import TOKEN, Reply, Vendors, vendor_apis
from tests.notify.test_webhook import dripping
from tests.receiver import eventually

CALENDAR = "c-1@group.calendar.example.com"
RAW_PARTITIONS = 3


@dataclass(frozen=True)
class Two:
    """Connections of Google Calendar on one partition of its raw topic: `slow` first, then `other`."""

    slow: str
    other: str
    slow_api: Vendors
    other_api: Vendors
    folder: Path

    def file(self, slow_url: str = "") -> Path:
        addresses = {self.slow: slow_url or self.slow_api.google, self.other: self.other_api.google}
        entries = [
            {
                "id": name,
                "tool": "google_calendar",
                "tenant": "acme",
                "secret_file": f"secret-{name}",
                "api_token_file": f"token-{name}",
                "settings": {"api_url": address},
            }
            for name, address in addresses.items()
        ]
        path = self.folder / "connections.yaml"
        path.write_text(yaml.safe_dump({"connections": entries}))
        return path


def names_of_one_partition() -> tuple[str, str]:
    slow = f"slow_{uuid4().hex[:8]}"
    home = partition_of(slow.encode(), RAW_PARTITIONS)
    while partition_of((other := f"other_{uuid4().hex[:8]}").encode(), RAW_PARTITIONS) != home:
        pass
    return slow, other


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    slow, other = names_of_one_partition()
    for name in (slow, other):
        (tmp_path / f"secret-{name}").write_text(f"token-of-{name}")
        (tmp_path / f"token-{name}").write_text(TOKEN)
    with vendor_apis() as slow_api, vendor_apis() as other_api:
        slow_api.write(CALENDAR)
        other_api.write(CALENDAR)
        yield Two(slow, other, slow_api, other_api, tmp_path)


@contextmanager
def gateway(broker: Settings, file: Path) -> Iterator[Gateway]:
    parts = ("projector", "tools")
    options: dict[str, Any] = {"ingest_connections": file, "ingest_parts": parts, "instance": "waiting"}
    with running_gateway(broker.kafka, make_token(broker), **options) as running:
        yield running


def push(running: Gateway, connection: str) -> None:
    headers = {
        "x-goog-channel-id": "channel-1",
        "x-goog-channel-token": f"token-of-{connection}",
        "x-goog-resource-state": "exists",
        "x-goog-resource-uri": f"https://www.googleapis.com/calendar/v3/calendars/{CALENDAR}/events?alt=json",
    }
    assert plain_http.post(url(running, "google_calendar", connection), headers=headers, timeout=30).status_code == 202


def booked(vendors: Vendors, pair: Pair, name: str) -> None:
    vendors.write(CALENDAR, between(pair, f"{name}-{uuid4().hex}", "2026-02-27T10:00:00Z"))


Spoil = Callable[[Two], None]


def asks_to_wait(two: Two) -> None:
    two.slow_api.scripted.extend([Reply(429, {}, {"retry-after": "3600"})] * 5)


def answers_503(two: Two) -> None:
    two.slow_api.scripted.extend([Reply(503)] * 500)


def has_no_token_file(two: Two) -> None:
    (two.folder / f"token-{two.slow}").unlink()


@pytest.mark.parametrize("spoil", [asks_to_wait, answers_503, has_no_token_file])
def test_the_others_of_its_partition_go_on_and_after_a_restart_it_is_asked_again(
    broker: Settings, two: Two, spoil: Spoil
) -> None:
    waiting, going, log = make_pair(broker), make_pair(broker), Log(broker, EVENTS.name)
    file = two.file()

    with gateway(broker, file) as running:
        spoil(two)
        for _ in range(3):
            push(running, two.slow)
        booked(two.slow_api, waiting, "slow")
        for number in range(3):
            booked(two.other_api, going, f"other-{number}")
            push(running, two.other)
        eventually(lambda: types(going, log).count("session.scheduled") == 3, 60)
        assert types(waiting, log) == []
        eventually(lambda: waiting_fetches(running) == 1, 30)
    two.slow_api.scripted.clear()
    (two.folder / f"token-{two.slow}").write_text(TOKEN)
    with gateway(broker, file) as again:
        eventually(lambda: types(waiting, log) == ["session.scheduled"], 60)
        nothing_is_left(again)


def test_a_slowly_dripping_response_delays_no_other(
    broker: Settings, two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "ANSWER_SECONDS", 2.0)
    going, log = make_pair(broker), Log(broker, EVENTS.name)

    with (
        dripping(b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n") as dripper,
        gateway(broker, two.file(dripper + "v3")) as running,
    ):
        push(running, two.slow)
        booked(two.other_api, going, "other")
        push(running, two.other)

        eventually(lambda: types(going, log) == ["session.scheduled"], 30)
        eventually(lambda: waiting_fetches(running) == 1, 30)
        nothing_is_left(running)


def test_what_is_refused_while_others_go_on_lies_in_quarantine(broker: Settings, two: Two) -> None:
    kept = Log(broker, REJECTED.name)
    two.slow_api.token = "another"

    with gateway(broker, two.file()) as running:
        push(running, two.slow)
        eventually(lambda: of(two.slow, kept), 60)
        eventually(lambda: waiting_fetches(running) == 0, 30)
        nothing_is_left(running)

    (said,) = of(two.slow, kept)
    assert said["reason"] == b"forbidden"
    assert said["origin_topic"] == raw_topic("google_calendar").encode()


def nothing_is_left(running: Gateway) -> None:
    """On the raw topics, whose next reader knows other connections."""
    eventually(
        lambda: "tools: " in (said := running.readiness()[1]["detail"]) and "lag 0" in said.split("tools: ")[1], 30
    )


def of(connection: str, kept: Log) -> list[dict[str, bytes]]:
    """Headers; what other tests left on the raw topic names other connections."""
    headers = [dict(record.headers) for record in kept.records()]
    return [one for one in headers if one.get("connection") == connection.encode()]


def waiting_fetches(running: Gateway) -> int:
    text = plain_http.get(f"http://127.0.0.1:{running.settings.ingest_health_port}/metrics", timeout=30).text
    (line,) = [line for line in text.splitlines() if line.startswith("rapport_ingest_waiting_fetches ")]
    return round(float(line.split()[1]))
