"""The implementation of `rapport scoring backtest`, imported once its packages are there, and its report: a verdict,
tables, and a reliability plot of predictions against outcomes with the number of cases per bin."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.primitives import from_micros, to_rfc3339
from services.scoring.commands.console import explained, output, rfc3339, section, table
from services.scoring.commands.history_options import HistoryOptions, plan_of, reading_history
from services.scoring.domain.backtesting.backtest import (
    UNCALIBRATED,
    BacktestReport,
    ModelEvaluation,
    SplitSide,
    backtest,
)
from services.scoring.domain.backtesting.calibration import NotLearnable
from services.scoring.domain.backtesting.measures import Interval
from services.scoring.domain.score import FEATURES
from services.scoring.flow.histories import HistoryError

MEASURES = {"AUC": "auc", "Brier": "brier", "log-loss": "log_loss", "ECE": "ece", "lift": "lift"}
CLOSE = 0.05
"""Largest mean distance of predicted and observed at which the risk counts as a probability."""
CALIBRATION_SHARE = 0.6
"""The share of the time from which everything is learnt; the rest is predicted."""


def run(options: HistoryOptions, rolling_days: int | None, png: Path | None) -> BacktestReport:
    """Ends with 1 and the reason if the history is not usable."""
    with explained("backtest", HistoryError), reading_history(options) as (histories, track):
        report = backtest(histories, plan_of(options), CALIBRATION_SHARE, rolling_days, track)
    if isinstance(report, NotLearnable):
        sys.exit(f"rapport scoring backtest: {report.reason}")
    if png is not None:
        draw(report, png)
    return report


def as_json(report: BacktestReport) -> None:
    """Values that could not be computed are null."""
    begin, end = map(rfc3339, report.span)
    instants = {"span": {"begin": begin, "end": end}, "split": to_rfc3339(report.split)}
    fields = to_jsonable_python(report, inf_nan_mode="null") | instants
    click.echo(json.dumps({"verdict": verdict(report), **fields}, allow_nan=False))


def as_text(report: BacktestReport) -> None:
    console = output()
    console.print(Text(verdict(report), style="bold"), soft_wrap=True)
    console.print()
    for line in _fact_lines(report):
        console.print(line, soft_wrap=True, markup=False)
    console.print()
    title = "Models on the evaluation part, learnt once, with 95 % intervals over pairs"
    section(console, title, _models(report.models))
    if report.rolling:
        title = f"The same, learnt anew every {report.rolling_days} days from all that was over by then"
        section(console, title, _models(report.rolling))
    leading = (report.rolling or report.models)[0]
    bins = (
        (f"{one.low:.1f} - {one.high:.1f}", one.cases, f"{one.predicted:.3f}", f"{one.observed:.3f}")
        for one in leading.reliability
    )
    form = f"{leading.name}, learnt anew" if report.rolling else leading.name
    made = table(bins, predicted="left", cases="right", mean="right", observed="right")
    section(console, f"Reliability of the {form}", made)
    _alerts_and_drift(console, report)


def verdict(report: BacktestReport) -> str:
    """For people who do not read tables."""
    ours, relearning = report.models[0], ""
    rules = [model for model in report.models[1:] if model.name != UNCALIBRATED]
    best = max(rules, key=lambda model: model.measures["auc"].value)
    ranked, other, apart = ours.measures["auc"].value, best.measures["auc"].value, ours.measures["ece"].value
    ahead = "ahead of" if ranked > other else "no better than"
    trust = "can be taken at its word" if apart <= CLOSE else "is an order of urgency, not a probability"
    if report.rolling:
        behind = report.rolling[0].behind
        how = "better" if behind.high < 0 else "worse" if behind.low > 0 else "neither better nor worse"
        relearning = f"; learning anew every {report.rolling_days} days makes it {how}"
    return (
        f"Verdict: of a pair that falls silent and one that does not, the risk ranks the first higher in {ranked:.0%} "
        f"of cases, {ahead} the best simple rule ({best.name}, {other:.0%}); what it predicts and what happens lie "
        f"{apart:.2f} apart, so that it {trust}{relearning}."
    )


def _fact_lines(report: BacktestReport) -> Iterator[str]:
    rule, coefficients = report.rule, report.coefficients
    begin, end = (_day(from_micros(at)) for at in report.span)
    yield f"history      {begin} to {end}: {report.pairs} pairs, {report.contacts} contacts"
    yield (
        f"case         every {rule.every_days} days, a pair with {rule.least_contact_days} contact days and a contact "
        f"in the last {rule.active_days}; it fades if none follows in {rule.horizon_days}"
    )
    yield f"calibration  before {_day(report.split)}: {_part(report.calibration)}"
    yield f"evaluation   from   {_day(report.split)}: {_part(report.evaluation)}"
    learnt = ", ".join(f"{name} {getattr(coefficients, name):.3f}" for name in ("base", *FEATURES))
    yield f"learnt       {learnt}"


def _models(models: Sequence[ModelEvaluation]) -> Table:
    rows = (
        (
            model.name,
            *(_interval(model.measures[key]) for key in MEASURES.values()),
            _interval(model.behind, "+.4f") if model.behind.low or model.behind.high else "",
        )
        for model in models
    )
    return table(rows, model="left", **dict.fromkeys(MEASURES, "left"), Brier_above_ours="left")


def _alerts_and_drift(console: Console, report: BacktestReport) -> None:
    alerts = []
    for of in report.lead_times:
        days = "" if of.days is None else "{1:.0f} (quartiles {0:.0f} and {2:.0f})".format(*of.days)
        alerts.append((of.level, of.silences, of.reached, f"{of.right:.1%}", of.fades, f"{of.never:.1%}", days))
    names = ("risk", "silences", "alerts", "right", "fades", "never_warned", "warned_days_before_the_fade")
    title = (
        f"Alerts by the calibrated risk: right if no contact came in the {report.rule.horizon_days} days after; a fade "
        f"is a silence of {report.rule.active_days} days"
    )
    section(console, title, table(alerts, **dict.fromkeys(names, "right")))
    periods = []
    for one in report.drift:
        rates = _interval(one.base_rate), f"{one.predicted:.3f}", _interval(one.gap, "+.3f"), f"{one.brier:.3f}"
        periods.append((one.period, one.cases, one.pairs, *rates, ", ".join(one.flags)))
    numbers = dict.fromkeys(("cases", "pairs", "base_rate", "predicted", "observed_less_predicted", "Brier"), "right")
    title = "Drift: the base rate against the calibration part, observed less predicted against 0"
    section(console, title, table(periods, period="left", **numbers, differs="left"))


def _part(part: SplitSide) -> str:
    return f"{part.cases} cases of {part.pairs} pairs, base rate {_interval(part.base_rate)}"


def _interval(found: Interval, form: str = ".3f") -> str:
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


INCHES = (7.0, 8.0)
DOTS_PER_INCH = 150
HEIGHTS = (3, 1)
MIN_CASES = 20
"""Bins with fewer cases are too uncertain to plot."""


def draw(report: BacktestReport, file: Path) -> None:
    """Writes a PNG."""
    # Without pyplot no window system is needed and no figure is kept.
    figure = Figure(INCHES, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=HEIGHTS)
    first, *others = (*report.rolling[:1], *report.models)
    above.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    _curve(above, first, linewidth=2.5, color="black")
    for model in others:
        _curve(above, model, linewidth=1.0, alpha=0.8)
    above.set(ylabel="share without contact", xlim=(0, 1), ylim=(0, 1))
    above.set_title(f"Reliability: no contact in the next {report.rule.horizon_days} days")
    above.legend(loc="upper left", fontsize="small")
    for found in first.reliability:
        below.bar(found.low, found.cases, width=found.high - found.low, align="edge", color="0.6", edgecolor="white")
    below.set(xlabel="predicted", ylabel=f"cases of the {first.name}")
    figure.savefig(file, dpi=DOTS_PER_INCH, format="png")


def _curve(axes: Axes, model: ModelEvaluation, **style: float | str) -> None:
    bins = [found for found in model.reliability if found.cases >= MIN_CASES]
    predicted, observed = [found.predicted for found in bins], [found.observed for found in bins]
    axes.plot(predicted, observed, marker="o", markersize=4, label=model.name, **style)  # type: ignore[arg-type]
