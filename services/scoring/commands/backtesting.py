"""What `rapport scoring backtest` does once its packages are there."""

import json
import sys
from pathlib import Path

import click

from services.scoring.commands import backtest_tables
from services.scoring.commands.console import explained, output
from services.scoring.commands.history_options import HistoryOptions
from services.scoring.commands.past import plan_of, reading
from services.scoring.commands.plain import plain
from services.scoring.domain.backtesting.backtest import backtest
from services.scoring.domain.backtesting.calibration import NotLearnable
from services.scoring.domain.backtesting.report import Report
from services.scoring.flow.history_file import HistoryError
from services.scoring.flow.reliability_figure import draw


def run(options: HistoryOptions, share: float, png: Path | None) -> Report:
    """Ends with 1 and the reason where the history tells nothing."""
    with explained("backtest", HistoryError), reading(options) as (histories, track):
        report = backtest(histories, plan_of(options), share, track)
    if isinstance(report, NotLearnable):
        sys.exit(f"rapport scoring backtest: {report.reason}")
    if png is not None:
        draw(report, png)
    return report


def as_text(report: Report) -> None:
    backtest_tables.show(report, output())


def as_json(report: Report) -> None:
    click.echo(json.dumps(plain(report), allow_nan=False))
