"""What a backtest found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.programs import Coefficients
from services.scoring.domain.backtesting.bootstrap import Interval
from services.scoring.domain.backtesting.cases import Rule
from services.scoring.domain.backtesting.drift import Drift
from services.scoring.domain.backtesting.lead_time import LeadTime
from services.scoring.domain.backtesting.pairs import Span
from services.scoring.domain.backtesting.reliability import Bin


@dataclass(frozen=True)
class Part:
    """One side of the split."""

    cases: int
    pairs: int
    base_rate: Interval


@dataclass(frozen=True)
class Judged:
    """A model on the later part: its measures by name, how much its Brier score lies above that of the first model
    (on the same resamples), and its reliability."""

    name: str
    measures: Mapping[str, Interval]
    behind: Interval
    reliability: tuple[Bin, ...]


@dataclass(frozen=True)
class Report:
    """The first of the models is the calibrated one."""

    rule: Rule
    span: Span
    split: datetime
    pairs: int
    contacts: int
    calibration: Part
    evaluation: Part
    coefficients: Coefficients
    models: tuple[Judged, ...]
    lead_times: tuple[LeadTime, ...]
    drift: tuple[Drift, ...]
