"""The backtest: calibrate on the earlier part, predict the later one, and compare with simpler rules. Drift: whether
later periods, by year or quarter, still resemble the time from which the model learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np

from schemas.primitives import from_micros
from schemas.programs import Coefficients
from services.scoring.domain.backtesting import baselines
from services.scoring.domain.backtesting.calibration import (
    DEFAULTS,
    Fit,
    NotLearnable,
    forecast,
    learnt,
    probabilities,
    rolling,
)
from services.scoring.domain.backtesting.cases import (
    CasePlan,
    CaseRule,
    Cases,
    HistorySpan,
    PairHistories,
    Track,
    cases_of,
    split,
)
from services.scoring.domain.backtesting.lead_time import LeadTime, lead_time, watched_gaps
from services.scoring.domain.backtesting.measures import (
    MEASURES,
    Bin,
    Floats,
    Interval,
    Resamples,
    brier,
    mean,
    reliability,
)
from services.scoring.domain.bounds import DAY

YEARLY_FROM = 3 * 365 * DAY
"""Longer spans are reported by year, shorter ones by quarter."""
SURE = 2.58
"""Standard errors from which a difference is flagged: one period in a hundred by chance."""
MIN_PAIRS = 10
"""With fewer pairs the errors of a period are unknown: nothing is flagged."""


@dataclass(frozen=True)
class Drift:
    """A period: `gap` is observed minus predicted. `flags` names what differs: the base rate from that of the
    calibration part, or the calibration."""

    period: str
    cases: int
    pairs: int
    base_rate: Interval
    predicted: float
    gap: Interval
    brier: float
    flags: tuple[str, ...]


def drift(earlier: Cases, later: Cases, predicted: Floats) -> tuple[Drift, ...]:
    """By period of the later cases, in order."""
    moments, is_long = [from_micros(int(at)) for at in later.at], later.at.max() - later.at.min() > YEARLY_FROM
    names = np.array([f"{at.year}" if is_long else f"{at.year} Q{(at.month + 2) // 3}" for at in moments])
    rate, error = _with_error(Resamples(earlier.pair), earlier.faded)
    found = []
    for name in sorted(set(names)):
        cases, forecasts = later.where(names == name), predicted[names == name]
        resamples, gap = Resamples(cases.pair), cases.faded - forecasts
        differs = {}
        for what, values, before, its_error in (
            ("base rate", cases.faded, rate, error),
            ("calibration", gap, 0.0, 0.0),
        ):
            value, own_error = _with_error(resamples, values)
            differs[what] = abs(value - before) > SURE * float(np.hypot(own_error, its_error))
        one = Drift(
            period=str(name),
            cases=cases.count,
            pairs=cases.pairs,
            base_rate=resamples.interval(partial(mean, cases.faded)),
            predicted=float(forecasts.mean()),
            gap=resamples.interval(partial(mean, gap)),
            brier=resamples.value(partial(brier, cases.faded, forecasts)),
            flags=tuple(what for what, is_other in differs.items() if is_other and cases.pairs >= MIN_PAIRS),
        )
        found.append(one)
    return tuple(found)


def _with_error(resamples: Resamples, values: Floats) -> tuple[float, float]:
    """A mean over cases with its standard error."""
    weighted = partial(mean, values)
    return resamples.value(weighted), float(np.std(resamples.values(weighted)))


@dataclass(frozen=True)
class SplitSide:
    """One side of the split."""

    cases: int
    pairs: int
    base_rate: Interval


@dataclass(frozen=True)
class ModelEvaluation:
    """A model on the later part: its measures by name; how much its Brier score exceeds that of the model learnt once
    (on the same resamples); and its reliability."""

    name: str
    measures: Mapping[str, Interval]
    behind: Interval
    reliability: tuple[Bin, ...]


@dataclass(frozen=True)
class BacktestReport:
    """`models`: learnt once, before the split; `rolling`: relearnt every `rolling_days`, empty if not requested. Our
    own model is the first of each. `lead_times` and `drift` are of the rolling model if there is one."""

    rule: CaseRule
    span: HistorySpan
    split: datetime
    pairs: int
    contacts: int
    calibration: SplitSide
    evaluation: SplitSide
    coefficients: Coefficients
    models: tuple[ModelEvaluation, ...]
    rolling_days: int | None
    rolling: tuple[ModelEvaluation, ...]
    lead_times: tuple[LeadTime, ...]
    drift: tuple[Drift, ...]


MODEL = "silence model"
UNCALIBRATED = "uncalibrated"


def backtest(
    histories: PairHistories, plan: CasePlan, share: float, rolling_days: int | None, track: Track
) -> BacktestReport | NotLearnable:
    """The first `share` of the span calibrates, the rest is predicted: with the model learnt then and, if
    `rolling_days` is set, also with one that is relearnt every so many days."""
    cases = cases_of(histories.span, plan, track(histories.pairs, "cases"))
    parts = split(cases, histories.span, share, plan.rule.horizon)
    coefficients = learnt(parts.earlier)
    if isinstance(coefficients, NotLearnable):
        return NotLearnable(f"before {_day(parts.at)}, in the part that calibrates, {coefficients.reason}")
    if not parts.later.both_happened:
        return NotLearnable(
            f"from {_day(parts.at)} on, the part to predict, {parts.later.count} cases turned out alike"
        )
    fits, relearnt = [Fit(parts.at, coefficients)], dict[str, Floats]()
    once = _predicted(histories, plan.rule, cases, parts.later, fits)
    once = {MODEL: once.pop(MODEL), UNCALIBRATED: probabilities(parts.later.features, DEFAULTS), **once}
    if rolling_days is not None:
        starts = range(parts.at, int(parts.later.at.max()) + 1, rolling_days * DAY)
        fits = rolling(cases, plan.rule.horizon, starts)
        relearnt = _predicted(histories, plan.rule, cases, parts.later, fits)
    silences = watched_gaps(
        track(histories.pairs, "alerts"),
        plan,
        histories.span,
        parts.at,
        lambda features, at: forecast(features, at, fits),
    )
    return BacktestReport(
        rule=plan.rule,
        span=histories.span,
        split=from_micros(parts.at),
        pairs=len(histories.pairs),
        contacts=sum(len(pair.contacts) for pair in histories.pairs),
        calibration=_part(parts.earlier),
        evaluation=_part(parts.later),
        coefficients=coefficients,
        models=_judged(parts.later, once, once[MODEL]),
        rolling_days=rolling_days,
        rolling=_judged(parts.later, relearnt, once[MODEL]),
        lead_times=tuple(
            lead_time(level, silences, plan.rule, histories.span) for level in plan.profiles.at(parts.at).watch.risk
        ),
        drift=drift(parts.earlier, parts.later, (relearnt or once)[MODEL]),
    )


def _predicted(
    histories: PairHistories, rule: CaseRule, cases: Cases, later: Cases, fits: Sequence[Fit]
) -> dict[str, Floats]:
    """Predictions of the later cases, by model: the simpler rules are relearnt whenever our model is, from the same
    cases."""
    found = {MODEL: forecast(later.features, later.at, fits)}
    for number, fit in enumerate(fits):
        until = fits[number + 1].since if number + 1 < len(fits) else np.inf
        chosen = (later.at >= fit.since) & (later.at < until)
        finished = cases.where(cases.at + rule.horizon <= fit.since)
        rules = baselines.predicted(histories, rule.horizon_days, finished, later.where(chosen), fit.since)
        for name, values in rules.items():
            found.setdefault(name, np.empty(later.count))[chosen] = values
    return found


def _judged(cases: Cases, predicted: Mapping[str, Floats], ours: Floats) -> tuple[ModelEvaluation, ...]:
    resamples, faded = Resamples(cases.pair), cases.faded
    error = (ours - faded) ** 2
    return tuple(
        ModelEvaluation(
            name=name,
            measures={label: resamples.interval(partial(of, faded, values)) for label, of in MEASURES.items()},
            behind=resamples.interval(partial(mean, (values - faded) ** 2 - error)),
            reliability=reliability(faded, values),
        )
        for name, values in predicted.items()
    )


def _part(cases: Cases) -> SplitSide:
    return SplitSide(cases.count, cases.pairs, Resamples(cases.pair).interval(partial(mean, cases.faded)))


def _day(at: int) -> str:
    return from_micros(at).date().isoformat()
