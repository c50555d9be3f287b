"""`rapport scoring backtest` and `calibrate`: evaluate the risk on past data, and learn its coefficients from them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from services.scoring.commands.history_options import DAYS, HistoryOptions, history_options

OURS = frozenset({"", "schemas", "services"})


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the import of code that needs an extra: names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as missing:
        top = (missing.name or "").split(".")[0]
        if top in OURS:
            raise
        raise click.ClickException(f"this needs the module {top}: pip install 'rapport[{name}]'") from missing


@click.command("backtest")
@history_options
@click.option("--rolling", type=DAYS, help="Also relearn every so many days, as a nightly job would.")
@click.option("--png", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Draw the reliability.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def backtest_(
    rolling: int | None,
    png: Path | None,
    *,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Evaluate the risk on past data, beside simpler rules.

    HISTORY is CSV (pair_id; t in Unix seconds; dir: -1 of both, 0 mentor, 1 mentee) or CloudEvents as JSONL, also
    gzipped; without it the log is read. The first part of the time calibrates the model and every other rule, the rest
    is predicted. Relationships that are paused or ended within a horizon make no case."""
    with extra("analysis"):
        from services.scoring.commands import backtest_report  # noqa: PLC0415 (the service needs none of it)
    report = backtest_report.run(HistoryOptions(**options), rolling, png)
    (backtest_report.as_json if as_json else backtest_report.as_text)(report)


@click.command("calibrate")
@history_options
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Default: its name.json")
@click.option("--apply", "applied", is_flag=True, help="Let the programmes use what beats the profile in force.")
@click.option("--json", "as_json", is_flag=True, help="Print the file's content instead of a summary.")
@click.pass_context
def calibrate_(
    context: click.Context,
    /,
    out: Path | None,
    *,
    applied: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Learn the coefficients of the risk from a past history and write them to a file.

    HISTORY as for `backtest`; horizon, cadence and review period must be those of the programme that will use the
    result. Coefficients stay within bounds in which no contact raises the risk, and those that the history does not
    determine stay at their defaults; with fewer than 20 pairs only the intercept is learnt.

    With --apply the log is the history, and every programme (or --program) is calibrated by its own profile. What was
    learnt before the last quarter becomes a new version of the profile if, on that quarter, it predicts better than the
    version in force with certainty. Nothing is applied twice: made for a nightly job. Ends with 1 if an improvement
    could not be applied."""
    with extra("analysis"):
        from services.scoring.commands import calibrate_report  # noqa: PLC0415 (the service needs none of it)
    if applied:
        # All other options are determined by a programme's own profile.
        given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
        if others := sorted(given - {"program", "applied", "as_json"}):
            raise click.UsageError(f"--apply takes the programmes as they are: leave out {', '.join(others)}")
        outcomes = calibrate_report.apply(options["program"])
        calibrate_report.print_outcomes(outcomes, as_json=as_json)
        context.exit(int(any(outcome.failed for outcome in outcomes)))
    record = calibrate_report.run(HistoryOptions(**options))
    file = calibrate_report.write(record, out)
    (calibrate_report.as_json if as_json else calibrate_report.as_text)(record, file)
