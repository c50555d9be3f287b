"""`rapport scoring backtest [HISTORY]`: how good the risk would have been on the past."""

from pathlib import Path
from typing import Any

import click

from services.scoring.commands.extra import extra
from services.scoring.commands.history_options import HistoryOptions, history_options


@click.command("backtest")
@history_options
@click.option(
    "--calibrate-share",
    type=click.FloatRange(min=0.05, max=0.95),
    default=0.6,
    show_default=True,
    help="The part of the time that is learnt from; the rest is predicted.",
)
@click.option("--png", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Draw the reliability.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def backtest_(calibrate_share: float, png: Path | None, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Judge the risk on the past, beside simpler rules.

    HISTORY is CSV (pair_id; t in Unix seconds; dir: -1 of both, 0 mentor, 1 mentee) or CloudEvents as JSONL, also
    gzipped; without it the log is read. The first part of the time calibrates the model and every other rule, the rest
    is predicted. Relationships that are paused or ended within a horizon make no case."""
    with extra("analysis"):
        from services.scoring.commands import backtesting  # noqa: PLC0415 (the service needs none of it)
    report = backtesting.run(HistoryOptions(**options), calibrate_share, png)
    (backtesting.as_json if as_json else backtesting.as_text)(report)
