"""`rapport scoring replay`: recompute all rows beside live scoring, and replace the table in use."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import click

from services.runtime.clickhouse import ClickHouseError
from services.runtime.settings import Settings
from services.scoring.commands.console import command_settings, explained, instant, output, spaced, table, working
from services.scoring.flow.heal import HealEnvironment
from services.scoring.flow.log_reading import LogCutOffError
from services.scoring.flow.maintenance import EXCLUSIVE, exclusive_maintenance
from services.scoring.flow.replay.replay import (
    KAFKA,
    Computed,
    Effort,
    ReplayOptions,
    ReplayOrigin,
    dry_run,
    file_origin,
    origin,
    replay,
)
from services.scoring.flow.replay.shadow import UnusableShadowError
from services.scoring.flow.replay.source import ReplaySourceError
from services.scoring.flow.replay.work import Task
from services.scoring.flow.sink import SinkBehindError
from services.scoring.topics import Topics

COMMAND = ("warehouse", "recompute")


class NotRecomputedError(Exception):
    """The derived tables do not match the scores; the message states the reason and the command to run."""


EXPECTED = (
    ReplaySourceError,
    UnusableShadowError,
    SinkBehindError,
    LogCutOffError,
    ClickHouseError,
    NotRecomputedError,
    *EXCLUSIVE,
)


CLUSTER = re.compile(r"[A-Za-z0-9_.{}-]*")


def _cluster_name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not CLUSTER.fullmatch(value):
        raise click.BadParameter("a cluster's name has letters, digits and any of _.{}-")
    return value


@click.command("replay")
@click.option("--from", "asked", default=KAFKA, show_default=True, metavar="kafka|FILE", help="Where the log is read.")
@click.option("--dry-run", is_flag=True, help="Compute and count, store nothing; a file needs nothing else.")
@click.option("--until", callback=instant, help="With --dry-run: rows up to here, as `verify --until`.")
@click.option("--keep", is_flag=True, help="Keep the table from before, under another name.")
@click.option("--restart", is_flag=True, help="Discard an interrupted replay instead of continuing it.")
@click.option(
    "--cluster",
    envvar="RAPPORT_WAREHOUSE_CLUSTER",
    default="",
    callback=_cluster_name,
    help="The cluster of replicated tables; default: RAPPORT_WAREHOUSE_CLUSTER.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=os.cpu_count() or 1,
    show_default=True,
    help="Parallel processes.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def replay_(asked: str, cluster: str, processes: int, until: int | None, **flags: bool) -> None:
    """Compute all rows from the log into a second table, follow live scoring meanwhile, and exchange the two.

    FILE is JSONL (also gzipped), with events as they stand on the log, or with records of key and value, partition and
    offset. Needs a ClickHouse login that may create tables in `mentoring`. After an interruption, the next
    call continues. Stale relationships stay stale until `rapport scoring heal`."""
    if until is not None and not flags["dry_run"]:
        raise click.UsageError("--until goes with --dry-run: the table needs all rows")
    settings = command_settings()
    environment = HealEnvironment(settings, Topics.at(settings.log_epoch))
    with explained("replay", *EXPECTED), working() as at:
        effort = Effort(processes, at)
        if flags["dry_run"]:
            found = origin(environment, asked) if asked == KAFKA else file_origin(asked)
            computed = dry_run(_task(found, until, None), found.source, effort)
            _print_values(_summary(computed) | {"hash": computed.hash}, as_json=flags["as_json"])
            return
        with exclusive_maintenance(settings, environment.topics.state, "replay") as held:
            found = origin(environment, asked)
            options = ReplayOptions(
                lambda: recompute(settings), keep=flags["keep"], restart=flags["restart"], cluster=cluster
            )
            exclusive = replace(environment, check=held.check)
            done = replay(exclusive, _task(found, None, settings), found.source, effort, options)
    equal, changed, gone, new = done.changes
    changes = {
        "rows_as_before": equal,
        "rows_changed": changed,
        "rows_gone": gone,
        "rows_new": new,
        "table_from_before": done.kept or "dropped",
    }
    _print_values((_summary(done.computed) if done.computed else {}) | changes, as_json=flags["as_json"])


def _task(found: ReplayOrigin, until: int | None, warehouse: Settings | None) -> Task:
    upto = found.source.upto
    if until is not None:
        upto = {number: one._replace(clock=min(one.clock, until)) for number, one in upto.items()}
    return Task(upto, found.programmes, warehouse)


def recompute(settings: Settings) -> None:
    """Return when the tables derived from scores are recomputed. Raises NotRecomputedError."""
    environ = {**os.environ, "RAPPORT_CLICKHOUSE": settings.clickhouse}
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-m", "services.cli", *COMMAND], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise NotRecomputedError(f"`rapport {' '.join(COMMAND)}` failed: {reason[0]}; run replay again, it continues")


def _summary(found: Computed) -> dict[str, Any]:
    totals, seconds = found.totals, max(found.seconds, 1e-9)
    return {
        "relationships": totals.relationships,
        "records": totals.records,
        "skipped_records": found.skipped,
        "refused_records": totals.refused,
        "facts": totals.facts,
        "rows": totals.rows,
        "seconds": round(seconds, 1),
        "records_per_second": round(totals.records / seconds),
        "rows_per_second": round(totals.rows / seconds),
    }


def _print_values(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=1))
        return
    rows = ((spaced(name), f"{value:,}" if isinstance(value, int) else value) for name, value in values.items())
    found = table(rows, what="left", value="right")
    found.show_header = False
    output().print(found)
