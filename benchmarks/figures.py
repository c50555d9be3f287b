"""Figures from runs: medians over the rounds, and ratios within each round, because the speed of a machine varies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from benchmarks.contestant_run import Failure, Run
from benchmarks.lineup import Contestant

PER = 100_000
"""CPU seconds are given per this many records."""

Outcomes = Mapping[Contestant, Sequence[Run | Failure]]
"""Per contestant, by round."""


@dataclass(frozen=True)
class Figure:
    """`cpu` and `wall`: seconds for PER records. `ratio`: CPU seconds divided by the baseline's; None without a
    baseline. `shares`: parts of the CPU seconds."""

    contestant: Contestant
    rounds: int
    cpu: float
    wall: float
    ratio: float | None
    shares: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Records per second of wall clock."""
        return PER / self.wall

    @property
    def rate_of_a_core(self) -> float:
        """Records per second of CPU time, independent of other load."""
        return PER / self.cpu


class Aim(NamedTuple):
    what: str
    measured: float
    limit: str
    met: bool


def figures(outcomes: Outcomes) -> list[Figure]:
    """Return a figure for every contestant that completed at least one run."""
    completed = {who: [run for run in runs if isinstance(run, Run)] for who, runs in outcomes.items()}
    return [_figure(who, runs, _ratio(who.name, who.baseline, outcomes)) for who, runs in completed.items() if runs]


def failures(outcomes: Outcomes) -> list[tuple[str, str]]:
    """Return names and reasons."""
    return [(who.name, run.reason) for who, runs in outcomes.items() for run in runs if isinstance(run, Failure)]


def aims(outcomes: Outcomes) -> list[Aim]:
    """Return the aims that this run can evaluate."""
    candidates = [
        _at_most("unscored flow, CPU x Quix Streams", _ratio("ours-flow", "quix", outcomes), 1.0),
        _at_most("unscored flow, CPU x aiokafka loop", _ratio("ours-flow", "aiokafka", outcomes), 2.0),
    ]
    return [aim for aim in candidates if aim is not None]


def scoring_share(outcomes: Outcomes) -> float | None:
    """Return the share of the whole service that is not its flow; None if one of them was not measured."""
    ratio = _ratio("ours-flow", "ours", outcomes)
    return None if ratio is None else 1 - ratio


def _figure(who: Contestant, runs: Sequence[Run], ratio: float | None) -> Figure:
    return Figure(
        contestant=who,
        rounds=len(runs),
        cpu=median(_per(run, run.cpu) for run in runs),
        wall=median(_per(run, run.wall) for run in runs),
        ratio=ratio,
        shares={name: median(run.shares[name] / run.cpu for run in runs) for name in runs[0].shares},
    )


def _ratio(name: str, baseline: str, outcomes: Outcomes) -> float | None:
    named = {who.name: runs for who, runs in outcomes.items()}
    pairs: Iterable[tuple[Run | Failure, Run | Failure]] = zip(
        named.get(name, ()), named.get(baseline, ()), strict=False
    )
    ratios = [
        _per(run, run.cpu) / _per(base, base.cpu)
        for run, base in pairs
        if isinstance(run, Run) and isinstance(base, Run)
    ]
    return median(ratios) if ratios else None


def _per(run: Run, seconds: float) -> float:
    return seconds / run.count * PER


def _at_most(what: str, measured: float | None, limit: float) -> Aim | None:
    return None if measured is None else Aim(what, measured, f"at most {limit:g} x", measured <= limit)
