import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from schemas.events import EVENT_TYPES
from schemas.generate import stale, write
from schemas.models import models
from tests.schemas.golden import NAMES, SCHEMAS, example, json_schema


def test_what_is_generated_is_as_the_models_say() -> None:
    problems = list(stale(SCHEMAS))

    assert not problems, f"run `python -m schemas.generate` and commit schemas: {'; '.join(problems)}"


def test_there_is_a_schema_of_every_type_of_the_catalogue_and_of_all_that_we_write() -> None:
    ours = {
        "score.changed",
        "score.corrected",
        "clock.advanced",
        "alert.changed",
        "alert.handled",
        "delivery.changed",
        "program.profile_set",
        "program.rules_set",
        "program.rules_shadowed",
    }
    records = {
        "participant",
        "directorystatement",
        "programme",
        "token",
        "synctoken",
        "delivery",
        "alertcommand",
        "alertsilence",
        "boardtoken",
        "sourcewatermark",
    }

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


@pytest.mark.parametrize("name", NAMES)
def test_older_json_schema_validators_agree(name: str) -> None:
    """AsyncAPI tools support draft 07, which ignores some keywords of 2020-12."""
    newer = {"prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "$dynamicRef"}
    schema: Any = json_schema(name).schema
    faulty = example(name) | {"remark": "it went well"}

    assert newer.isdisjoint(re.findall(r'"(\S+)":', json.dumps(schema)))
    assert Draft7Validator(schema).is_valid(example(name))
    assert not Draft7Validator(schema).is_valid(faulty)


def test_missing_stale_and_superfluous_files_are_reported_and_repaired(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "json" / "token.json").unlink()
    (tmp_path / "json" / "session.held.v1.json").write_text("{}\n")
    (tmp_path / "json" / "session.dreamt.v1.json").write_text("{}\n")
    (tmp_path / "asyncapi.json").write_text("{}\n")

    told = list(stale(tmp_path))
    write(tmp_path)

    assert told == [
        "json/token.json is missing",
        "json/session.dreamt.v1.json is superfluous",
        "asyncapi.json is stale",
        "json/session.held.v1.json is stale",
    ]
    assert list(stale(tmp_path)) == []


def test_a_missing_folder_is_created(tmp_path: Path) -> None:
    write(tmp_path / "new")

    assert list(stale(tmp_path / "new")) == []
