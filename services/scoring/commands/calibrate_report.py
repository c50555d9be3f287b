"""The implementation of `rapport scoring calibrate`, imported once its packages are there, and its report: a verdict,
tables, and how to use the result."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from services.runtime.settings import Settings
from services.scoring.commands.console import command_settings, explained, output, progress, section, table
from services.scoring.commands.history_options import HistoryOptions, plan_of, reading_history, tracking
from services.scoring.domain.backtesting.calibration import DEFAULTS, FEW_PAIRS, NotLearnable
from services.scoring.domain.backtesting.calibration_record import CalibrationRecord, calibrate, candidate, evidence
from services.scoring.domain.backtesting.cases import CasePlan, CaseRule, Track
from services.scoring.domain.profiles import Profiles
from services.scoring.flow.calibrated_programmes import (
    NotAppliedError,
    ProgrammeHistory,
    UnreadableProgrammeError,
    append_version,
    programme_histories,
)
from services.scoring.flow.histories import HistoryError
from services.scoring.topics import Topics

HELD_OUT = 0.25
"""The last part of the time, on which the improvement is measured."""
MEASURES = {"AUC": "auc", "Brier": "brier", "log-loss": "log_loss", "ECE": "ece"}


@dataclass(frozen=True)
class CalibrationOutcome:
    """The outcome for one programme; `version` is the new one, None if it is unchanged. `failed`: an improvement could
    not be applied."""

    program: str
    verdict: str
    version: str | None = None
    failed: bool = False


def run(options: HistoryOptions) -> CalibrationRecord:
    """Ends with 1 and the reason if the history is not usable."""
    with explained("calibrate", HistoryError), reading_history(options) as (histories, track):
        record = calibrate(histories, plan_of(options), HELD_OUT, track)
    if isinstance(record, NotLearnable):
        sys.exit(f"rapport scoring calibrate: {record.reason}")
    return record


def write(record: CalibrationRecord, out: Path | None) -> Path:
    """Write the file. The same name has the same content, so overwriting loses nothing."""
    file = out or Path(f"{record.calibration}.json")
    with explained("calibrate", OSError):
        file.write_text(_json(record), encoding="utf-8")
    return file


def as_json(record: CalibrationRecord, _: Path) -> None:
    click.echo(_json(record), nl=False)


def apply(program: str | None) -> list[CalibrationOutcome]:
    """Every programme with a history, or the one with that id; each by itself, so that a failure of one hides no
    other."""
    settings = command_settings()
    topics = Topics.at(settings.log_epoch)
    with explained("calibrate", HistoryError, UnreadableProgrammeError), progress() as shown:
        task = shown.add_task("reading the log", total=None)
        programmes = [one for one in programme_histories(settings, topics) if program in {None, one.id}]
        shown.remove_task(task)
        if not programmes:
            raise HistoryError("the log has no relationship of such a programme that was ever in contact")
        return [_calibrate_programme(settings, one, tracking(shown)) for one in programmes]


def print_outcomes(outcomes: Sequence[CalibrationOutcome], *, as_json: bool) -> None:
    lines = [{"program": one.program, "version": one.version, "verdict": one.verdict} for one in outcomes]
    click.echo(json.dumps(lines) if as_json else "\n".join(f"{one.program}: {one.verdict}" for one in outcomes))


def as_text(record: CalibrationRecord, file: Path) -> None:
    console = output()
    console.print(Text(verdict(record), style="bold"), soft_wrap=True)
    span = f"{record.begin.date()} to {record.end.date()}"
    summary = (
        f"{span}: {record.cases} cases of {record.pairs} pairs, {record.faded / record.cases:.1%} without contact\n"
    )
    if record.learnt == "intercept":
        summary += f"Only the intercept is learnt: everything else takes {FEW_PAIRS} pairs.\n"
    console.print(summary, soft_wrap=True, markup=False)
    rows = ((name, f"{getattr(DEFAULTS, name):g}", f"{value:.3f}") for name, value in record.coefficients)
    section(console, "Coefficients", table(rows, coefficient="left", default="right", learnt="right"))
    if record.held_out is not None:
        judged = record.held_out
        title = (
            f"On {judged.cases} cases of {judged.pairs} pairs from {judged.since.date()} on, after learning from those "
            "before"
        )
        models = (
            (name, *(f"{getattr(metrics, key):.3f}" for key in MEASURES.values()))
            for name, metrics in (("default", judged.before), ("learnt", judged.after))
        )
        section(console, title, table(models, coefficients="left", **dict.fromkeys(MEASURES, "right")))
    console.print("\n".join(_usage(record, file)), soft_wrap=True, markup=False)


def verdict(record: CalibrationRecord) -> str:
    """For people who do not read tables."""
    judged = record.held_out
    if judged is None:
        return "Verdict: the history is too short to hold a part of it out, so nobody can say how much better this is."
    better = "use it" if judged.after.brier < judged.before.brier else "keep the defaults"
    return (
        f"Verdict: {better}. On {judged.cases} newer cases predicted and observed lie {judged.after.ece:.2f} apart, "
        f"with the defaults {judged.before.ece:.2f}; the mean squared error is {judged.after.brier:.3f} instead of "
        f"{judged.before.brier:.3f}."
    )


def _calibrate_programme(settings: Settings, one: ProgrammeHistory, track: Track) -> CalibrationOutcome:
    in_force = one.in_force.model_copy(update={"effective_from": None})
    plan = CasePlan(CaseRule(horizon_days=max(1, round(in_force.horizon_days))), Profiles((in_force,)))
    found = candidate(one.histories, plan, in_force, HELD_OUT, track)
    if isinstance(found, NotLearnable):
        return CalibrationOutcome(one.key, f"stays as it is: {found.reason}")
    judged = found.held_out
    errors = (
        f"on {judged.cases} cases of {judged.pairs} pairs since {judged.since.date()} the mean squared error is "
        f"{judged.after.brier:.4f} with what was learnt before them, {judged.before.brier:.4f} with "
        f"{one.in_force.version} (lower by {found.gain.value:.4f}, 95 % interval {found.gain.low:.4f} to "
        f"{found.gain.high:.4f})"
    )
    if not found.is_better:
        return CalibrationOutcome(one.key, f"stays as it is: {errors}, which is not better for sure")
    profile = found.profile(one.in_force, one.earliest)
    try:
        append_version(settings, one, profile)
    except NotAppliedError as refused:
        return CalibrationOutcome(one.key, f"stays as it is, though something better was found: {refused}", failed=True)
    words = f"version {profile.version} from {one.earliest:%Y-%m-%d %H:%M} UTC on, {profile.certainty}; {errors}"
    return CalibrationOutcome(one.key, words, profile.version)


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
    if (rests_on := evidence(record)) is not None:
        yield f"    evidence: {{cases: {rests_on.cases}, judged: {rests_on.judged}, apart: {rests_on.apart}}}"


def _json(record: CalibrationRecord) -> str:
    return record.model_dump_json(indent=2) + "\n"
