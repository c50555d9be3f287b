"""The split in time: what lies before it calibrates, what lies after it judges, and nothing is seen twice."""

from dataclasses import dataclass

from services.scoring.domain.backtesting.cases import Cases
from services.scoring.domain.backtesting.pairs import Span


@dataclass(frozen=True)
class Split:
    """`at` in microseconds. The outcome of an earlier case is known before `at`."""

    at: int
    earlier: Cases
    later: Cases


def split(cases: Cases, span: Span, share: float, horizon: int) -> Split:
    """Cases whose horizon ends within the first `share` of the span, and those whose cut-off lies after it."""
    at = span.begin + round(share * (span.end - span.begin))
    return Split(at, cases.where(cases.at + horizon <= at), cases.where(cases.at >= at))
