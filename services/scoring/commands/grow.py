"""`rapport scoring grow --partitions N`: the next epoch of the log, with more partitions."""

from functools import partial

import click
from rich.progress import Progress

from services.scoring.commands.console import command_settings, explained, progress
from services.scoring.flow.growth.grow import abandon, grow
from services.scoring.flow.growth.moving import Grown
from services.scoring.flow.growth.plan import Growth, NotGrownError, Passed
from services.scoring.flow.settings import ScoringSettings


@click.command("grow")
@click.option("--partitions", type=click.IntRange(2, 1024), help="Of the new log: a multiple of what the log has now.")
@click.option(
    "--abandon", "abandoned", is_flag=True, help="Delete what was begun, and let the old log be written again."
)
def grow_(partitions: int | None, *, abandoned: bool) -> None:
    """Make a log with more partitions: the next epoch.

    Stop every producer, let scoring, warehouse and notify read to the end, stop them too, and run this with the
    settings of the old log. It seals the old topics, copies the log in order, and rebuilds the states from the copy.
    Nothing is told again. Cut off, it goes on where it was. At the end set RAPPORT_LOG_EPOCH and start all services."""
    settings = command_settings()
    growth = Growth.of(settings.log_epoch)
    if (partitions is None) != abandoned:
        raise click.UsageError("say either --partitions N or --abandon")
    with explained("grow", NotGrownError):
        if partitions is None:
            _abandon(settings, growth)
        else:
            _grow(settings, growth, partitions)


def _grow(settings: ScoringSettings, growth: Growth, partitions: int) -> None:
    with progress() as bar:
        grown = grow(settings, growth, partitions, partial(_begun, bar))
    _report(growth, partitions, grown)


def _begun(bar: Progress, what: str, total: int) -> Passed:
    return partial(bar.advance, bar.add_task(what, total=total))


def _report(growth: Growth, partitions: int, grown: Grown) -> None:
    old, new = growth.old.names, growth.new.names
    click.echo(f"{new.events}: {partitions} partitions, {grown.records} records, in the order of {old.events}")
    click.echo(f"{new.state}: {grown.relationships} relationships, rebuilt from it and equal to those of {old.state}")
    click.echo(f"the topics of epoch {old.epoch} are sealed; delete them when you are sure")
    click.echo(f"now set RAPPORT_LOG_EPOCH={new.epoch} for every service and command, and start the services")


def _abandon(settings: ScoringSettings, growth: Growth) -> None:
    deleted = abandon(settings, growth)
    click.echo(f"{growth.old.names.events} can be written to again; deleted: {', '.join(deleted) or 'nothing'}")
