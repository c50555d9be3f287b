"""Reliability as a picture: what was predicted against what happened, and how often each was predicted."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from services.scoring.domain.backtesting.backtest import BacktestReport, Judged

INCHES = (7.0, 8.0)
DOTS_PER_INCH = 150
HEIGHTS = (3, 1)
LEAST_CASES = 20
"""Fewer cases make a dot that says nothing."""


def draw(report: BacktestReport, file: Path) -> None:
    """Writes a PNG."""
    # Without pyplot no window system is asked for and nothing is kept.
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
    _counts(below, first)
    figure.savefig(file, dpi=DOTS_PER_INCH, format="png")


def _curve(axes: Axes, model: Judged, **style: float | str) -> None:
    bins = [found for found in model.reliability if found.cases >= LEAST_CASES]
    predicted, observed = [found.predicted for found in bins], [found.observed for found in bins]
    axes.plot(predicted, observed, marker="o", markersize=4, label=model.name, **style)  # type: ignore[arg-type]


def _counts(axes: Axes, model: Judged) -> None:
    for found in model.reliability:
        axes.bar(found.low, found.cases, width=found.high - found.low, align="edge", color="0.6", edgecolor="white")
    axes.set(xlabel="predicted", ylabel=f"cases of the {model.name}")
