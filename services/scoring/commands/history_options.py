"""The history that `backtest` and `calibrate` use: their common options, and reading it with a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.progress import Progress

from schemas.programs import Profile
from services.scoring.commands.console import command_settings, progress
from services.scoring.domain.backtesting.cases import CasePlan, CaseRule, PairHistories, Track
from services.scoring.domain.profiles import Profiles
from services.scoring.flow.histories import file_events, log_events, read_histories
from services.scoring.topics import Topics

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


def plan_of(options: HistoryOptions) -> CasePlan:
    profile = Profile(
        version="past-1",
        cadence_days=options.cadence_days,
        review_days=options.review_days,
        horizon_days=options.horizon,
    )
    return CasePlan(CaseRule(horizon_days=options.horizon), Profiles((profile,)))


@contextmanager
def reading_history(options: HistoryOptions) -> Iterator[tuple[PairHistories, Track]]:
    """The histories, and a tracker of the work on them. Raises HistoryError and KafkaError."""
    if options.history is not None:
        events = file_events(options.history)
    else:
        settings = command_settings()
        events = log_events(settings, Topics.at(settings.log_epoch))
    with progress() as shown:
        yield read_histories(shown.track(events, description="reading"), options.program), tracking(shown)


def tracking(shown: Progress) -> Track:
    return lambda pairs, name: shown.track(pairs, description=name)
