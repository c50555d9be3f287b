"""`rapport scoring heal [RELATIONSHIP...]`: tell from the whole log what the bounded memory could not tell."""

import json
import sys
from collections.abc import Sequence

import click

from services.runtime.clickhouse import ClickHouseError
from services.scoring.commands.console import cells, command_settings, explained, output, section, table
from services.scoring.commands.working import working
from services.scoring.flow.heal.heal import Place, Report, UnknownRelationshipError, heal
from services.scoring.flow.sink import SinkBehindError
from services.scoring.flow.whole_log import LogCutOffError
from services.scoring.names import Names

LISTED = 20


@click.command("heal")
@click.argument("relationships", nargs=-1, metavar="[RELATIONSHIP...]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def heal_(relationships: tuple[str, ...], *, as_json: bool) -> None:
    """Rebuild the rows of relationships that are stale: all, or those named (tenant/id).

    A fact that arrives more than 30 days late changes rows for which the running service no longer remembers enough.
    They are computed from the whole log, compared with ClickHouse, and the differences are told. Run one heal at a
    time, for example after an import; cut off, the next one does the rest. Ends with 1 if a relationship is left
    stale."""
    settings = command_settings()
    with explained("heal", UnknownRelationshipError, LogCutOffError, SinkBehindError, ClickHouseError), working() as at:
        report = heal(Place(settings, Names.at(settings.log_epoch)), relationships, at)
    (_as_json if as_json else _as_text)(report)
    sys.exit(1 if report.left else 0)


def _as_text(report: Report) -> None:
    console = output()
    if report.healed:
        found = table(relationship="wrap", rows_told="right", rows_taken_away="right")
        for name, (told, deleted) in sorted(report.healed.items())[:LISTED]:
            found.add_row(*cells(name, told, deleted))
        section(console, "", found)
    more = len(report.healed) - LISTED
    console.print(f"{len(report.healed)} healed" + (f", the first {LISTED} are listed" if more > 0 else ""))
    if report.again:
        console.print(f"{len(report.again)} of them stale again, by what came meanwhile: {_named(report.again)}")
    if report.left:
        console.print(
            f"{len(report.left)} left: scoring has not finished applying what made them stale: {_named(report.left)}"
        )


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")


def _as_json(report: Report) -> None:
    healed = {name: {"told": told, "deleted": deleted} for name, (told, deleted) in sorted(report.healed.items())}
    click.echo(json.dumps({"healed": healed, "stale_again": list(report.again), "left": list(report.left)}, indent=1))
