from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.events import EVENT_TYPES
from schemas.generate import FOLDER, models, stale, write
from tests.schemas.golden import NAMES, json_schema


def test_the_schemas_in_the_tree_are_those_of_the_models() -> None:
    problems = list(stale(FOLDER))

    assert not problems, f"run `python -m schemas.generate` and commit schemas/json: {'; '.join(problems)}"


def test_there_is_a_schema_of_every_type_of_the_catalogue_and_of_all_that_we_write() -> None:
    ours = {"score.changed", "score.corrected", "clock.advanced", "alert.changed", "delivery.changed"}
    records = {"participant", "programme", "token", "delivery"}

    catalogue = {name.removeprefix("mentoring.") for name in EVENT_TYPES}

    assert models().keys() == catalogue | {f"{name}.v1" for name in ours} | records


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_and_names_its_type(name: str) -> None:
    schema: Any = json_schema(name).schema
    full = f"mentoring.{name}" if "." in name else name

    Draft202012Validator.check_schema(schema)

    assert (schema["$id"], schema["title"]) == (f"urn:rapport:{full}", full)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"].get("type", {"const": full})["const"] == full


def test_a_missing_a_stale_and_a_superfluous_schema_are_told_and_mended(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "token.json").unlink()
    (tmp_path / "session.held.v1.json").write_text("{}\n")
    (tmp_path / "session.dreamt.v1.json").write_text("{}\n")

    told = list(stale(tmp_path))
    write(tmp_path)

    assert told == ["token.json is missing", "session.dreamt.v1.json is superfluous", "session.held.v1.json is stale"]
    assert list(stale(tmp_path)) == []


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    write(tmp_path / "json")

    assert list(stale(tmp_path / "json")) == []
