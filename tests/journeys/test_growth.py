"""The whole system grows from 4 to 8 partitions as an operator does it: stop, grow, start with the next log epoch."""

import io
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.local.child import project_environment
from deploy.local.data_folder import ClockMode
from deploy.local.demo.progress import wait_until_caught_up
from deploy.local.display import display_on
from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.stack import StackConfig
from tests.conftest import WithTables
from tests.journeys.system import CACHE, DERIVED_SELDOM, AskedStack, System, clock_reached, event
from tests.receiver import SECRET, Receiver, receiving

DAY = timedelta(days=1)
BEGIN = datetime(2024, 3, 4, 9, tzinfo=UTC)
EPOCHS = "SELECT bitShiftRight(position, 48), count() FROM mentoring.events GROUP BY 1 ORDER BY 1"
PAIRS = 12
WEEKS = 10


def test_the_system_grows_and_nobody_is_told_anything_twice(with_tables: WithTables, tmp_path: Path) -> None:
    """Every second pair falls silent after ten weeks; the others a year later, on the grown log."""
    with_tables(tmp_path / "data" / "clickhouse")
    with receiving() as receiver:
        with AskedStack(config(tmp_path, receiver), quiet()) as stack:
            whole = System(stack, receiver)
            token = whole.token("acme", "/test")
            send(whole, token, meetings(range(PAIRS), BEGIN), BEGIN + WEEKS * 7 * DAY)
            send(whole, token, meetings(range(0, PAIRS, 2), BEGIN + WEEKS * 7 * DAY), BEGIN + 2 * WEEKS * 7 * DAY)
            alerted, stored = told(receiver), rows(whole)
            assert alerted
        said = grow(tmp_path)

        assert "8 partitions" in said
        assert "RAPPORT_LOG_EPOCH=1" in said
        with AskedStack(config(tmp_path, receiver, RAPPORT_LOG_EPOCH="1"), quiet()) as stack:
            whole = System(stack, receiver)
            assert whole.verify().strip().endswith("equal")
            assert rows(whole) == stored, "nothing is stored twice"
            assert told(receiver) == alerted, "nobody is told again"
            send(whole, token, [meeting("pair-0", BEGIN + 2 * WEEKS * 7 * DAY)], BEGIN + 60 * 7 * DAY)
            # The programme itself shifts, too.
            heard = {subject for subject, _ in told(receiver)} - {"journey"}
            assert heard == {f"pair-{n}" for n in range(PAIRS)}
            assert whole.verify().strip().endswith("equal")
            assert whole.ask(EPOCHS) == [[0, stored[0][0]], [1, 1]], "the new event has a position above all others"


def config(folder: Path, receiver: Receiver, **environment: str) -> StackConfig:
    webhook = {
        "RAPPORT_NOTIFY_WEBHOOK_URL": receiver.url,
        "RAPPORT_NOTIFY_WEBHOOK_SECRET": SECRET,
        "RAPPORT_NOTIFY_WEBHOOK_ALLOW_PRIVATE": "true",
    }
    given = {**webhook, **DERIVED_SELDOM, **environment}
    return StackConfig(data=folder / "data", clock=ClockMode.LOG, cache=CACHE, environment=given)


def grow(folder: Path) -> str:
    """With nothing but the broker running."""
    with LocalKafka(KafkaConfig(data=folder / "data" / "kafka", cache=CACHE)) as kafka:
        done = subprocess.run(
            [*StackConfig(folder).rapport, "scoring", "grow", "--partitions", "8"],
            env={**os.environ, **project_environment(), "RAPPORT_KAFKA": kafka.bootstrap, "RAPPORT_CLOCK": "log"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def meetings(pairs: Sequence[int], begin: datetime) -> list[dict[str, Any]]:
    """Every week one of each pair."""
    return [meeting(f"pair-{pair}", begin + week * 7 * DAY) for week in range(WEEKS) for pair in pairs]


def meeting(relationship: str, time: datetime) -> dict[str, Any]:
    started = (time - timedelta(hours=1)).isoformat()
    return event(relationship, "session.held", time, session_id=f"{time:%Y-%j}", started_at=started, minutes=60)


def send(whole: System, token: str, events: Sequence[Mapping[str, Any]], until: datetime) -> None:
    """Returns when everything up to then is scored, judged, told and stored."""
    for sent in (events, [clock_reached(until)]):
        if sent:
            answer = whole.post(token, sent)
            assert answer.status_code == 202, answer.text
    wait_until_caught_up(until.timestamp(), whole.stack.environment, lambda _: None)


def told(receiver: Receiver) -> set[tuple[str, str]]:
    return {(call.data["relationship"], call.webhook_id) for call in receiver.calls}


def rows(whole: System) -> list[list[Any]]:
    return whole.ask("SELECT count(), uniqExact(event_id), max(inserted_at) FROM mentoring.events")


def quiet() -> Any:  # noqa: ANN401 (of either kind)
    return display_on(Console(file=io.StringIO()))
