"""Payloads as real systems sent them, with the expected result (`tests/ingest/cases`), run through `rapport ingest
try`."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ConfigDict, TypeAdapter

from schemas.events import MENTORING_EVENT, MentoringEvent, OfPartition, to_json
from services.ingest.__main__ import main
from services.ingest.commands.tool_dry_run import END_OF_TIME
from services.ingest.commands.try_command import read_roster
from services.ingest.domain.admission import Clock
from services.ingest.domain.meetings.attendance_fold import AttendanceFold
from services.ingest.domain.verdict import Admitted
from services.ingest.flow.attendance import admit_outcome
from services.runtime.strict_yaml import documents

CASES = Path(__file__).parent / "cases"
Fields = dict[str, Any]


class Case(BaseModel):
    """Anything that a case does not name must be absent. By default each payload emits events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    tool: str
    files: list[str]
    roster: str = "roster.jsonl"
    settings: str = ""
    payloads: list[str] | None = None
    said: list[str] | None = None
    people: list[Fields] = []
    written: list[Fields] = []
    outcomes: list[Fields] = []
    undecided: list[Fields] = []
    cut: list[str] = []
    summary: str = ""

    @property
    def paths(self) -> list[str]:
        return [str(CASES / name) for name in self.files]


(TABLE,) = documents(CASES / "expected.yaml")
ALL = TypeAdapter(list[Case]).validate_python(TABLE)
TRIED = [one for one in ALL if one.tool != "import"]
MET = [one for one in ALL if one.outcomes or one.undecided]
IMPORTED = [one for one in ALL if one.tool == "import"]


def case_names(cases: Iterable[Case]) -> list[str]:
    return [one.case for one in cases]


def tried(case: Case) -> list[Fields]:
    """What became of each payload."""
    settings = ["--settings", str(CASES / case.settings)] if case.settings else []
    roster = ["--roster", str(CASES / case.roster)]
    result = CliRunner().invoke(main, ["try", case.tool, *roster, *settings, "--json", *case.paths])
    assert result.exit_code == any(one.startswith("rejected") for one in case.payloads or ()), result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def statements(payloads: Sequence[Fields]) -> list[Fields]:
    return [said for one in payloads for said in one["statements"]]


def events(payloads: Sequence[Fields]) -> list[Fields]:
    return [event for said in statements(payloads) for event in said["events"]]


def told(event: Fields) -> Fields:
    """In the words of the table."""
    kind = event["type"].removeprefix("mentoring.").removesuffix(".v1")
    return {**event, **event["data"], "type": kind}


def assert_told(found: Sequence[Fields], expected: Sequence[Fields]) -> None:
    """So many, in this order, and of each the fields that are named."""
    assert len(found) == len(expected), found
    for one, wanted in zip(found, expected, strict=True):
        assert {name: one.get(name) for name in wanted} == wanted


def outcomes_of(fold: AttendanceFold, moment: datetime) -> list[MentoringEvent]:
    verdicts = [admit_outcome(raw, Clock(END_OF_TIME)) for raw in fold.advance(moment)]
    assert all(isinstance(one, Admitted) for one in verdicts), verdicts
    return [one.event for one in verdicts if isinstance(one, Admitted)]


@pytest.mark.parametrize("case", TRIED, ids=case_names(TRIED))
def test_what_a_real_input_becomes_is_right(case: Case) -> None:
    payloads = tried(case)

    outcomes = [" ".join(filter(None, (one["outcome"], one.get("reason")))) for one in payloads]
    assert outcomes == (case.payloads or ["told"] * len(case.files))
    assert case.said is None or [one["said"] for one in statements(payloads)] == case.said
    assert_told([one for one in statements(payloads) if one["said"] == "employed"], case.people)
    assert_told([told(one) for one in events(payloads)], case.written)
    assert_told([told(one) for one in payloads[-1]["outcomes"]], case.outcomes)
    assert_told(payloads[-1]["undecided"], case.undecided)
    assert set(case.cut) <= {path for one in payloads for path in one["cut"]}


@pytest.mark.parametrize("case", MET, ids=case_names(MET))
def test_what_becomes_of_a_meeting_is_the_same_when_it_is_recorded_as_it_happens(case: Case) -> None:
    payloads = tried(case)
    log = [MENTORING_EVENT.validate_python(one, strict=False) for one in events(payloads)]
    projection = read_roster(CASES / case.roster, "try", Clock(END_OF_TIME))
    fold = AttendanceFold(projection.bookings.expected_booking)

    found = list[MentoringEvent]()
    for event in (one.model_copy(update={"recordedtime": one.time}) for one in log):
        assert not isinstance(event, OfPartition)
        # On the wall's clock the time comes before the event.
        found += outcomes_of(fold, event.recordedtime)
        projection.apply(event)
        fold.apply(event)
    found += outcomes_of(fold, END_OF_TIME)

    assert_told([told(json.loads(to_json(one))) for one in found], case.outcomes)


@pytest.mark.parametrize("case", IMPORTED, ids=case_names(IMPORTED))
def test_what_is_imported_is_right(case: Case, tmp_path: Path) -> None:
    options = ["--program", "prog", "--source", "urn:x:csv", "--rejected", str(tmp_path / "rejected.jsonl")]

    result = CliRunner().invoke(main, ["import", "--dry-run", *options, *case.paths])

    assert case.summary in result.output, result.output
