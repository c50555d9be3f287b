"""Payloads as the tools document them (`further.yaml`, `people.yaml` and `meetings.yaml` in `tests/ingest/cases`), with
the expected results."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from services.runtime.strict_yaml import documents
from tests.ingest.test_cases import CASES, Case, assert_told, events, statements, told, tried

Fields = dict[str, Any]


class FurtherCase(BaseModel):
    """`bodies` are tables, bytes (`raw`), or payloads that differ from a `base` in what stands at a path with slashes;
    null there takes it away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    tool: str
    bodies: list[str | Fields]
    settings: Fields = {}
    roster: str = "roster.jsonl"
    payloads: list[str] | None = None
    people: list[Fields] = []
    written: list[Fields] = []
    outcomes: list[Fields] = []
    undecided: list[Fields] = []

    def as_case(self, directory: Path) -> Case:
        files = [_written(directory / f"{place}", body) for place, body in enumerate(self.bodies)]
        settings = directory / "settings.yaml"
        settings.write_text(yaml.safe_dump(self.settings))
        return Case(
            case=self.case,
            tool=self.tool,
            files=[str(file) for file in files],
            settings=str(settings) if self.settings else "",
            roster=self.roster,
            payloads=self.payloads or ["told"] * len(files),
        )


_BASES, _TABLE = documents(CASES / "further.yaml")
BASES = TypeAdapter(dict[str, Fields]).validate_python(_BASES)
(_PEOPLE,) = documents(CASES / "people.yaml")
(_MEETINGS,) = documents(CASES / "meetings.yaml")
ALL = [one for table in (_TABLE, _PEOPLE, _MEETINGS) for one in TypeAdapter(list[FurtherCase]).validate_python(table)]


def changed(body: Fields) -> Fields:
    found: Fields = deepcopy(BASES[body["base"]])
    for path, value in body.items():
        *outer, last = path.split("/")
        inner = found
        for step in outer:
            inner = inner[step]
        inner[last] = value
        if value is None:
            del inner[last]
    del found["base"]
    return found


@pytest.mark.parametrize("case", ALL, ids=[one.case for one in ALL])
def test_what_a_documented_input_becomes_is_right(case: FurtherCase, tmp_path: Path) -> None:
    payloads = tried(case.as_case(tmp_path))

    outcomes = [" ".join(filter(None, (one["outcome"], one.get("reason")))) for one in payloads]
    assert outcomes == (case.payloads or ["told"] * len(case.bodies))
    assert_told([one for one in statements(payloads) if one["said"] == "employed"], case.people)
    assert_told([told(one) for one in events(payloads)], case.written)
    assert_told([told(one) for one in payloads[-1]["outcomes"]], case.outcomes)
    assert_told(payloads[-1]["undecided"], case.undecided)


def _written(file: Path, body: str | Fields) -> Path:
    if isinstance(body, str):
        table = file.with_suffix(".csv")
        table.write_text(body)
        return table
    if "raw" in body:
        raw = file.with_suffix(body["suffix"])
        raw.write_bytes(body["raw"].encode(body.get("encoding", "utf-8")))
        return raw
    payload = file.with_suffix(".json")
    payload.write_text(json.dumps(changed(body)))
    return payload
