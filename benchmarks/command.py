"""The command: what is run, and what is printed of it."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.figures import Outcomes, aims, failures, figures, scoring_share
from benchmarks.lineup import LINEUP, NAMES
from benchmarks.logs import Sizes
from benchmarks.machine import machine
from benchmarks.meeting import Place, Plan, Say, hold
from benchmarks.tables import as_json, as_markdown, as_rich, tables
from deploy.local.kafka import JarsUnresolvedError, MissingToolError, StorageUnformattedError
from deploy.local.readiness import NotReadyError
from services.runtime.kafka import KafkaError

KEPT = Path(__file__).parents[1] / ".rapport"


@click.command()
@click.option("--events", type=click.IntRange(1_000), default=100_000, show_default=True, help="Of the log.")
@click.option("--records", type=click.IntRange(1_000), default=200_000, show_default=True, help="Of the changelog.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Medians are over so many.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="A contestant; again for more. Default: all.")
@click.option("--output", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
@click.option("--json", "output", flag_value="json", help="The same as --output json.")
def main(*, events: int, records: int, rounds: int, only: tuple[str, ...], output: str) -> None:
    """CPU seconds of the live flow, seconds of recovery, speed of replay: ours beside others, on a broker of its own.

    Ratios are what counts: they are taken within each round. Ends with 1 if a contestant failed.
    """
    chosen = tuple(contestant for contestant in LINEUP if not only or contestant.name in only)
    plan = Plan(chosen, Sizes(events, records), rounds)
    try:
        outcomes = _held(plan)
    except (JarsUnresolvedError, MissingToolError, StorageUnformattedError, NotReadyError, KafkaError) as problem:
        sys.exit(f"benchmarks: {problem}")
    _print(outcomes, output)
    for name, reason in failures(outcomes):
        click.echo(f"{name} failed: {reason}", err=True)
    sys.exit(1 if failures(outcomes) else 0)


def _held(plan: Plan) -> Outcomes:
    folder = KEPT / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="run-") as scratch, _progress(plan) as say:
        return hold(plan, Place(Path(scratch), KEPT), say)


@contextmanager
def _progress(plan: Plan) -> Iterator[Say]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        steps = len({contestant.log for contestant in plan.contestants}) * 2 + len(plan.contestants) * plan.rounds
        bar = progress.add_task("starting Kafka", total=steps, completed=-1)

        def say(text: str) -> None:
            progress.update(bar, description=text, advance=1)
            if not progress.console.is_terminal:
                progress.console.print(text, highlight=False)

        yield say
        progress.update(bar, description="done", completed=steps)


def _print(outcomes: Outcomes, output: str) -> None:
    found, judged = figures(outcomes), aims(outcomes)
    if output == "json":
        click.echo(as_json(machine(), found, judged, failures(outcomes)))
        return
    made = tables(found, judged, scoring_share(outcomes))
    if output == "markdown":
        click.echo("\n".join([*map(as_markdown, made), f"On {machine()}."]))
        return
    console = Console()
    for table in made:
        console.print(as_rich(table))
    console.print(f"On {machine()}. Absolute figures hold for this machine only.", highlight=False)
