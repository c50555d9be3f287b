"""The command line of the scoring benchmarks: what runs, and how results are printed."""

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
from benchmarks.rounds import BenchFolders, Plan, Report, run_rounds
from benchmarks.tables import as_json, as_markdown, as_rich, tables
from deploy.local.kafka import JarsUnresolvedError, MissingToolError, StorageUnformattedError
from deploy.local.readiness import NotReadyError
from services.runtime.kafka import KafkaError

CACHE = Path(__file__).parents[1] / ".rapport"


@click.command()
@click.option(
    "--events", type=click.IntRange(1_000), default=100_000, show_default=True, help="Number of events on the log."
)
@click.option(
    "--records",
    type=click.IntRange(1_000),
    default=200_000,
    show_default=True,
    help="Number of records on the changelog.",
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds that medians cover.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Run only this contestant; repeatable.")
@click.option("--output", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
@click.option("--json", "output", flag_value="json", help="The same as --output json.")
def main(*, events: int, records: int, rounds: int, only: tuple[str, ...], output: str) -> None:
    """Compare CPU seconds of the live flow, seconds of recovery and speed of replay with other systems, on a separate
    broker.

    Ratios are what counts: they are taken within each round. Exits with 1 if a contestant failed.
    """
    chosen = tuple(contestant for contestant in LINEUP if not only or contestant.name in only)
    plan = Plan(chosen, Sizes(events, records), rounds)
    try:
        outcomes = _run_plan(plan)
    except (JarsUnresolvedError, MissingToolError, StorageUnformattedError, NotReadyError, KafkaError) as problem:
        sys.exit(f"benchmarks: {problem}")
    _print(outcomes, output)
    for name, reason in failures(outcomes):
        click.echo(f"{name} failed: {reason}", err=True)
    sys.exit(1 if failures(outcomes) else 0)


def _run_plan(plan: Plan) -> Outcomes:
    folder = CACHE / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="run-") as scratch, _progress(plan) as report:
        return run_rounds(plan, BenchFolders(Path(scratch), CACHE), report)


@contextmanager
def _progress(plan: Plan) -> Iterator[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        steps = len({contestant.log for contestant in plan.contestants}) * 2 + len(plan.contestants) * plan.rounds
        bar = progress.add_task("starting Kafka", total=steps, completed=-1)

        def report(text: str) -> None:
            progress.update(bar, description=text, advance=1)
            if not progress.console.is_terminal:
                progress.console.print(text, highlight=False)

        yield report
        progress.update(bar, description="done", completed=steps)


def _print(outcomes: Outcomes, output: str) -> None:
    found, aim_results = figures(outcomes), aims(outcomes)
    if output == "json":
        click.echo(as_json(machine(), found, aim_results, failures(outcomes)))
        return
    shown_tables = tables(found, aim_results, scoring_share(outcomes))
    if output == "markdown":
        click.echo("\n".join([*map(as_markdown, shown_tables), f"On {machine()}."]))
        return
    console = Console()
    for table in shown_tables:
        console.print(as_rich(table))
    console.print(f"On {machine()}. Absolute figures hold for this machine only.", highlight=False)
