"""`rapport scoring accept-gap PARTITION OFFSET`: go on where the log begins, without what is lost."""

import sys

import click

from services.scoring.commands.console import command_settings, explained
from services.scoring.domain.gaps import Refused
from services.scoring.flow.gaps import LOOK_SECONDS, NoSuchPartitionError, accept_gap
from services.scoring.names import Names


@click.command("accept-gap")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
def accept_gap_(partition: int, offset: int) -> None:
    """Let PARTITION go on at OFFSET, where its log begins now, after `log_gap`.

    The records before it were removed before they were applied: their facts are in no score. Restore them first if you
    can. A running worker goes on within some seconds."""
    settings = command_settings()
    with explained("accept-gap", NoSuchPartitionError):
        verdict = accept_gap(settings, Names.at(settings.log_epoch), partition, offset)
    if isinstance(verdict, Refused):
        sys.exit(f"rapport scoring accept-gap: partition {partition}: {verdict.reason}")
    click.echo(f"partition {partition}: {verdict.lost} records are lost, it goes on at offset {offset}")
    click.echo(f"a running worker sees it within {LOOK_SECONDS:.0f} s, any other when it starts")
