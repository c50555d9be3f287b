"""What a calibration leaves behind: coefficients, what they were learnt from, and how much better they are."""

import hashlib
import json
from typing import Literal

from schemas.primitives import Id, Instant, Message
from schemas.programs import Coefficients

UNNAMED = "unnamed"
NAME_DIGITS = 8
"""Of the hash in a name: enough to tell the calibrations of one organisation apart."""


class Metrics(Message):
    auc: float
    brier: float
    log_loss: float
    ece: float


class HeldOut(Message):
    """Cases from `since` on, predicted with the defaults (`before`) and with what the cases that were over by then
    taught (`after`)."""

    since: Instant
    cases: int
    pairs: int
    faded: int
    before: Metrics
    after: Metrics


class CalibrationRecord(Message):
    """`calibration` is its name, for a programme's profile. `sha256` is that of all the rest; `input_sha256` that of
    the facts. `learnt`: with few pairs only the intercept is. `held_out` is missing where the history is too short."""

    calibration: Id = UNNAMED
    model: Id
    horizon_days: int
    cadence_days: float
    review_days: float
    coefficients: Coefficients
    learnt: Literal["all", "intercept"]
    begin: Instant
    end: Instant
    pairs: int
    cases: int
    faded: int
    held_out: HeldOut | None
    input_sha256: str
    sha256: str = ""


def named(record: CalibrationRecord) -> CalibrationRecord:
    """With its hash, and a name of model, last day and hash: the same history makes the same calibration."""
    found = digest(record)
    name = f"{record.model}-{record.end.date().isoformat()}-{found[:NAME_DIGITS]}"
    return record.model_copy(update={"calibration": name, "sha256": found})


def digest(record: CalibrationRecord) -> str:
    content = record.model_dump(mode="json", exclude={"calibration", "sha256"})
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
