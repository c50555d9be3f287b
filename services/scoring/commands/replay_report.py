"""What a replay did, as a table or as one JSON document."""

import json
from typing import Any

import click

from services.scoring.commands.console import cells, output, table
from services.scoring.flow.replay.replay import Computed, Replayed


def rehearsed(found: Computed, *, as_json: bool) -> None:
    _told(_computed(found) | {"hash": found.hash}, as_json=as_json)


def replayed(found: Replayed, *, as_json: bool) -> None:
    computed = {} if found.computed is None else _computed(found.computed)
    _told(computed | _changes(found), as_json=as_json)


def _computed(found: Computed) -> dict[str, Any]:
    worked, seconds = found.worked, max(found.seconds, 1e-9)
    return {
        "relationships": worked.relationships,
        "records": worked.records,
        "skipped_records": found.skipped,
        "refused_records": worked.refused,
        "facts": worked.facts,
        "rows": worked.rows,
        "seconds": round(seconds, 1),
        "records_per_second": round(worked.records / seconds),
        "rows_per_second": round(worked.rows / seconds),
    }


def _changes(found: Replayed) -> dict[str, Any]:
    equal, changed, gone, new = found.changes
    return {
        "rows_as_before": equal,
        "rows_changed": changed,
        "rows_gone": gone,
        "rows_new": new,
        "table_from_before": found.kept or "dropped",
    }


def _told(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=1))
        return
    found = table(what="left", value="right")
    found.show_header = False
    for name, value in values.items():
        found.add_row(*cells(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else value))
    output().print(found)
