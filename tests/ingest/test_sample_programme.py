"""The sample programme that newcomers copy: valid, complete, and right about defaults."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from schemas.programs import Coefficients, Profile, Programme, WatchLevels, Weights
from services.ingest.__main__ import main
from services.ingest.commands.programs import read_programs
from services.runtime.settings import Settings

FILE = Path(str(files("deploy.local") / "sample" / "programme.yaml"))
SHOWN: Any = yaml.safe_load(FILE.read_text())
FIRST: Any = SHOWN["profiles"][0]


def test_it_is_applied(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)

    first, second = (CliRunner().invoke(main, ["programs", "apply", str(FILE)]) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    # What else runs in this process logs to the same terminal.
    said = [line for done in (first, second) for line in done.stdout.splitlines() if line.startswith("acme/")]
    assert len(said) == 2
    assert said[0].startswith("acme/spring: applied")
    assert said[1] == "acme/spring: unchanged"


@pytest.mark.parametrize(
    ("shown", "model", "left_out"),
    [
        (SHOWN, Programme, {"recordedtime"}),
        (FIRST, Profile, {"effective_from", "calibration", "evidence"}),
        (FIRST["weights"], Weights, set()),
        (FIRST["watch"], WatchLevels, set()),
        (FIRST["coefficients"], Coefficients, set()),
    ],
)
def test_it_shows_every_field(shown: dict[str, object], model: type[BaseModel], left_out: set[str]) -> None:
    assert shown.keys() == model.model_fields.keys() - left_out


def test_what_it_says_to_be_the_default_is() -> None:
    (programme,) = read_programs(FILE, datetime(2026, 1, 1, tzinfo=UTC))
    assert isinstance(programme, Programme)
    shown, later = programme.profiles

    assert shown.weights == Weights(growth=10, expectations=5)
    assert shown == Profile(version="spring-1", weights=shown.weights)
    assert later.weights == Weights(growth=15, expectations=5)
    assert later.coefficients == Coefficients()
