"""What commands over a past history ask: which history, and which instants of it are judged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
_DAYS = click.IntRange(min=1, max=366)


@dataclass(frozen=True)
class HistoryOptions:
    """`history` None: the log. All else in days."""

    history: Path | None
    program: str | None
    every: int
    horizon: int
    min_contact_days: int
    active_days: int
    cadence_days: float
    review_days: float


OPTIONS = (
    click.argument("history", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("--program", help="Only the relationships of this programme."),
    click.option("--every", type=_DAYS, default=14, show_default=True, help="Days between two cut-offs."),
    click.option("--horizon", type=_DAYS, default=30, show_default=True, help="Days without contact that make a fade."),
    click.option("--min-contact-days", type=_DAYS, default=3, show_default=True, help="Fewer make no case."),
    click.option(
        "--active-days", type=_DAYS, default=90, show_default=True, help="A contact longer ago makes no case."
    ),
    click.option(
        "--cadence-days",
        type=click.FloatRange(min=1, max=366),
        default=14.0,
        show_default=True,
        help="The programme's, for pairs that named none.",
    ),
    click.option(
        "--review-days",
        type=click.FloatRange(min=1, max=366),
        default=30.0,
        show_default=True,
        help="The programme's review period.",
    ),
)


def history_options(command: Command) -> Command:
    for option in reversed(OPTIONS):
        command = option(command)
    return command
