"""What `rapport scoring calibrate` does once its packages are there."""

import sys
from pathlib import Path

import click

from services.scoring.commands import calibration_tables
from services.scoring.commands.console import explained, output
from services.scoring.commands.history_options import HistoryOptions
from services.scoring.commands.past import plan_of, reading
from services.scoring.domain.backtesting.calibrate import calibrate
from services.scoring.domain.backtesting.calibration import NotLearnable
from services.scoring.domain.backtesting.calibration_record import CalibrationRecord
from services.scoring.flow.history_file import HistoryError


def run(options: HistoryOptions, held_out: float) -> CalibrationRecord:
    """Ends with 1 and the reason where the history tells nothing."""
    with explained("calibrate", HistoryError), reading(options) as (histories, track):
        record = calibrate(histories, plan_of(options), held_out, track)
    if isinstance(record, NotLearnable):
        sys.exit(f"rapport scoring calibrate: {record.reason}")
    return record


def write(record: CalibrationRecord, out: Path | None) -> Path:
    """The file; of the same name is the same content, so that nothing is lost by writing it again."""
    file = out or Path(f"{record.calibration}.json")
    with explained("calibrate", OSError):
        file.write_text(_json(record), encoding="utf-8")
    return file


def as_text(record: CalibrationRecord, file: Path) -> None:
    calibration_tables.show(record, file, output())


def as_json(record: CalibrationRecord, _: Path) -> None:
    click.echo(_json(record), nl=False)


def _json(record: CalibrationRecord) -> str:
    return record.model_dump_json(indent=2) + "\n"
