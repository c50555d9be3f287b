"""A backtest as tables."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.table import Table

from schemas.primitives import from_micros
from services.scoring.commands.console import cells, section, table
from services.scoring.domain.backtesting.bootstrap import Interval
from services.scoring.domain.backtesting.cases import Rule
from services.scoring.domain.backtesting.report import Part, Report
from services.scoring.domain.score import FEATURES

MEASURES = {"AUC": "auc", "Brier": "brier", "log-loss": "log_loss", "ECE": "ece", "lift": "lift"}


def show(report: Report, console: Console) -> None:
    for line in _facts(report):
        console.print(line, soft_wrap=True, markup=False)
    console.print()
    section(console, "Models on the evaluation part, with 95 % intervals over pairs", _models(report))
    section(console, f"Reliability of the {report.models[0].name}", _reliability(report))
    section(console, _alerts(report.rule), _lead_times(report))
    section(
        console, "Drift: the base rate against the calibration part, observed less predicted against 0", _drift(report)
    )


def _facts(report: Report) -> Iterator[str]:
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


def _models(report: Report) -> Table:
    made = table(model="left", **dict.fromkeys(MEASURES, "left"), Brier_above_ours="left")
    for model in report.models:
        behind = "" if model is report.models[0] else _interval(model.behind, "+.4f")
        made.add_row(*cells(model.name, *(_interval(model.measures[key]) for key in MEASURES.values()), behind))
    return made


def _reliability(report: Report) -> Table:
    made = table(predicted="left", cases="right", mean="right", observed="right")
    for found in report.models[0].reliability:
        edges = f"{found.low:.1f} - {found.high:.1f}"
        made.add_row(*cells(edges, found.cases, f"{found.predicted:.3f}", f"{found.observed:.3f}"))
    return made


def _alerts(rule: Rule) -> str:
    return (
        f"Alerts by the calibrated risk: right if no contact came in the {rule.horizon_days} days after; a fade is a "
        f"silence of {rule.active_days} days"
    )


def _lead_times(report: Report) -> Table:
    columns = ("risk", "silences", "alerts", "right", "fades", "never_warned", "warned_days_before_the_fade")
    made = table(**dict.fromkeys(columns, "right"))
    for found in report.lead_times:
        days = "" if found.days is None else "{1:.0f} (quartiles {0:.0f} and {2:.0f})".format(*found.days)
        alerts = found.silences, found.reached, _percent(found.right)
        made.add_row(*cells(found.level, *alerts, found.fades, _percent(found.never), days))
    return made


def _drift(report: Report) -> Table:
    numbers = dict.fromkeys(("cases", "pairs", "base_rate", "predicted", "observed_less_predicted", "Brier"), "right")
    made = table(period="left", **numbers, differs="left")
    for found in report.drift:
        rates = _interval(found.base_rate), f"{found.predicted:.3f}", _interval(found.gap, "+.3f")
        flags = ", ".join(found.flags)
        made.add_row(*cells(found.period, found.cases, found.pairs, *rates, f"{found.brier:.3f}", flags))
    return made


def _part(part: Part) -> str:
    return f"{part.cases} cases of {part.pairs} pairs, base rate {_interval(part.base_rate)}"


def _interval(found: Interval, form: str = ".3f") -> str:
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
