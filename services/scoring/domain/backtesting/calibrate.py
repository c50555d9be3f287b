"""A calibration: learnt from all cases, and judged on the newest of them after learning from the others."""

import hashlib
from collections.abc import Sequence

import numpy as np

from schemas.primitives import from_micros
from schemas.programs import Coefficients
from services.scoring.domain.backtesting.backtest import Track
from services.scoring.domain.backtesting.calibration import DEFAULTS, FEW_PAIRS, NotLearnable, learnt, probabilities
from services.scoring.domain.backtesting.calibration_record import CalibrationRecord, HeldOut, Metrics, named
from services.scoring.domain.backtesting.cases import Cases, Plan, cases_of
from services.scoring.domain.backtesting.measures import auc, brier, ece, log_loss
from services.scoring.domain.backtesting.pairs import Histories, Pair
from services.scoring.domain.backtesting.split import Split, split
from services.scoring.domain.telling import MODEL

DIGITS = 6


def calibrate(histories: Histories, plan: Plan, held_out: float, track: Track) -> CalibrationRecord | NotLearnable:
    """`held_out`: the share of the span, its end, that the improvement is measured on."""
    cases = cases_of(histories.span, plan, track(histories.pairs, "cases"))
    coefficients = learnt(cases.examples)
    if isinstance(coefficients, NotLearnable):
        return coefficients
    profile = plan.profiles.at(histories.span.end)
    return named(
        CalibrationRecord(
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
            held_out=_held_out(split(cases, histories.span, 1 - held_out, plan.rule.horizon)),
            input_sha256=_hash(histories.pairs),
        )
    )


def _held_out(parts: Split) -> HeldOut | None:
    """None where there is nothing to learn from before the split, or nothing to judge after it."""
    coefficients = learnt(parts.earlier.examples)
    if isinstance(coefficients, NotLearnable) or not parts.later.both_happened:
        return None
    return HeldOut(
        since=from_micros(parts.at),
        cases=parts.later.count,
        pairs=parts.later.pairs,
        faded=int(parts.later.faded.sum()),
        before=_metrics(parts.later, DEFAULTS),
        after=_metrics(parts.later, coefficients),
    )


def _metrics(cases: Cases, coefficients: Coefficients) -> Metrics:
    predicted, weights = probabilities(cases.features, coefficients), np.ones((1, cases.count))
    values = (round(float(of(cases.faded, predicted, weights)[0]), DIGITS) for of in (auc, brier, log_loss, ece))
    return Metrics(**dict(zip(Metrics.model_fields, values, strict=True)))


def _hash(pairs: Sequence[Pair]) -> str:
    """Of all facts, in an order that does not depend on the input's."""
    found = hashlib.sha256()
    for pair in pairs:
        found.update(f"{pair.name}\n".encode())
        for key in sorted(pair.facts):
            time, kind, uid, slot = key
            found.update(f"{time} {kind} {uid.hex()} {slot} {pair.facts[key].stands}\n".encode())
    return found.hexdigest()
