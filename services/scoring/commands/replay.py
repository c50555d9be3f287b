"""`rapport scoring replay`: compute all rows afresh, beside live scoring, and put them in place of what is there."""

import os

import click

from services.runtime.clickhouse import ClickHouseError
from services.runtime.settings import Settings
from services.scoring.commands.console import command_settings, explained, instant
from services.scoring.commands.extra import extra
from services.scoring.commands.recomputing import NotRecomputedError, recompute
from services.scoring.commands.replay_report import rehearsed, replayed
from services.scoring.commands.working import working
from services.scoring.flow.heal.heal import Place
from services.scoring.flow.replay.origin import KAFKA, Origin, is_file, origin, rehearsal_of_file
from services.scoring.flow.replay.replay import Effort, Wish, rehearse, replay
from services.scoring.flow.replay.shadow import UnusableShadowError
from services.scoring.flow.replay.source import ReplaySourceError
from services.scoring.flow.replay.work import Task
from services.scoring.flow.sink import SinkBehindError
from services.scoring.flow.whole_log import LogCutOffError
from services.scoring.names import Names

EXPECTED = (
    ReplaySourceError,
    UnusableShadowError,
    SinkBehindError,
    LogCutOffError,
    ClickHouseError,
    NotRecomputedError,
)


@click.command("replay")
@click.option(
    "--from", "asked", default=KAFKA, show_default=True, metavar="kafka|clickhouse|FILE", help="Where the log is read."
)
@click.option("--dry-run", is_flag=True, help="Compute and count, store nothing; a file needs nothing else.")
@click.option("--until", callback=instant, help="With --dry-run: rows up to here, as `verify --until`.")
@click.option("--keep", is_flag=True, help="Keep the table from before, under another name.")
@click.option("--restart", is_flag=True, help="Forget a replay that was cut off, instead of going on with it.")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=os.cpu_count() or 1, show_default=True, help="At work at once."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def replay_(asked: str, processes: int, until: int | None, **flags: bool) -> None:
    """Compute all rows from the log into a second table, follow what live scoring tells meanwhile, exchange the two.

    FILE is JSONL (also gzipped) or Parquet, with events as they stand on the log, or with records of key and value,
    partition and offset. Needs a ClickHouse login that may create tables in `mentoring`. Cut off, the next call goes
    on. Relationships that are stale stay so until `rapport scoring heal` has told their newest row."""
    _refuse_until(until, dry_run=flags["dry_run"])
    settings = command_settings()
    place = Place(settings, Names.at(settings.log_epoch))
    with explained("replay", *EXPECTED), extra("parquet"), working() as at:
        effort = Effort(processes, at)
        if flags["dry_run"]:
            found = rehearsal_of_file(asked) if is_file(asked) else origin(place, asked)
            rehearsed(rehearse(_task(found, until, None), found.source, effort), as_json=flags["as_json"])
            return
        found = origin(place, asked)
        wish = Wish(lambda: recompute(settings), keep=flags["keep"], restart=flags["restart"])
        done = replay(place, _task(found, None, settings), found.source, effort, wish)
    replayed(done, as_json=flags["as_json"])


def _refuse_until(until: int | None, *, dry_run: bool) -> None:
    if until is not None and not dry_run:
        raise click.UsageError("--until goes with --dry-run: the table needs all rows")


def _task(found: Origin, until: int | None, warehouse: Settings | None) -> Task:
    upto = found.source.upto
    if until is not None:
        upto = {number: one._replace(clock=min(one.clock, until)) for number, one in upto.items()}
    return Task(upto, found.programmes, warehouse)
