"""The score of a relationship at one instant, and a row of its history."""

from typing import NamedTuple

from schemas.programs import CalibrationEvidence
from services.scoring.domain.bounds import ONE

SILENCE = "silence"
"""The part that silence takes from all factors."""
BANDS = ("critical", "strained", "steady", "thriving")
BAND_BEGINS = (25 * ONE, 50 * ONE, 75 * ONE)
"""Health at which the next better band begins."""
BEST_CAPPED = 1
"""A cap limits the band to strained."""


class PartValue(NamedTuple):
    """`value` 0..1 and `contribution` in millionths (of a point), `weight` in points."""

    name: str
    value: int
    weight: float
    contribution: int


class Evaluation(NamedTuple):
    """`health` is exactly the sum of the contributions. `risk` in millionths. Parts and terms are columns, which many
    rows share. `caps`: the reasons that limit the band to strained."""

    health: int
    risk: int
    band: str
    names: tuple[str, ...]
    weights: tuple[float, ...]
    values: tuple[int, ...]
    contributions: tuple[int, ...]
    term_names: tuple[str, ...]
    effects: tuple[int, ...]
    confidence: int
    caps: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[PartValue, ...]:
        return tuple(map(PartValue, self.names, self.values, self.weights, self.contributions))

    @property
    def terms(self) -> tuple[tuple[str, int], ...]:
        return tuple(zip(self.term_names, self.effects, strict=True))


class PrecedingRow(NamedTuple):
    """The row against which deltas are measured."""

    at: int
    evaluation: Evaluation


class HistoryRow(NamedTuple):
    """The row of one instant. Times in microseconds, numbers in millionths. Rows with equal content compare equal."""

    causes: tuple[str, ...]
    evaluation: Evaluation
    before: PrecedingRow | None
    trend: int
    status: str
    started: int
    cadence: float
    last_contact: int | None
    next_session: int | None
    open_requests: tuple[str, ...]
    sources: tuple[str, ...]
    profile: str
    calibration: str | None
    evidence: CalibrationEvidence | None
