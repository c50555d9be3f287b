"""A calibration record: learnt from all cases, and evaluated on the newest of them after learning from the others."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

import numpy as np

from schemas.primitives import Id, Instant, Message, from_micros
from schemas.programs import CalibrationEvidence, Coefficients, Profile
from services.scoring.domain.backtesting.calibration import DEFAULTS, FEW_PAIRS, NotLearnable, learnt, probabilities
from services.scoring.domain.backtesting.cases import CasePlan, Cases, PairHistories, TimeSplit, Track, cases_of, split
from services.scoring.domain.backtesting.measures import Interval, Resamples, auc, brier, ece, log_loss, mean
from services.scoring.domain.serialization import MODEL

UNNAMED = "unnamed"
NAME_DIGITS = 8
"""Digits of the hash in a name: enough to tell the calibrations of one organisation apart."""


class CalibrationMetrics(Message):
    auc: float
    brier: float
    log_loss: float
    ece: float


class HeldOut(Message):
    """Cases from `since` on, predicted with the defaults or the profile in force (`before`), and with what was learnt
    from the cases that were over by then (`after`)."""

    since: Instant
    cases: int
    pairs: int
    faded: int
    before: CalibrationMetrics
    after: CalibrationMetrics


class CalibrationRecord(Message):
    """`calibration` is its name, for a programme's profile. `sha256` is the hash of everything else; `input_sha256`
    that of the facts. `learnt`: with few pairs only the intercept. `held_out` is missing if the history is too short.
    """

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

    def completed(self, held_out: HeldOut | None, end: int) -> "CalibrationRecord":
        """With its evaluation, the end of the cases it was learnt from (in microseconds), its hash and its name."""
        judged = self.model_copy(update={"held_out": held_out, "end": from_micros(end)})
        found = digest(judged)
        # Named by model, last day and hash: the same history makes the same calibration.
        name = f"{judged.model}-{judged.end.date().isoformat()}-{found[:NAME_DIGITS]}"
        return judged.model_copy(update={"calibration": name, "sha256": found})


def digest(record: CalibrationRecord) -> str:
    content = record.model_dump(mode="json", exclude={"calibration", "sha256"})
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


DIGITS = 6
MIN_CASES = 100
"""With fewer cases, on either side, nothing is decided about how a programme is scored."""


@dataclass(frozen=True)
class Candidate:
    """Learnt from all but the last part of the time, and compared on that part with the profile in force: `gain` is how
    much lower its Brier score is, over the pairs."""

    record: CalibrationRecord
    held_out: HeldOut
    gain: Interval

    @property
    def is_better(self) -> bool:
        """With certainty: a nightly job would otherwise find some night on which chance favours a change."""
        return self.gain.low > 0

    def profile(self, in_force: Profile, effective_from: datetime) -> Profile:
        """A version like the one in force, with other coefficients."""
        return in_force.model_copy(
            update={
                "version": self.record.calibration,
                "effective_from": effective_from,
                "calibration": self.record.calibration,
                "coefficients": self.record.coefficients,
                "evidence": evidence(self.record),
            }
        )


def calibrate(
    histories: PairHistories, plan: CasePlan, held_out: float, track: Track
) -> CalibrationRecord | NotLearnable:
    """`held_out`: the share at the end of the span on which the improvement is measured."""
    cases = cases_of(histories.span, plan, track(histories.pairs, "cases"))
    coefficients = learnt(cases)
    if isinstance(coefficients, NotLearnable):
        return coefficients
    parts = split(cases, histories.span, 1 - held_out, plan.rule.horizon)
    earlier = learnt(parts.earlier)
    judged = None
    if not isinstance(earlier, NotLearnable) and parts.later.both_happened:
        judged = _held_out(parts, DEFAULTS, earlier)
    return _record(histories, plan, cases, coefficients).completed(judged, histories.span.end)


def candidate(
    histories: PairHistories, plan: CasePlan, in_force: Profile, held_out: float, track: Track
) -> Candidate | NotLearnable:
    """What could follow the profile in force, whose cadence, review period and horizon are those of the plan."""
    cases = cases_of(histories.span, plan, track(histories.pairs, "cases"))
    parts = split(cases, histories.span, 1 - held_out, plan.rule.horizon)
    for some, where in ((parts.earlier, "to learn from"), (parts.later, "in the last part of the time")):
        if some.count < MIN_CASES or some.pairs < FEW_PAIRS:
            there_are = f"there are {some.count} cases of {some.pairs} pairs {where}"
            return NotLearnable(f"{there_are}; it takes {MIN_CASES} of {FEW_PAIRS}")
    if not parts.later.both_happened:
        return NotLearnable("in the last part of the time all cases turned out alike")
    coefficients = learnt(parts.earlier)
    if isinstance(coefficients, NotLearnable):
        return coefficients
    later = parts.later
    before, after = (
        (probabilities(later.features, of) - later.faded) ** 2 for of in (in_force.coefficients, coefficients)
    )
    judged = _held_out(parts, in_force.coefficients, coefficients)
    record = _record(histories, plan, parts.earlier, coefficients).completed(judged, parts.at)
    return Candidate(record, judged, Resamples(later.pair).interval(partial(mean, before - after)))


def evidence(record: CalibrationRecord) -> CalibrationEvidence | None:
    """The evidence for a profile; None if nothing was held out."""
    if record.held_out is None:
        return None
    judged = record.held_out
    return CalibrationEvidence(cases=record.cases, judged=judged.cases, apart=judged.after.ece)


def _record(histories: PairHistories, plan: CasePlan, cases: Cases, coefficients: Coefficients) -> CalibrationRecord:
    profile, facts = plan.profiles.at(histories.span.end), hashlib.sha256()
    # All facts, in an order that does not depend on the input's.
    for pair in histories.pairs:
        facts.update(f"{pair.name}\n".encode())
        for key in sorted(pair.facts):
            time, kind, uid, slot = key
            facts.update(f"{time} {kind} {uid.hex()} {slot} {pair.facts[key].stands}\n".encode())
    return CalibrationRecord(
        model=MODEL,
        horizon_days=plan.rule.horizon_days,
        cadence_days=profile.cadence_days,
        review_days=profile.review_days,
        coefficients=coefficients,
        learnt="all" if cases.pairs >= FEW_PAIRS else "intercept",
        begin=from_micros(histories.span.begin),
        end=from_micros(histories.span.end),
        pairs=cases.pairs,
        cases=cases.count,
        faded=int(cases.faded.sum()),
        held_out=None,
        input_sha256=facts.hexdigest(),
    )


def _held_out(parts: TimeSplit, before: Coefficients, after: Coefficients) -> HeldOut:
    return HeldOut(
        since=from_micros(parts.at),
        cases=parts.later.count,
        pairs=parts.later.pairs,
        faded=int(parts.later.faded.sum()),
        before=_metrics(parts.later, before),
        after=_metrics(parts.later, after),
    )


def _metrics(cases: Cases, coefficients: Coefficients) -> CalibrationMetrics:
    predicted, weights = probabilities(cases.features, coefficients), np.ones((1, cases.count))
    values = (round(float(of(cases.faded, predicted, weights)[0]), DIGITS) for of in (auc, brier, log_loss, ece))
    return CalibrationMetrics(**dict(zip(CalibrationMetrics.model_fields, values, strict=True)))
