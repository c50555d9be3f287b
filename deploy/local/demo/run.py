"""Runs the demo: token, sample, stream, wait, verify, show."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console

from deploy.local.demo import sample
from deploy.local.demo.people import send_participants
from deploy.local.demo.progress import NotCaughtUpError, wait_until_caught_up
from deploy.local.demo.report import DemoFacts, Warehouse, run_queries, show
from deploy.local.display import Display
from deploy.local.stack import READER, CommandFailedError, Stack
from deploy.local.steps import Report, step

# On two cores.
SENDING_SECONDS, CALIBRATION_SECONDS, CHECKING_SECONDS = 5, 15, 15


@dataclass(frozen=True)
class History:
    chosen: Sequence[sample.Contact]
    shift: timedelta

    @property
    def end(self) -> datetime:
        return sample.end_of(self.chosen, self.shift)

    @property
    def training_end(self) -> datetime:
        """The end of the years on which the risk is calibrated."""
        return sample.TRAINING_UNTIL + self.shift


def demo(stack: Stack, display: Display) -> None:
    """Stream the missing part of the sample and show the results. Raises CommandFailedError."""
    try:
        _demo(stack, display)
    except (NotCaughtUpError, httpx.HTTPError) as problem:
        raise CommandFailedError(f"the demo did not get to its end: {problem}") from problem


def _demo(stack: Stack, display: Display) -> None:
    history, report = _history(stack.data), display.report
    environment = {**os.environ, **stack.environment}
    login = environment.get("RAPPORT_CLICKHOUSE_USER", "default"), environment.get("RAPPORT_CLICKHOUSE_PASSWORD", "")
    warehouse = Warehouse(stack.clickhouse_url, login)
    stored = {row["id"] for row in warehouse.query("stored_ids", source=sample.SOURCE)}
    everything = list(sample.events(history.chosen, history.shift))
    missing = [e for e in everything if e["id"] not in stored]
    of_last_year = {e["id"] for e in everything if datetime.fromisoformat(e["time"]) >= history.training_end}
    pairs = len({contact.pair for contact in history.chosen})
    send_participants(stack.gateway_url, _token(stack), history.chosen)
    if of_last_year.isdisjoint(stored):
        _calibrate_on_first_years(
            stack, report, [e for e in missing if e["id"] not in of_last_year], (pairs, history.training_end)
        )
    rest = [e for e in missing if e["id"] in of_last_year or not of_last_year.isdisjoint(stored)]
    report(f"Step 3 of 4: the last year: {len(rest):,} events")
    _stream(stack, report, rest, history.end)
    report("  computing day by day how each pair fared, and whom to alert")
    wait_until_caught_up(history.end.timestamp(), stack.environment, report)
    verdict, results = _verify(stack, report), run_queries(warehouse, history.end)
    warehouse.close()
    with display.suspended():
        facts = DemoFacts(
            new_events=len(missing),
            verdict=verdict,
            clickhouse_url=stack.clickhouse_url,
            reader=(READER, READER),
            gateway_url=stack.gateway_url,
            board_url=stack.board_url,
            env=os.path.relpath(stack.data / "env"),
        )
        show(Console(), results, facts)


def _calibrate_on_first_years(stack: Stack, report: Report, events: Sequence[object], of: tuple[int, datetime]) -> None:
    """Stream the events and calibrate the risk on them, as a nightly job would; later scores use the result."""
    pairs, end = of
    report(f"Step 2 of 4: the first two years of {pairs} mentoring pairs: {len(events):,} events")
    _stream(stack, report, events, end)
    report("  computing day by day how each pair fared")
    wait_until_caught_up(end.timestamp(), stack.environment, report)
    with step(report, "  learning from it how likely a pair is to go silent", CALIBRATION_SECONDS):
        output = stack.run("scoring", "calibrate", "--apply")
    cases = re.search(r"calibrated on ([0-9]+) cases", output)
    report(f"  learnt from {int(cases[1]):,} cases, for the last year" if cases else f"  {output.strip()}")


def _verify(stack: Stack, report: Report) -> str:
    """Return the result of `scoring verify`. Stale scores, as after an upgrade, are healed first."""
    with step(report, "Step 4 of 4: checking: every score is computed once more", CHECKING_SECONDS):
        lines = stack.run("scoring", "verify").strip().splitlines()
    if any(line.startswith("stale") for line in lines):
        with step(report, "  correcting what came very late, and checking again", 2 * CHECKING_SECONDS):
            stack.run("scoring", "heal")
            lines = stack.run("scoring", "verify").strip().splitlines()
    table = next(line.split() for line in lines if line.startswith("table "))
    return f"{lines[-1]}, {int(table[2]):,} scores, SHA-256 {table[1][:12]}..."


def _history(data: Path) -> History:
    """The shift is stored, so that every run on a data folder produces the same history."""
    chosen, shift_file = sample.contacts(), data / "sample-shift.json"
    if not shift_file.exists():
        shift = sample.shift_to(datetime.now(UTC).date(), chosen)
        shift_file.write_text(json.dumps({"days": shift.days}) + "\n")
    return History(chosen, timedelta(days=json.loads(shift_file.read_text())["days"]))


def _stream(stack: Stack, report: Report, events: Sequence[object], end: datetime) -> None:
    """Send the events with the public import command."""
    file = stack.data / "sample.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    arguments = ["ingest", "import", str(file), "--clock-reached", end.isoformat(), "--source", sample.SOURCE]
    with step(report, "  sending them over HTTP", SENDING_SECONDS):
        stack.run(*arguments, RAPPORT_INGEST_TOKEN=_token(stack))


def _token(stack: Stack) -> str:
    return stack.token("demo", "--tenant", sample.TENANT, "--source", sample.SOURCE, "--admin")
