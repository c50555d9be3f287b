"""`rapport scoring backtest`, run as a command: on the sample's real contacts, and on histories without a result."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.scoring.__main__ import main
from services.scoring.commands.backtesting import extra
from services.scoring.domain.backtesting.backtest import BacktestReport
from services.scoring.domain.backtesting.backtest import backtest as computed
from services.scoring.domain.backtesting.calibration import NotLearnable

ROOT = Path(__file__).parents[3]
# By its name: what draws the picture takes a second to import, of every worker that collects this file.
BACKTEST = "services.scoring.commands.backtest_report.backtest"
SAMPLE = ROOT / "deploy" / "local" / "sample" / "rust_review.csv.gz"
BASELINES = ["30-day rule", "recency", "own mean gap", "BG/NBD", "100 - health"]


def backtest(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["backtest", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def reports() -> list[BacktestReport | NotLearnable]:
    """What was computed, by whichever command."""
    return []


@pytest.fixture(scope="module")
def output(reports: list[BacktestReport | NotLearnable]) -> dict[str, Any]:
    def noted(*given: Any) -> BacktestReport | NotLearnable:  # noqa: ANN401
        reports.append(computed(*given))
        return reports[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BACKTEST, noted)
        ran = backtest(SAMPLE, "--horizon", "45", "--rolling", "30", "--json")
    assert ran.exit_code == 0, ran.output
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_on_the_real_contacts_the_model_ranks_and_predicts_as_promised(output: dict[str, Any]) -> None:
    model = output["models"][0]

    assert model["name"] == "silence model"
    assert model["measures"]["auc"]["value"] >= 0.76
    assert model["measures"]["brier"]["value"] <= 0.19
    assert model["measures"]["ece"]["value"] <= 0.03


def test_what_is_learnt_anew_every_month_is_no_worse_and_the_baselines_are_learnt_anew_too(
    output: dict[str, Any],
) -> None:
    once, anew = output["models"][0], output["rolling"][0]

    assert output["rolling_days"] == 30
    assert [model["name"] for model in output["rolling"]] == ["silence model", *BASELINES]
    assert anew["behind"]["low"] < 0.0005
    assert anew["measures"]["auc"]["value"] >= once["measures"]["auc"]["value"] - 0.002
    assert anew["measures"]["ece"]["value"] <= once["measures"]["ece"]["value"]
    assert all(model["behind"]["value"] > anew["behind"]["value"] for model in output["rolling"][1:])


def test_it_begins_with_a_verdict_in_plain_words(output: dict[str, Any]) -> None:
    assert output["verdict"].startswith(
        "Verdict: of a pair that falls silent and one that does not, the risk ranks the first higher in 76% of cases, "
        "ahead of the best simple rule (BG/NBD, 75%)"
    )
    assert "it can be taken at its word" in output["verdict"]
    assert output["verdict"].endswith("learning anew every 30 days makes it neither better nor worse.")


def test_every_baseline_stands_beside_the_model_and_none_is_better(output: dict[str, Any]) -> None:
    ours, uncalibrated, *others = output["models"]

    assert uncalibrated["name"] == "uncalibrated"
    assert [model["name"] for model in others] == BASELINES
    assert all(model["measures"]["auc"]["value"] < ours["measures"]["auc"]["value"] for model in others)
    assert all(model["behind"]["value"] > 0 for model in (uncalibrated, *others))


def test_every_number_has_its_interval(output: dict[str, Any]) -> None:
    for model in output["models"]:
        for measure in ("auc", "brier", "log_loss", "ece", "lift"):
            found = model["measures"][measure]
            assert found["low"] < found["value"] < found["high"], (model["name"], measure)
    for part in ("calibration", "evaluation"):
        rate = output[part]["base_rate"]
        assert rate["low"] < rate["value"] < rate["high"]


def test_the_reliability_counts_every_case_of_the_evaluation(output: dict[str, Any]) -> None:
    for model in output["models"]:
        assert sum(found["cases"] for found in model["reliability"]) == output["evaluation"]["cases"]


def test_the_lower_level_warns_earlier_and_oftener_and_is_less_often_right(output: dict[str, Any]) -> None:
    low, high = output["lead_times"]

    assert (low["level"], high["level"]) == (0.55, 0.7)
    assert low["fades"] == high["fades"] > 100
    assert low["days"][1] >= high["days"][1] > 0
    assert low["never"] < high["never"]
    assert low["reached"] > high["reached"]
    assert output["evaluation"]["base_rate"]["value"] > 0.5
    assert low["right"] < high["right"]


def test_drift_is_told_year_by_year_and_the_end_of_the_source_is_seen(output: dict[str, Any]) -> None:
    """In 2025 the projects stopped merging in the way that the file was made from."""
    drift = {found["period"]: found for found in output["drift"]}

    assert list(drift) == ["2021", "2022", "2023", "2024", "2025", "2026"]
    assert "base rate" in drift["2025"]["flags"]
    assert "base rate" not in drift["2023"]["flags"]


def test_the_tables_say_the_same_and_the_picture_is_drawn(
    tmp_path: Path,
    output: dict[str, Any],
    reports: list[BacktestReport | NotLearnable],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is computed twice: it would take half a minute."""
    picture = tmp_path / "reliability.png"
    monkeypatch.setattr(BACKTEST, lambda *_: reports[0])

    ran = backtest(SAMPLE, "--horizon", "45", "--rolling", "30", "--png", picture)

    assert ran.exit_code == 0
    assert ran.stdout.startswith(f"{output['verdict']}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    for model in output["models"]:
        auc = model["measures"]["auc"]
        line = next(line for line in ran.stdout.splitlines() if line.startswith(f"{model['name']} "))
        assert f" {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}] " in line
    rate = output["evaluation"]["base_rate"]
    assert f"{output['evaluation']['cases']} cases of {output['evaluation']['pairs']} pairs" in ran.stdout
    assert f"base rate {rate['value']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}]" in ran.stdout


def test_a_history_of_few_contacts_is_refused_with_the_reason(tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("pair_id,t,dir\n" + "".join(f"a,{1_600_000_000 + 86_400 * day},-1\n" for day in range(400)))

    alike, none = backtest(few), backtest(few, "--horizon", "366")

    start = "rapport scoring backtest: before {}, in the part that calibrates, {}"
    assert (alike.exit_code, none.exit_code) == (1, 1)
    assert alike.output.startswith(start.format("2021-05-10", "in all of 14 cases the pair met again"))
    assert none.output.startswith(start.format("2021-05-10", "there is no case"))


def test_a_part_to_predict_that_turned_out_alike_is_refused(tmp_path: Path) -> None:
    rows = [(name, day) for name, days in (("a", range(0, 200, 5)), ("b", range(0, 900, 5))) for day in days]
    history = tmp_path / "history.csv"
    history.write_text("pair_id,t,dir\n" + "".join(f"{name},{1_600_000_000 + 86_400 * day},-1\n" for name, day in rows))

    ran = backtest(history)

    assert ran.exit_code == 1
    assert ran.output.startswith("rapport scoring backtest: from 2022-03-04 on, the part to predict, 23 cases")


def test_a_broken_line_is_told_with_its_place(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("pair_id,t,dir\na,yesterday,-1\n")

    ran = backtest(broken)

    assert ran.exit_code == 1
    assert ran.output.startswith(f"rapport scoring backtest: {broken}: line 2, column t: must be whole seconds")


def test_without_its_packages_the_command_says_which_extra_to_install() -> None:
    script = "import sys; sys.modules['scipy'] = None; from services.scoring.__main__ import main; main()"

    ran = subprocess.run(
        [sys.executable, "-c", script, "backtest", str(SAMPLE)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 1
    assert "this needs the module scipy: pip install 'rapport[analysis]'" in ran.stderr


def test_a_module_of_ours_that_is_missing_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError), extra("analysis"):
        raise ModuleNotFoundError("no such module", name="services.scoring.gone")


def test_nothing_is_said_that_is_not_known(output: dict[str, Any]) -> None:
    def numbers(value: object) -> list[float]:
        match value:
            case dict():
                return [number for item in value.values() for number in numbers(item)]
            case list():
                return [number for item in value for number in numbers(item)]
            case float():
                return [value]
            case _:
                return []

    assert all(math.isfinite(number) for number in numbers(output))
