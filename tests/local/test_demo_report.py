"""The demo's report: plain words, within 80 columns, in any output."""

import io
import re
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from deploy.local.demo.report import RANDOM, DemoFacts, show
from deploy.local.display import LiveTable, Status
from deploy.local.readiness import Readiness, State
from deploy.local.steps import progress_of, step

TOLD = DemoFacts(
    new_events=2_245,
    verdict="equal, 139,032 scores, SHA-256 0123456789ab...",
    clickhouse_url="http://127.0.0.1:23456",
    reader=("reader", "reader"),
    gateway_url="http://127.0.0.1:23457",
    board_url="http://127.0.0.1:23458",
    env=".rapport/demo/env",
)
FACTORS = {"recency": 1.0, "cadence": 2.0, "reliability": 3.0, "responsiveness": 4.0}
ROWS: Mapping[str, list[dict[str, Any]]] = {
    "bands": [{"band": "thriving", "relationships": 12, "mean_health": 91.2, "mean_risk": 0.13}],
    "at_risk": [
        {
            "relationship": "pair-123456",
            "calibrated": True,
            "health": 41.7,
            "band": "strained",
            "risk": 0.94,
            "confidence": 0.9,
            "silent_days": 71,
            "factors": FACTORS,
            "weights": dict.fromkeys(FACTORS, 25.0),
        }
    ],
    "predicted": [{"from_risk": 0.9, "cases": 312, "predicted": 0.943, "observed": 0.961}],
    "alerts": [{"rule": "disengaging", "fired": 120, "resolved": 110, "relationships": 71}],
    "outcomes": [
        {"trigger": "no_contact", "instants": 33, "silent": 30, "percent": 91},
        {"trigger": RANDOM, "instants": 2_033, "silent": 700, "percent": 34},
    ],
    "counts": [{"accepted": 2_245, "rows": 2_245}],
}
OURS = re.compile(
    r"health_low|disengaging|no_contact|fired|episode|partition|offset|topic|calibrat|instants|relationship_id|band\b"
)


def shown() -> str:
    file = io.StringIO()
    show(Console(file=file, width=80), ROWS, TOLD)
    return file.getvalue()


def test_its_lines_fit_a_terminal_of_80_columns_and_need_no_document_of_ours() -> None:
    text = shown()

    assert max(map(len, text.splitlines())) <= 80
    assert OURS.findall(text) == []
    assert "\x1b" not in text
    assert "\r" not in text


def test_it_ends_with_what_to_look_at_next() -> None:
    text = shown()

    after = text.partition("Next, in a browser:")[2]
    assert "http://127.0.0.1:23457/docs" in after
    assert "rapport scoring explain pair-123456" in after
    assert "http://127.0.0.1:23456, login reader, password reader" in after


def test_a_step_says_how_long_it_takes_and_how_far_it_is() -> None:
    said: list[str] = []

    with step(said.append, "Step 1 of 4: starting", 30):
        pass

    assert said == ["Step 1 of 4: starting (about 30 s)"]
    assert progress_of(10.2, 30) == "10 s of about 30 s"
    assert progress_of(42.0, 30) == "42 s, longer than usual"


def test_the_table_of_parts_keeps_names_and_states_whatever_they_say() -> None:
    display = LiveTable(Console(file=io.StringIO(), width=80, force_terminal=False))
    display.show(Status("ingest-work", Readiness(State.DEGRADED, "the broker does not answer: " + "x" * 200)))
    display.show(Status("clickhouse", Readiness(State.READY, "17 partitions, lag 0")))
    display.close()
    file = io.StringIO()

    Console(file=file, width=80).print(display.table())

    first, second = file.getvalue().splitlines()
    assert re.match(r"ingest-work +degraded +the broker does not answer: x+", first)
    assert re.fullmatch(r"clickhouse +ready *", second)
    assert max(len(first), len(second)) <= 80


def test_what_is_written_while_the_table_is_suspended_stays() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True)
    display = LiveTable(console)
    display.show(Status("kafka", Readiness(State.READY)))
    display.show(Status("clickhouse", Readiness(State.READY)))

    with display.suspended():
        console.print("the last line")
    display.close()

    after = file.getvalue().partition("the last line")[2]
    up = "\x1b[1A"
    assert "kafka" in after
    assert up not in after.partition("kafka")[0]
