"""What is known of a relationship at one instant: its score, and a row of its history."""

from typing import NamedTuple

from schemas.programs import CalibrationEvidence
from services.scoring.domain.bounds import ONE

SILENCE = "silence"
"""The part that silence takes of all factors."""
BANDS = ("critical", "strained", "steady", "thriving")
BAND_BEGINS = (25 * ONE, 50 * ONE, 75 * ONE)
"""Health from which on it is the next better band."""
BEST_CAPPED = 1
"""What caps a band lets it be strained at the best."""


class PartValue(NamedTuple):
    """`value` 0..1 and `contribution` in millionths (of a point), `weight` in points."""

    name: str
    value: int
    weight: float
    contribution: int


class Evaluation(NamedTuple):
    """`health` is the sum of the contributions, exactly. `risk` in millionths. Of the parts and of the terms a column
    each, most of which many rows share; `caps`: what holds the band at strained at the best."""

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
    """What a row's deltas are measured against."""

    at: int
    evaluation: Evaluation


class HistoryRow(NamedTuple):
    """What is known at one instant. Times in microseconds, numbers in millionths. Equal rows say the same."""

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
