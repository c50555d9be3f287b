"""Which past a command asks for, and by which measures: the options that `backtest` and `calibrate` share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
DAYS = click.IntRange(min=1, max=366)


@dataclass(frozen=True)
class HistoryOptions:
    """`history` None: the log. All else in days."""

    history: Path | None
    program: str | None
    horizon: int
    cadence_days: float
    review_days: float


_OPTIONS = (
    click.argument("history", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("--program", help="Only the relationships of this programme."),
    click.option("--horizon", type=DAYS, default=30, show_default=True, help="Days without contact that make a fade."),
    *(
        click.option(
            name, type=click.FloatRange(min=1, max=366), default=days, show_default=True, help=f"The programme's{of}."
        )
        for name, days, of in (
            ("--cadence-days", 14.0, ", for pairs that named none"),
            ("--review-days", 30.0, " review period"),
        )
    ),
)


def history_options(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
