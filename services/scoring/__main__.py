"""`rapport scoring`: the service and its commands."""

import sys
from copy import copy
from datetime import UTC, datetime

import click

from schemas.primitives import to_micros
from services.runtime.clickhouse import ClickHouseError
from services.runtime.gc_tuning import raise_thresholds
from services.runtime.settings import describe
from services.scoring.commands.backtesting import backtest_, calibrate_
from services.scoring.commands.console import command_settings, explained, rfc3339
from services.scoring.commands.explain import explain_
from services.scoring.commands.maintenance import accept_gap_, heal_, repartition_
from services.scoring.commands.replay import replay_
from services.scoring.commands.what_if import what_if_
from services.scoring.flow.faust.versions import UnsupportedVersionError, assert_versions
from services.scoring.flow.sink import SinkBehindError
from services.scoring.flow.verify import NotVerifiableError, verify
from services.scoring.topics import Topics


@click.group()
def main() -> None:
    """Events to scores: health and risk of disengagement of every relationship."""
    raise_thresholds()


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and end.")
def serve(*, check: bool) -> None:
    """Run the stream processor until it is stopped."""
    settings = command_settings()
    try:
        assert_versions()
    except UnsupportedVersionError as problem:
        sys.exit(f"rapport scoring: {problem}")
    # Imported late: it uses private names, which other versions do not have.
    from services.scoring.service import run  # noqa: PLC0415

    if check:
        click.echo(describe(settings))
        return
    run(settings, Topics.at(settings.log_epoch))


@main.command("verify")
@click.option("--until", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="UTC; default: the lowest clock.")
def verify_(until: datetime | None) -> None:
    """Compare all rows in ClickHouse with the truth computed afresh from the log. Ends with 1 if they differ."""
    settings = command_settings()
    micros = None if until is None else to_micros(until.replace(tzinfo=UTC))
    with explained("verify", NotVerifiableError, SinkBehindError, ClickHouseError):
        report = verify(settings, micros, lambda step: click.echo(f"  {step}", err=True))
    verdict = report.verdict
    click.echo(f"until  {rfc3339(report.until)}, {report.relationships} relationships")
    click.echo(f"truth  {verdict.true_hash}  {verdict.rows} rows")
    click.echo(f"table  {verdict.stored_hash}  {verdict.stored_rows} rows")
    if report.stale:
        click.echo(f"stale  {len(report.stale)} left out, they need a heal: {', '.join(report.stale[:10])}")
    click.echo("equal" if verdict.equal else f"DIFFERENT  {verdict.first_difference}")
    sys.exit(0 if verdict.equal else 1)


for command in (accept_gap_, backtest_, calibrate_, explain_, repartition_, heal_, replay_, what_if_):
    main.add_command(command)
# The former name of `repartition`, for operators' scripts.
FORMER_NAME = copy(repartition_)
FORMER_NAME.hidden = True
main.add_command(FORMER_NAME, "grow")

if __name__ == "__main__":
    main()
