"""`rapport scoring calibrate`, run as a command: a file that a programme's profile can take."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.programs import Coefficients, Profile
from services.scoring.__main__ import main
from services.scoring.commands.calibrate_report import verdict
from services.scoring.domain.backtesting.calibration import DEFAULTS
from services.scoring.domain.backtesting.calibration_record import CalibrationRecord, digest, evidence
from services.scoring.domain.serialization import MODEL

SAMPLE = Path(__file__).parents[3] / "deploy" / "local" / "sample" / "rust_review.csv.gz"
BEGIN = 1_600_000_000


def calibrate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["calibrate", *map(str, arguments)], catch_exceptions=False)


def contacts(folder: Path, pairs: int, seconds: int = 0) -> Path:
    """Pairs that begin one after the other, meet every week for half a year, and then no more."""
    meetings = [(f"p{pair}", 20 * pair + 7 * week) for pair in range(pairs) for week in range(26)]
    rows = [f"{name},{BEGIN + 86_400 * day + seconds},-1" for name, day in (*meetings, ("last", 20 * pairs + 200))]
    file = folder / f"contacts-{pairs}-{seconds}.csv"
    file.write_text("\n".join(["pair_id,t,dir", *rows]))
    return file


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> CalibrationRecord:
    file = tmp_path_factory.mktemp("calibration") / "own.json"
    ran = calibrate(SAMPLE, "--horizon", "45", "--out", file)
    assert ran.exit_code == 0, ran.output
    return CalibrationRecord.model_validate_json(file.read_bytes())


def test_on_the_held_out_part_what_was_learnt_predicts_better_than_the_defaults(record: CalibrationRecord) -> None:
    held_out = record.held_out

    assert held_out is not None
    assert held_out.cases > 1_000
    assert held_out.after.brier < held_out.before.brier
    assert held_out.after.log_loss < held_out.before.log_loss
    assert held_out.after.ece < 0.05 < held_out.before.ece
    assert held_out.after.auc >= held_out.before.auc - 0.01


def test_the_file_says_what_it_was_learnt_from(record: CalibrationRecord) -> None:
    assert (record.learnt, record.horizon_days, record.cadence_days) == ("all", 45, 14)
    assert (record.begin.year, record.end.year) == (2014, 2026)
    assert 0 < record.faded < record.cases
    assert record.pairs > 500
    assert len(record.input_sha256) == 64


def test_what_the_contacts_do_not_tell_stays_at_its_default(record: CalibrationRecord) -> None:
    for name in ("missed", "cancelled_late", "goal_stalled", "rating_drop", "booked"):
        assert getattr(record.coefficients, name) == getattr(DEFAULTS, name)


def test_the_hash_is_that_of_the_content(record: CalibrationRecord) -> None:
    changed = record.model_copy(update={"coefficients": Coefficients()})

    assert digest(record) == record.sha256
    assert digest(changed) != record.sha256
    assert record.calibration == f"{MODEL}-2026-07-15-{record.sha256[:8]}"


def test_a_profile_takes_name_and_coefficients(record: CalibrationRecord) -> None:
    content = {
        "version": "v2",
        "calibration": record.calibration,
        "coefficients": json.loads(record.coefficients.model_dump_json()),
    }

    profile = Profile.model_validate_json(json.dumps(content))

    assert profile.coefficients == record.coefficients


def test_the_same_contacts_make_the_same_file_and_others_another(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.json" for number in range(3)]
    for file, history in zip(
        files, [contacts(tmp_path, 5), contacts(tmp_path, 5), contacts(tmp_path, 5, seconds=1)], strict=True
    ):
        assert calibrate(history, "--out", file).exit_code == 0

    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


def test_of_few_pairs_only_the_intercept_is_learnt_and_that_is_said(tmp_path: Path) -> None:
    ran = calibrate(contacts(tmp_path, 5), "--out", tmp_path / "few.json")

    few = CalibrationRecord.model_validate_json((tmp_path / "few.json").read_bytes())
    assert few.learnt == "intercept"
    assert few.coefficients.model_copy(update={"base": DEFAULTS.base}) == DEFAULTS
    assert "Only the intercept is learnt" in ran.stdout


def test_a_short_history_holds_nothing_out_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.scoring.commands.calibrate_report.HELD_OUT", 0.05)

    ran = calibrate(contacts(tmp_path, 5), "--out", tmp_path / "short.json")

    assert CalibrationRecord.model_validate_json((tmp_path / "short.json").read_bytes()).held_out is None
    assert ran.stdout.startswith("Verdict: the history is too short to hold a part of it out")


def test_it_says_how_to_use_the_file(tmp_path: Path) -> None:
    file = tmp_path / "own.json"

    ran = calibrate(contacts(tmp_path, 25), "--out", file)

    name = CalibrationRecord.model_validate_json(file.read_bytes()).calibration
    assert f"Written to {file}." in ran.stdout
    assert "rapport programs apply FILE" in ran.stdout
    assert f"    calibration: {name}\n" in ran.stdout


def test_it_begins_with_a_verdict_in_plain_words(record: CalibrationRecord) -> None:
    assert verdict(record).startswith("Verdict: use it. On 2859 newer cases predicted and observed lie 0.04 apart")


def test_a_profile_says_what_its_coefficients_rest_on(record: CalibrationRecord) -> None:
    rests_on = evidence(record)
    profile = Profile(version="v", calibration=record.calibration, evidence=rests_on)

    assert profile.certainty == (
        f"calibrated on {record.cases} cases of its own past; on 2859 newer ones predicted and observed lay 0.04 apart"
    )
    assert Profile(version="v", calibration="own").certainty == "calibrated on this organisation's history"
    assert Profile(version="v").certainty == "uncalibrated: general defaults"


def test_as_json_the_file_itself_is_printed(tmp_path: Path) -> None:
    ran = calibrate(contacts(tmp_path, 5), "--out", tmp_path / "own.json", "--json")

    assert ran.stdout == (tmp_path / "own.json").read_text()


def test_without_a_name_the_file_has_that_of_the_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    calibrate(contacts(tmp_path, 5))

    (file,) = tmp_path.glob("*.json")
    assert file.stem == CalibrationRecord.model_validate_json(file.read_bytes()).calibration


def test_a_history_that_teaches_nothing_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    ran = calibrate(contacts(tmp_path, 5), "--horizon", "366", "--out", tmp_path / "none.json")

    assert ran.exit_code == 1
    assert ran.output.startswith("rapport scoring calibrate: there is no case")
    assert not (tmp_path / "none.json").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    ran = calibrate(contacts(tmp_path, 5), "--out", tmp_path / "no-folder" / "own.json")

    assert ran.exit_code == 1
    assert "no-folder" in ran.output
