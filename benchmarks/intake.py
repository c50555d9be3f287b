"""Events a second onto the log: through one gateway process over HTTP, and by a bare kafka-python producer."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from zlib import crc32

import click
from rich.console import Console

from benchmarks import broker
from benchmarks.command import KEPT
from benchmarks.contestants.task import Task
from benchmarks.events import log
from benchmarks.logs import RELATIONSHIPS
from benchmarks.machine import machine
from benchmarks.race import Failure, Run, race
from benchmarks.tables import Table, as_markdown, as_rich
from deploy.local.kafka import JarsUnresolvedError, KafkaConfig, LocalKafka, MissingToolError, StorageUnformattedError
from deploy.local.readiness import NotReadyError
from schemas.topics import TOPICS
from services.runtime.kafka import KafkaError, create_topics
from services.runtime.settings import Settings

BATCH_AIM = 0.5
"""Of the bare producer's rate; batches of 100."""
FEWER_SINGLES = 10
"""A request for each event takes so much longer that a part of the log tells its speed."""


@dataclass(frozen=True)
class Entrant:
    label: str
    module: str
    variant: str
    share: int = 1


BARE = Entrant("bare kafka-python producer", "bare_producer", "")
BATCHES = Entrant("gateway, batches of 100", "gateway", "100")
SINGLES = Entrant("gateway, single events", "gateway", "1", FEWER_SINGLES)
ENTRANTS = (BARE, BATCHES, SINGLES)

Outcomes = Mapping[Entrant, Sequence[Run | Failure]]


@click.command()
@click.option("--events", type=click.IntRange(1_000), default=100_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Medians are over so many.")
@click.option("--output", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
def main(*, events: int, rounds: int, output: str) -> None:
    """The same events, acknowledged by the same broker (acks=all, idempotent). Ratios are taken within each round.

    Ends with 1 if one of them failed."""
    try:
        outcomes = _held(events, rounds)
    except (JarsUnresolvedError, MissingToolError, StorageUnformattedError, NotReadyError, KafkaError) as problem:
        sys.exit(f"benchmarks: {problem}")
    _print(outcomes, output)
    failed = [(entrant.label, run.reason) for entrant, run in _runs(outcomes) if isinstance(run, Failure)]
    for label, reason in failed:
        click.echo(f"{label} failed: {reason}", err=True)
    sys.exit(1 if failed else 0)


def _held(events: int, rounds: int) -> Outcomes:
    (KEPT / "bench").mkdir(parents=True, exist_ok=True)
    outcomes: dict[Entrant, list[Run | Failure]] = {entrant: [] for entrant in ENTRANTS}
    with tempfile.TemporaryDirectory(dir=KEPT / "bench", prefix="run-") as scratch:
        folder = Path(scratch)
        with LocalKafka(KafkaConfig(data=folder / "kafka", cache=KEPT / "cache")) as kafka:
            settings = Settings(kafka=kafka.bootstrap)
            create_topics(settings, {topic.name: topic.options(broker.PARTITIONS, 1) for topic in TOPICS})
            for number in range(rounds):
                for entrant, runs in outcomes.items():
                    click.echo(f"round {number + 1} of {rounds}: {entrant.label}", err=True)
                    runs.append(_run(entrant, settings, events, _fresh(folder, f"{entrant.variant}-{number}")))
    return outcomes


def _fresh(folder: Path, name: str) -> Path:
    own = folder / f"run{name}"
    own.mkdir()
    return own


def _run(entrant: Entrant, settings: Settings, events: int, folder: Path) -> Run | Failure:
    """Each run has events of its own: what is repeated is not written again."""
    count = events // entrant.share
    file = folder / "events.jsonl"
    with file.open("wb") as lines:
        for _, value in islice(log(count, min(RELATIONSHIPS, count), seed=crc32(folder.name.encode())), count):
            lines.write(value + b"\n")
    return race(
        entrant.module,
        Task(settings.kafka, str(file), broker.PARTITIONS, count, folder.name, entrant.variant, str(folder)),
    )


def _runs(outcomes: Outcomes) -> Iterator[tuple[Entrant, Run | Failure]]:
    return ((entrant, run) for entrant, runs in outcomes.items() for run in runs)


def _print(outcomes: Outcomes, output: str) -> None:
    rates = {
        entrant: [run.count / run.wall for run in runs if isinstance(run, Run)] for entrant, runs in outcomes.items()
    }
    ratios = {entrant: _ratio(outcomes[entrant], outcomes[BARE]) for entrant in ENTRANTS}
    if output == "json":
        found = [{"entrant": e.label, "events_per_second": rates[e], "ratio": ratios[e]} for e in ENTRANTS]
        click.echo(json.dumps({"machine": machine().values(), "figures": found}, indent=2))
        return
    rows = [
        (e.label, f"{median(rates[e]):,.0f}", "-" if ratios[e] is None else f"{ratios[e]:.2f}", str(len(rates[e])))
        for e in ENTRANTS
        if rates[e]
    ]
    table = Table("Events onto the log", ("", "events/s", "x bare", "rounds"), rows)
    if output == "markdown":
        click.echo(f"{as_markdown(table)}\nOn {machine()}.")
        return
    console = Console()
    console.print(as_rich(table))
    met = "-" if ratios[BATCHES] is None else "met" if (ratios[BATCHES] or 0) >= BATCH_AIM else "MISSED"
    console.print(f"Aim: batches at least {BATCH_AIM:g} x bare: {met}. On {machine()}.", highlight=False)


def _ratio(runs: Sequence[Run | Failure], base: Sequence[Run | Failure]) -> float | None:
    """Of rates, within each round."""
    pairs = [(r, b) for r, b in zip(runs, base, strict=True) if isinstance(r, Run) and isinstance(b, Run)]
    return median((r.count / r.wall) / (b.count / b.wall) for r, b in pairs) if pairs else None
