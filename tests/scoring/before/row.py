"""One row of a relationship's history: what is known of it at one instant."""

from typing import NamedTuple

from tests.scoring.before.evaluation import Evaluation


class Before(NamedTuple):
    """What a row's deltas are measured against."""

    at: int
    evaluation: Evaluation


class Row(NamedTuple):
    """What is known at one instant. Times in microseconds, numbers in millionths. Equal rows say the same."""

    causes: tuple[str, ...]
    evaluation: Evaluation
    before: Before | None
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
