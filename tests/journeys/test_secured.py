"""The whole system on a broker and a warehouse as enterprises run them: TLS by their own authority, and passwords."""

import io
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from rich.console import Console

from deploy.local.child import project_environment
from deploy.local.data_folder import ClockMode
from deploy.local.display import display_on
from deploy.local.services import NAMES, PROCESSES, StackProcess
from deploy.local.stack import StackConfig
from tests.journeys.system import CACHE, DERIVED_SELDOM, AskedStack, System, clock_reached, event
from tests.receiver import Receiver, eventually
from tests.secured import (
    READER_PASSWORD,
    SecuredKafka,
    clickhouse_environment,
    secured_clickhouse,
    secured_kafka,
)

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
REFUSED_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class Secured:
    system: System
    environment: Mapping[str, str]
    broker: SecuredKafka

    def ask(self, sql: str) -> str:
        trusted = ssl.create_default_context(cafile=self.broker.certificates.authority)
        url, reader = self.system.stack.clickhouse_url, ("reader", READER_PASSWORD)
        answer = httpx.post(url, content=sql, auth=reader, verify=trusted, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text.strip()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    data = tmp_path_factory.mktemp("secured")
    with (
        secured_kafka(data / "broker", CACHE) as broker,
        secured_clickhouse(data / "warehouse", broker.certificates) as clickhouse,
    ):
        signing_in = broker.environment("SCRAM-SHA-512") | clickhouse_environment(clickhouse, broker.certificates)
        config = StackConfig(
            data=data / "stack",
            clock=ClockMode.LOG,
            cache=CACHE,
            kafka=signing_in["RAPPORT_KAFKA"],
            clickhouse=signing_in["RAPPORT_CLICKHOUSE"],
            environment=signing_in | DERIVED_SELDOM,
        )
        with AskedStack(config, display_on(Console(file=io.StringIO()))) as stack:
            yield Secured(System(stack, Receiver()), signing_in, broker)


def test_an_event_posted_over_http_is_scored_stored_and_readable(secured: Secured) -> None:
    token = secured.system.token("acme", "/test")
    met: dict[str, Any] = {"session_id": "s-1", "started_at": MONDAY.isoformat(), "minutes": 60}

    answer = secured.system.post(
        token,
        [
            event("secured", "relationship.started", MONDAY, mentors=["m1"], mentees=["n1"], cadence_days=7),
            event("secured", "session.held", MONDAY, **met),
            clock_reached(datetime(2026, 3, 9, tzinfo=UTC)),
        ],
    )

    assert answer.status_code == 202, answer.text
    eventually(lambda: secured.ask("SELECT count() FROM mentoring.events FINAL") == "2", what="the rows of the events")
    scored = "SELECT max(health) > 0 FROM mentoring_mart.scores WHERE relationship_id = 'secured'"
    eventually(lambda: secured.ask(scored) == "1", what="the score")
    assert secured.system.verify().strip().endswith("equal")


@pytest.mark.parametrize("process", PROCESSES, ids=NAMES)
def test_a_service_with_a_wrong_password_of_the_broker_ends_and_names_the_setting(
    secured: Secured, process: StackProcess
) -> None:
    ended = rapport(secured, *process.arguments, RAPPORT_KAFKA_SASL_PASSWORD="wrong-horse")

    assert ended.returncode == 1
    assert "RAPPORT_KAFKA_SASL_PASSWORD" in ended.stdout
    assert "wrong-horse" not in ended.stdout


@pytest.mark.parametrize("command", [("warehouse", "migrate"), ("warehouse", "serve"), ("scoring", "verify")])
def test_a_command_with_a_wrong_password_of_the_warehouse_ends_and_names_the_setting(
    secured: Secured, command: tuple[str, ...]
) -> None:
    ended = rapport(secured, *command, RAPPORT_CLICKHOUSE_PASSWORD="wrong-horse")

    assert ended.returncode == 1
    assert "RAPPORT_CLICKHOUSE_PASSWORD" in ended.stdout
    assert "wrong-horse" not in ended.stdout


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        (("topics", "create"), "RAPPORT_KAFKA_SSL_CAFILE"),
        (("ingest", "token", "list"), "RAPPORT_KAFKA_SSL_CAFILE"),
        (("warehouse", "migrate"), "RAPPORT_CLICKHOUSE_SSL_CAFILE"),
    ],
)
def test_a_server_that_nobody_vouches_for_is_not_trusted(
    secured: Secured, command: tuple[str, ...], setting: str
) -> None:
    ended = rapport(secured, *command, **{setting: ""})

    assert ended.returncode == 1
    assert setting in ended.stdout


def test_what_is_shown_of_the_settings_holds_no_password(secured: Secured) -> None:
    shown = rapport(secured, "ingest", "serve", "--check").stdout

    assert "RAPPORT_KAFKA_SASL_PASSWORD=**********" in shown
    assert "RAPPORT_CLICKHOUSE_PASSWORD=**********" in shown
    assert secured.environment["RAPPORT_KAFKA_SASL_PASSWORD"] not in shown


def rapport(secured: Secured, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """The command within the stack, with some settings changed; an empty one is unset. Its health is not served, for
    the stack serves it."""
    health = {process.health_variable: "0" for process in PROCESSES}
    given = {**os.environ, **project_environment(), **secured.system.stack.environment, **health, **changes}
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={name: value for name, value in given.items() if value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    assert time.monotonic() - began < REFUSED_WITHIN_SECONDS
    return ended
