"""A calibration as tables, and how to use it."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.scoring.commands.console import cells, section, table
from services.scoring.domain.backtesting.calibration import DEFAULTS, FEW_PAIRS
from services.scoring.domain.backtesting.calibration_record import CalibrationRecord, HeldOut

MEASURES = {"AUC": "auc", "Brier": "brier", "log-loss": "log_loss", "ECE": "ece"}


def show(record: CalibrationRecord, file: Path, console: Console) -> None:
    console.print("\n".join([*_facts(record), ""]), soft_wrap=True, markup=False)
    section(console, "Coefficients", _coefficients(record))
    if record.held_out is not None:
        section(console, _judged(record.held_out), _metrics(record.held_out))
    console.print("\n".join(_usage(record, file)), soft_wrap=True, markup=False)


def _facts(record: CalibrationRecord) -> Iterator[str]:
    span = f"{record.begin.date()} to {record.end.date()}"
    yield f"{span}: {record.cases} cases of {record.pairs} pairs, {record.faded / record.cases:.1%} without contact"
    if record.learnt == "intercept":
        yield f"Only the intercept is learnt: everything else takes {FEW_PAIRS} pairs."
    if record.held_out is None:
        yield "The history is too short to hold a part of it out: how much better this is cannot be said."


def _coefficients(record: CalibrationRecord) -> Table:
    made = table(coefficient="left", default="right", learnt="right")
    for name, value in record.coefficients:
        made.add_row(*cells(name, f"{getattr(DEFAULTS, name):g}", f"{value:.3f}"))
    return made


def _judged(held_out: HeldOut) -> str:
    return (
        f"On {held_out.cases} cases of {held_out.pairs} pairs from {held_out.since.date()} on, after learning from "
        "those before"
    )


def _metrics(held_out: HeldOut) -> Table:
    made = table(coefficients="left", **dict.fromkeys(MEASURES, "right"))
    for name, metrics in (("default", held_out.before), ("learnt", held_out.after)):
        made.add_row(*cells(name, *(f"{getattr(metrics, key):.3f}" for key in MEASURES.values())))
    return made


def _usage(record: CalibrationRecord, file: Path) -> Iterator[str]:
    coefficients = ", ".join(f"{name}: {value}" for name, value in record.coefficients)
    yield f"Written to {file}. To use it, append a version to the programme's profiles, with"
    yield "whatever else the one before it says, and run `rapport programs apply FILE`:"
    yield f"  - version: {record.calibration}"
    yield "    effective_from: # an instant at least an hour ahead"
    yield f"    cadence_days: {record.cadence_days:g}"
    yield f"    review_days: {record.review_days:g}"
    yield f"    horizon_days: {record.horizon_days}"
    yield f"    calibration: {record.calibration}"
    yield f"    coefficients: {{{coefficients}}}"
