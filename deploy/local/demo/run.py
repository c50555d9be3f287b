"""The order of the demo: token, sample, stream, wait, verify, show."""

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
from deploy.local.demo.people import name_everybody
from deploy.local.demo.progress import NotCaughtUpError, wait_for
from deploy.local.demo.report import DemoFacts, Warehouse, answers, show
from deploy.local.display import Display
from deploy.local.stack import READER, CommandFailedError, Stack
from deploy.local.steps import Say, step

# On two cores.
SENDING_SECONDS, LEARNING_SECONDS, CHECKING_SECONDS = 5, 15, 15


@dataclass(frozen=True)
class History:
    chosen: Sequence[sample.Contact]
    shift: timedelta

    @property
    def end(self) -> datetime:
        return sample.end_of(self.chosen, self.shift)

    @property
    def learnt_until(self) -> datetime:
        """The end of the years that the risk learns from."""
        return sample.LEARNT_UNTIL + self.shift


def demo(stack: Stack, display: Display) -> None:
    """Streams what is missing of the sample and shows what came of it. Raises CommandFailedError."""
    try:
        _demo(stack, display)
    except (NotCaughtUpError, httpx.HTTPError) as problem:
        raise CommandFailedError(f"the demo did not get to its end: {problem}") from problem


def _demo(stack: Stack, display: Display) -> None:
    history, say = _history(stack.data), display.say
    environment = {**os.environ, **stack.environment}
    login = environment.get("RAPPORT_CLICKHOUSE_USER", "default"), environment.get("RAPPORT_CLICKHOUSE_PASSWORD", "")
    warehouse = Warehouse(stack.clickhouse_url, login)
    stored = {row["id"] for row in warehouse.ask("stored_ids", source=sample.SOURCE)}
    everything = list(sample.events(history.chosen, history.shift))
    missing = [e for e in everything if e["id"] not in stored]
    later = {e["id"] for e in everything if datetime.fromisoformat(e["time"]) >= history.learnt_until}
    pairs = len({contact.pair for contact in history.chosen})
    name_everybody(stack.gateway_url, _token(stack), history.chosen)
    if later.isdisjoint(stored):
        _years_before(stack, say, [e for e in missing if e["id"] not in later], (pairs, history.learnt_until))
    rest = [e for e in missing if e["id"] in later or not later.isdisjoint(stored)]
    say(f"Step 3 of 4: the last year: {len(rest):,} events")
    _stream(stack, say, rest, history.end)
    say("  computing day by day how each pair fared, and whom to alert")
    wait_for(history.end.timestamp(), stack.environment, say)
    verdict, found = _verified(stack, say), answers(warehouse, history.end)
    warehouse.close()
    with display.suspended():
        told = DemoFacts(
            new_events=len(missing),
            verdict=verdict,
            clickhouse_url=stack.clickhouse_url,
            reader=(READER, READER),
            gateway_url=stack.gateway_url,
            board_url=stack.board_url,
            env=os.path.relpath(stack.data / "env"),
        )
        show(Console(), found, told)


def _years_before(stack: Stack, say: Say, events: Sequence[object], of: tuple[int, datetime]) -> None:
    """Streams them and has the risk learn from them, as a nightly job would: what follows is scored by what was
    learnt."""
    pairs, end = of
    say(f"Step 2 of 4: the first two years of {pairs} mentoring pairs: {len(events):,} events")
    _stream(stack, say, events, end)
    say("  computing day by day how each pair fared")
    wait_for(end.timestamp(), stack.environment, say)
    with step(say, "  learning from it how likely a pair is to go silent", LEARNING_SECONDS):
        said = stack.run("scoring", "calibrate", "--apply")
    cases = re.search(r"calibrated on ([0-9]+) cases", said)
    say(f"  learnt from {int(cases[1]):,} cases, for the last year" if cases else f"  {said.strip()}")


def _verified(stack: Stack, say: Say) -> str:
    """What recomputing says. Scores that the bounded memory could not tell, as after an upgrade, are healed before."""
    with step(say, "Step 4 of 4: checking: every score is computed once more", CHECKING_SECONDS):
        lines = stack.run("scoring", "verify").strip().splitlines()
    if any(line.startswith("stale") for line in lines):
        with step(say, "  correcting what came very late, and checking again", 2 * CHECKING_SECONDS):
            stack.run("scoring", "heal")
            lines = stack.run("scoring", "verify").strip().splitlines()
    table = next(line.split() for line in lines if line.startswith("table "))
    return f"{lines[-1]}, {int(table[2]):,} scores, SHA-256 {table[1][:12]}..."


def _history(data: Path) -> History:
    """The shift is kept, so that every run of a data folder tells the same history."""
    chosen, kept = sample.contacts(), data / "sample-shift.json"
    if not kept.exists():
        shift = sample.shift_to(datetime.now(UTC).date(), chosen)
        kept.write_text(json.dumps({"days": shift.days}) + "\n")
    return History(chosen, timedelta(days=json.loads(kept.read_text())["days"]))


def _stream(stack: Stack, say: Say, events: Sequence[object], end: datetime) -> None:
    """Through the gateway, by the command that anybody would use."""
    file = stack.data / "sample.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    arguments = ["ingest", "import", str(file), "--clock-reached", end.isoformat(), "--source", sample.SOURCE]
    with step(say, "  sending them over HTTP", SENDING_SECONDS):
        stack.run(*arguments, RAPPORT_INGEST_TOKEN=_token(stack))


def _token(stack: Stack) -> str:
    return stack.token("demo", "--tenant", sample.TENANT, "--source", sample.SOURCE, "--admin")
