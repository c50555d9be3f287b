"""The order of the demo: token, sample, stream, wait, verify, show."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console

from deploy.local.child import with_project
from deploy.local.demo import sample
from deploy.local.demo.progress import NotCaughtUpError, wait_for
from deploy.local.demo.report import Told, show
from deploy.local.demo.warehouse import Warehouse
from deploy.local.display import Display
from deploy.local.stack import READER, CommandFailedError, Stack

SECRET = re.compile(r"rpt_\S+")


@dataclass(frozen=True)
class History:
    chosen: Sequence[sample.Contact]
    shift: timedelta

    @property
    def end(self) -> datetime:
        return sample.end_of(self.chosen, self.shift)


def demo(stack: Stack, display: Display) -> None:
    """Streams what is missing of the sample and shows what came of it. Raises CommandFailedError."""
    try:
        _demo(stack, display)
    except (NotCaughtUpError, httpx.HTTPError) as problem:
        raise CommandFailedError(f"the demo did not get to its end: {problem}") from problem


def _demo(stack: Stack, display: Display) -> None:
    history = _history(stack.data)
    warehouse = Warehouse(stack.clickhouse_url, _login(stack))
    stored = {row["id"] for row in warehouse.ask("stored_ids", source=sample.SOURCE)}
    missing = [e for e in sample.events(history.chosen, history.shift) if e["id"] not in stored]
    display.say(f"streaming {len(missing)} events of {len({c.pair for c in history.chosen})} relationships")
    with display.suspended():
        _stream(stack, missing, history.end)
    display.say("scoring, judging and storing them")
    wait_for(history.end.timestamp(), stack.environment, display.say)
    verdict = _verified(stack, display)
    with display.suspended():
        told = Told(len(missing), history.end, _summary(verdict), stack.clickhouse_url, (READER, READER))
        show(Console(), warehouse, told)
    warehouse.close()


def _verified(stack: Stack, display: Display) -> list[str]:
    """What recomputing says. Scores that the bounded memory could not tell, as after an upgrade, are healed before."""
    display.say("recomputing every score from the log")
    verdict = stack.run("scoring", "verify").strip().splitlines()
    if any(line.startswith("stale") for line in verdict):
        display.say("healing what came too late for the bounded memory")
        stack.run("scoring", "heal")
        verdict = stack.run("scoring", "verify").strip().splitlines()
    return verdict


def _history(data: Path) -> History:
    """The shift is kept, so that every run of a data folder tells the same history."""
    chosen, kept = sample.contacts(), data / "sample-shift.json"
    if not kept.exists():
        shift = sample.shift_to(datetime.now(UTC).date(), chosen)
        kept.write_text(json.dumps({"days": shift.days}) + "\n")
    return History(chosen, timedelta(days=json.loads(kept.read_text())["days"]))


def _stream(stack: Stack, events: Sequence[object], end: datetime) -> None:
    """Through the gateway, by the command that anybody would use; it draws its own progress."""
    file = stack.data / "sample.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    arguments = ["ingest", "import", str(file), "--clock-reached", end.isoformat(), "--source", sample.SOURCE]
    environment = {**os.environ, **with_project(), **stack.environment, "RAPPORT_INGEST_TOKEN": _token(stack)}
    sys.stdout.flush()
    done = subprocess.run(  # noqa: S603 (the command line is ours)
        [*stack.rapport, *arguments], env=environment, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        raise CommandFailedError(f"the import ended with {done.returncode}")


def _token(stack: Stack) -> str:
    kept = stack.data / "demo-token"
    if not kept.exists():
        scope = ["--tenant", sample.TENANT, "--source", sample.SOURCE, "--admin"]
        found = SECRET.search(stack.run("ingest", "token", "create", "--id", "demo", *scope))
        assert found is not None, "the command prints the secret"
        kept.touch(mode=0o600)
        kept.write_text(found.group())
    return kept.read_text()


def _login(stack: Stack) -> tuple[str, str]:
    environment = {**os.environ, **stack.environment}
    return environment.get("RAPPORT_CLICKHOUSE_USER", "default"), environment.get("RAPPORT_CLICKHOUSE_PASSWORD", "")


def _summary(lines: Sequence[str]) -> str:
    """`equal, N rows, sha256 ...` of what `rapport scoring verify` printed."""
    table = next(line.split() for line in lines if line.startswith("table "))
    return f"{lines[-1]}, {table[2]} rows, sha256 {table[1]}"
