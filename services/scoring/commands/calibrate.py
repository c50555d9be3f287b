"""`rapport scoring calibrate [HISTORY]`: the risk's coefficients, learnt from one's own past."""

from pathlib import Path
from typing import Any

import click

from services.scoring.commands.extra import extra
from services.scoring.commands.history_options import HistoryOptions, history_options


@click.command("calibrate")
@history_options
@click.option(
    "--held-out",
    type=click.FloatRange(min=0.05, max=0.95),
    default=0.25,
    show_default=True,
    help="The last part of the time, on which the improvement is measured.",
)
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Default: its name.json")
@click.option("--json", "as_json", is_flag=True, help="Print the file's content instead of a summary.")
def calibrate_(held_out: float, out: Path | None, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Learn the coefficients of the risk from a past history and write them to a file.

    HISTORY as for `backtest`; horizon, cadence and review period must be those of the programme that will use the
    result. Signs are kept, and what the history does not tell stays at its default; with fewer than 20 pairs only the
    intercept is learnt."""
    with extra("analysis"):
        from services.scoring.commands import calibrating  # noqa: PLC0415 (the service needs none of it)
    record = calibrating.run(HistoryOptions(**options), held_out)
    file = calibrating.write(record, out)
    (calibrating.as_json if as_json else calibrating.as_text)(record, file)
