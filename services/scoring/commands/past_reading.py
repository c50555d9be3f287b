"""The history that a command asks for, read with a sign of life."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress

from schemas.programs import Profile
from services.scoring.commands.console import command_settings, progress
from services.scoring.commands.history_options import HistoryOptions
from services.scoring.domain.backtesting.backtest import Track
from services.scoring.domain.backtesting.cases import CasePlan, CaseRule, PairHistories
from services.scoring.domain.profiles import Profiles
from services.scoring.flow.histories import file_events, log_events, read_histories
from services.scoring.topics import Topics


def plan_of(options: HistoryOptions) -> CasePlan:
    profile = Profile(
        version="past-1",
        cadence_days=options.cadence_days,
        review_days=options.review_days,
        horizon_days=options.horizon,
    )
    return CasePlan(CaseRule(horizon_days=options.horizon), Profiles((profile,)))


@contextmanager
def reading(options: HistoryOptions) -> Iterator[tuple[PairHistories, Track]]:
    """The histories, and how to show the work on them. Raises HistoryError and KafkaError."""
    if options.history is not None:
        events = file_events(options.history)
    else:
        settings = command_settings()
        events = log_events(settings, Topics.at(settings.log_epoch))
    with progress() as shown:
        yield read_histories(shown.track(events, description="reading"), options.program), tracking(shown)


def tracking(shown: Progress) -> Track:
    return lambda pairs, name: shown.track(pairs, description=name)
