"""Maintenance commands for operators: `rapport scoring heal` emits the rows that the bounded memory could not compute,
`accept-gap` continues without lost records, `repartition` makes the next epoch of the log."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import click

from services.runtime.clickhouse import ClickHouseError
from services.scoring.commands.console import command_settings, explained, output, progress, section, table, working
from services.scoring.domain.maintenance import GapRefused
from services.scoring.flow.gaps import POLL_SECONDS, NoSuchPartitionError, accept_gap
from services.scoring.flow.heal import HealEnvironment, HealReport, NoStateError, heal
from services.scoring.flow.log_reading import LogCutOffError
from services.scoring.flow.maintenance import EXCLUSIVE, exclusive_maintenance
from services.scoring.flow.repartition.plan import Advance, NotRepartitionedError, Repartitioning
from services.scoring.flow.repartition.repartition import abandon, repartition
from services.scoring.flow.sink import SinkBehindError
from services.scoring.topics import Topics

LISTED = 20


@click.command("heal")
@click.argument("relationships", nargs=-1, metavar="[RELATIONSHIP...]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def heal_(relationships: tuple[str, ...], *, as_json: bool) -> None:
    """Rebuild the rows of stale relationships: all, or those named (tenant/id).

    A fact that arrives more than 30 days late changes rows that the bounded memory of the service no longer determines.
    They are recomputed from the full log, compared with ClickHouse, and the differences are emitted. Only one heal,
    replay or repartition runs at a time; a second one is refused. After an interruption the next heal does the rest.
    Ends with 1 if a relationship is left stale."""
    settings = command_settings()
    topics = Topics.at(settings.log_epoch)
    with (
        explained("heal", NoStateError, LogCutOffError, SinkBehindError, ClickHouseError, *EXCLUSIVE),
        exclusive_maintenance(settings, topics.state, "heal") as held,
        working() as at,
    ):
        report = heal(HealEnvironment(settings, topics, check=held.check), relationships, at)
    if as_json:
        healed = {name: {"told": told, "deleted": deleted} for name, (told, deleted) in sorted(report.healed.items())}
        click.echo(
            json.dumps({"healed": healed, "stale_again": list(report.again), "left": list(report.left)}, indent=1)
        )
    else:
        _as_text(report)
    sys.exit(1 if report.left else 0)


def _as_text(report: HealReport) -> None:
    console = output()
    if report.healed:
        first = ((name, *counts) for name, counts in sorted(report.healed.items())[:LISTED])
        section(console, "", table(first, relationship="wrap", rows_told="right", rows_taken_away="right"))
    more = len(report.healed) - LISTED
    console.print(f"{len(report.healed)} healed" + (f", the first {LISTED} are listed" if more > 0 else ""))
    if report.again:
        console.print(f"{len(report.again)} of them stale again, by what came meanwhile: {_listed(report.again)}")
    if report.left:
        console.print(
            f"{len(report.left)} left: scoring has not finished applying what made them stale: {_listed(report.left)}"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")


@click.command("accept-gap")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
def accept_gap_(partition: int, offset: int) -> None:
    """Let PARTITION continue at OFFSET, where its log begins now, after `log_gap`.

    The records before it were removed before they were applied: their facts are in no score. Restore them first if you
    can. A running worker continues within seconds."""
    settings = command_settings()
    with explained("accept-gap", NoSuchPartitionError):
        verdict = accept_gap(settings, Topics.at(settings.log_epoch), partition, offset)
    if isinstance(verdict, GapRefused):
        sys.exit(f"rapport scoring accept-gap: partition {partition}: {verdict.reason}")
    click.echo(f"partition {partition}: {verdict.lost} records are lost, it goes on at offset {offset}")
    click.echo(f"a running worker sees it within {POLL_SECONDS:.0f} s, any other when it starts")


@click.command("repartition")
@click.option("--partitions", type=click.IntRange(2, 1024), help="Of the new log: a multiple of what the log has now.")
@click.option(
    "--abandon", "abandoned", is_flag=True, help="Delete what was begun, and let the old log be written again."
)
def repartition_(partitions: int | None, *, abandoned: bool) -> None:
    """Make a log with more partitions: the next epoch.

    Stop every producer, let scoring, warehouse and notify read to the end, stop them too, and run this with the
    settings of the old log. It seals the old topics, copies the log in order, and rebuilds the states from the copy.
    Nothing is emitted again. After an interruption it continues. At the end set RAPPORT_LOG_EPOCH and start all
    services."""
    settings = command_settings()
    repartitioning = Repartitioning.of(settings.log_epoch)
    if (partitions is None) != abandoned:
        raise click.UsageError("give either --partitions N or --abandon")
    with (
        explained("repartition", NotRepartitionedError, *EXCLUSIVE),
        exclusive_maintenance(settings, repartitioning.old.topics.state, "repartition") as held,
    ):
        old, new = repartitioning.old.topics, repartitioning.new.topics
        if partitions is None:
            deleted = abandon(settings, repartitioning)
            click.echo(f"{old.events} can be written to again; deleted: {', '.join(deleted) or 'nothing'}")
            return
        with progress() as bar:

            def begun(what: str, total: int) -> Advance:
                return partial(bar.advance, bar.add_task(what, total=total))

            grown = repartition(settings, replace(repartitioning, check=held.check), partitions, begun)
    click.echo(f"{new.events}: {partitions} partitions, {grown.records} records, in the order of {old.events}")
    click.echo(f"{new.state}: {grown.relationships} relationships, rebuilt from it and equal to those of {old.state}")
    click.echo(f"the topics of epoch {old.epoch} are sealed; delete them when you are sure")
    click.echo(f"now set RAPPORT_LOG_EPOCH={new.epoch} for every service and command, and start the services")
