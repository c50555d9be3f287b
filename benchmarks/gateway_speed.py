"""Sends events through one gateway process over HTTP, and with a bare kafka-python producer: events per second, CPU of
the process alone, and the latency of single events at a steady pace."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from zlib import crc32

import click
from rich.console import Console

from benchmarks import broker
from benchmarks.command import CACHE
from benchmarks.contestant_run import Failure, Run, run_contestant
from benchmarks.contestants.paced import PER_SECOND
from benchmarks.contestants.task import Task
from benchmarks.events import log
from benchmarks.logs import RELATIONSHIPS
from benchmarks.machine import machine
from benchmarks.tables import Table, as_markdown, as_rich
from deploy.local.kafka import JarsUnresolvedError, KafkaConfig, LocalKafka, MissingToolError, StorageUnformattedError
from deploy.local.readiness import NotReadyError
from schemas.topics import TOPICS
from services.runtime.kafka import KafkaError, create_topics
from services.runtime.settings import Settings

CPU_AIM = 2.5
"""Times the bare producer's CPU per event; batches of 100."""
P50_AIM, P99_AIM = 8.0, 25.0
"""Milliseconds above the bare producer's acknowledgement; single events at a steady pace."""
FEWER_SINGLES = 10
"""One request per event is so much slower that this fraction of the log suffices."""


@dataclass(frozen=True)
class GatewayContestant:
    """`is_before`: another version of the code, in the folder of the option --before."""

    label: str
    module: str
    variant: str
    share: int = 1
    is_before: bool = False


BARE = GatewayContestant("bare kafka-python producer", "bare_producer", "")
BATCHES = GatewayContestant("gateway, batches of 100", "gateway", "100")
SINGLES = GatewayContestant("gateway, single events", "gateway", "1", FEWER_SINGLES)
BARE_PACED = GatewayContestant(f"bare producer, {PER_SECOND}/s", "bare_producer", "paced", FEWER_SINGLES)
PACED = GatewayContestant(f"gateway, singles, {PER_SECOND}/s", "gateway", "paced", FEWER_SINGLES)
CONTESTANTS = (BARE, BATCHES, SINGLES, BARE_PACED, PACED)
BEFORE = tuple(replace(one, label=f"before: {one.label}", is_before=True) for one in (BATCHES, SINGLES, PACED))

Outcomes = Mapping[GatewayContestant, Sequence[Run | Failure]]


@click.command()
@click.option("--events", type=click.IntRange(1_000), default=100_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds that medians cover.")
@click.option(
    "--before",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="A worktree of another commit: its gateway runs in the same rounds.",
)
@click.option("--output", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
def main(*, events: int, rounds: int, before: str | None, output: str) -> None:
    """Send the same events, acknowledged by the same broker (acks=all, idempotent). Ratios are taken within each round.

    Exits with 1 if a contestant failed.
    """
    try:
        outcomes = _run_rounds(events, rounds, before)
    except (JarsUnresolvedError, MissingToolError, StorageUnformattedError, NotReadyError, KafkaError) as problem:
        sys.exit(f"benchmarks: {problem}")
    _print(outcomes, output)
    failed = [(entrant.label, run.reason) for entrant, run in _runs(outcomes) if isinstance(run, Failure)]
    for label, reason in failed:
        click.echo(f"{label} failed: {reason}", err=True)
    sys.exit(1 if failed else 0)


def _run_rounds(events: int, rounds: int, before: str | None) -> Outcomes:
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    outcomes: dict[GatewayContestant, list[Run | Failure]] = {
        one: [] for one in CONTESTANTS + (BEFORE if before else ())
    }
    with tempfile.TemporaryDirectory(dir=CACHE / "bench", prefix="run-") as scratch:
        folder = Path(scratch)
        with LocalKafka(KafkaConfig(data=folder / "kafka", cache=CACHE / "cache")) as kafka:
            settings = Settings(kafka=kafka.bootstrap)
            create_topics(settings, {topic.name: topic.options(broker.PARTITIONS, 1) for topic in TOPICS})
            for number in range(rounds):
                for place, (entrant, runs) in enumerate(outcomes.items()):
                    click.echo(f"round {number + 1} of {rounds}: {entrant.label}", err=True)
                    task = _task(settings, entrant, events, _run_folder(folder, f"{place}-{number}"))
                    project = before if before and entrant.is_before else ""
                    runs.append(run_contestant(entrant.module, replace(task, project=project)))
    return outcomes


def _run_folder(folder: Path, name: str) -> Path:
    own = folder / f"run{name}"
    own.mkdir()
    return own


def _task(settings: Settings, entrant: GatewayContestant, events: int, folder: Path) -> Task:
    """Each run has its own events: the gateway would not write duplicates again."""
    count = events // entrant.share
    file = folder / "events.jsonl"
    with file.open("wb") as lines:
        for _, value in islice(log(count, min(RELATIONSHIPS, count), seed=crc32(folder.name.encode())), count):
            lines.write(value + b"\n")
    return Task(settings.kafka, str(file), broker.PARTITIONS, count, folder.name, entrant.variant, str(folder))


def _runs(outcomes: Outcomes) -> Iterator[tuple[GatewayContestant, Run | Failure]]:
    return ((entrant, run) for entrant, runs in outcomes.items() for run in runs)


@dataclass(frozen=True)
class _Figure:
    """Medians over the rounds. `cpu_micros`: of the process alone, per event. Ratios to the bare producer are taken
    within each round; milliseconds only exist for a steady pace."""

    entrant: GatewayContestant
    rate: float
    cpu_micros: float
    rate_ratio: float
    cpu_ratio: float
    p50: float | None
    p99: float | None
    p50_above: float | None
    p99_above: float | None


def _figure(entrant: GatewayContestant, outcomes: Outcomes) -> _Figure | None:
    base = BARE_PACED if entrant.variant == "paced" else BARE
    run_pairs = zip(outcomes[entrant], outcomes[base], strict=True)
    pairs = [(run, bare) for run, bare in run_pairs if isinstance(run, Run) and isinstance(bare, Run)]
    if not pairs:
        return None

    def of(measure: Callable[[Run, Run], float]) -> float:
        return median(measure(run, bare) for run, bare in pairs)

    def above(name: str) -> tuple[float | None, float | None]:
        if name not in pairs[0][0].latency:
            return None, None
        return of(lambda run, _: run.latency[name]), of(lambda run, bare: run.latency[name] - bare.latency[name])

    p50, p50_above = above("p50")
    p99, p99_above = above("p99")
    return _Figure(
        entrant,
        of(lambda run, _: run.count / run.wall),
        of(lambda run, _: run.cpu / run.count * 1e6),
        of(lambda run, bare: (run.count / run.wall) / (bare.count / bare.wall)),
        of(lambda run, bare: (run.cpu / run.count) / (bare.cpu / bare.count)),
        p50,
        p99,
        p50_above,
        p99_above,
    )


def _print(outcomes: Outcomes, output: str) -> None:
    found = {entrant: figure for entrant in outcomes if (figure := _figure(entrant, outcomes))}
    load = f"load average {', '.join(f'{one:.1f}' for one in os.getloadavg())}"
    if output == "json":
        figures_json = [asdict(figure) | {"entrant": entrant.label} for entrant, figure in found.items()]
        click.echo(
            json.dumps({"machine": machine().values(), "load": os.getloadavg(), "figures": figures_json}, indent=2)
        )
        return
    columns = ("", "events/s", "x bare", "CPU us/event", "x bare", "p50 / p99 ms", "above bare")
    table = Table("Events onto the log", columns, [_row(figure) for figure in found.values()])
    if output == "markdown":
        click.echo(f"{as_markdown(table)}\nOn {machine()}; {load}.")
        return
    console = Console()
    console.print(as_rich(table))
    for what, measured, aim in _aims(found):
        words = "met" if measured <= aim else "MISSED"
        console.print(f"Aim: {what} at most {aim:g}: {measured:.2f}, {words}.", highlight=False)
    console.print(f"On {machine()}; {load}.", highlight=False)


def _row(figure: _Figure) -> tuple[str, ...]:
    return (
        figure.entrant.label,
        f"{figure.rate:,.0f}",
        f"{figure.rate_ratio:.2f}",
        f"{figure.cpu_micros:.0f}",
        f"{figure.cpu_ratio:.2f}",
        "-" if figure.p50 is None else f"{figure.p50:.1f} / {figure.p99:.1f}",
        "-" if figure.p50_above is None else f"{figure.p50_above:.1f} / {figure.p99_above:.1f}",
    )


def _aims(found: Mapping[GatewayContestant, _Figure]) -> Iterator[tuple[str, float, float]]:
    if BATCHES in found:
        yield "CPU of an event in batches, x bare", found[BATCHES].cpu_ratio, CPU_AIM
    if PACED in found:
        paced = found[PACED]
        assert paced.p50_above is not None
        assert paced.p99_above is not None
        yield f"ms of a single POST above bare at {PER_SECOND}/s, p50", paced.p50_above, P50_AIM
        yield "the same, p99", paced.p99_above, P99_AIM
