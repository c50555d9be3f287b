"""The backtest: calibrate on the past, predict what came after, and compare with simpler rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from schemas.primitives import from_micros
from schemas.programs import Coefficients
from services.scoring.domain.backtesting import baselines, bgnbd
from services.scoring.domain.backtesting.arrays import Floats
from services.scoring.domain.backtesting.bootstrap import Resamples
from services.scoring.domain.backtesting.calibration import DEFAULTS, NotLearnable, learnt, probabilities
from services.scoring.domain.backtesting.cases import Cases, Plan, Rule, cases_of
from services.scoring.domain.backtesting.drift import drift
from services.scoring.domain.backtesting.lead_time import LeadTime, Period, lead_time, told_silences
from services.scoring.domain.backtesting.measures import MEASURES, mean
from services.scoring.domain.backtesting.pairs import Histories, Pair
from services.scoring.domain.backtesting.reliability import reliability
from services.scoring.domain.backtesting.report import Judged, Part, Report
from services.scoring.domain.backtesting.split import Split, split

MODEL = "silence model"
UNCALIBRATED = "uncalibrated"

Track = Callable[[Sequence[Pair], str], Iterable[Pair]]
"""Goes through the pairs and shows how far it is, under a name."""


def backtest(histories: Histories, plan: Plan, share: float, track: Track) -> Report | NotLearnable:
    """The first `share` of the span calibrates, the rest is predicted."""
    cases = cases_of(histories.span, plan, track(histories.pairs, "cases"))
    parts = split(cases, histories.span, share, plan.rule.horizon)
    coefficients = learnt(parts.earlier.examples)
    if isinstance(coefficients, NotLearnable):
        return NotLearnable(f"before {_day(parts.at)}, in the part that calibrates, {coefficients.reason}")
    if not parts.later.both_happened:
        return NotLearnable(
            f"from {_day(parts.at)} on, the part to predict, {parts.later.count} cases turned out alike"
        )
    predicted = _predicted(histories, plan.rule, parts, coefficients)
    return Report(
        rule=plan.rule,
        span=histories.span,
        split=from_micros(parts.at),
        pairs=len(histories.pairs),
        contacts=sum(len(pair.contacts) for pair in histories.pairs),
        calibration=_part(parts.earlier),
        evaluation=_part(parts.later),
        coefficients=coefficients,
        models=_judged(parts.later, predicted),
        lead_times=_lead_times(Period(histories.span, parts.at), plan, coefficients, track(histories.pairs, "alerts")),
        drift=drift(parts.earlier, parts.later, predicted[MODEL]),
    )


def _predicted(histories: Histories, rule: Rule, parts: Split, coefficients: Coefficients) -> dict[str, Floats]:
    """Of the later cases, by model."""
    features = parts.later.features
    ours = {MODEL: probabilities(features, coefficients), UNCALIBRATED: probabilities(features, DEFAULTS)}
    model = bgnbd.fitted(baselines.pasts(histories, parts.at))
    earlier, later = (baselines.scores(cases, model, rule.horizon_days) for cases in (parts.earlier, parts.later))
    return ours | {name: baselines.mapped(earlier[name], parts.earlier.faded, later[name]) for name in later}


def _judged(cases: Cases, predicted: Mapping[str, Floats]) -> tuple[Judged, ...]:
    resamples, faded = Resamples(cases.pair), cases.faded
    errors = {name: (values - faded) ** 2 for name, values in predicted.items()}
    return tuple(
        Judged(
            name=name,
            measures={label: resamples.interval(partial(of, faded, values)) for label, of in MEASURES.items()},
            behind=resamples.interval(partial(mean, errors[name] - errors[MODEL])),
            reliability=reliability(faded, values),
        )
        for name, values in predicted.items()
    )


def _lead_times(period: Period, plan: Plan, coefficients: Coefficients, pairs: Iterable[Pair]) -> tuple[LeadTime, ...]:
    told = told_silences(pairs, plan, period, lambda features: probabilities(features, coefficients))
    levels = plan.profiles.at(period.since).watch.risk
    return tuple(lead_time(level, told, plan.rule, period.span) for level in levels)


def _part(cases: Cases) -> Part:
    return Part(cases.count, cases.pairs, Resamples(cases.pair).interval(partial(mean, cases.faded)))


def _day(at: int) -> str:
    return from_micros(at).date().isoformat()
