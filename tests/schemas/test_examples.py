import json
import math
from typing import Any

import pytest
from pydantic import BaseModel

from schemas.events import MentoringEvent, RelationshipEvent, partition_key, to_json
from schemas.primitives import Message
from schemas.scores import ScoreRow
from tests.schemas.golden import EVENTS, FOLDER, NAMES, example, json_schema, named, read, value


def test_there_is_one_example_per_type_and_record_and_no_other() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.json" for name in NAMES}


@pytest.mark.parametrize("name", EVENTS)
def test_an_example_is_of_the_type_that_its_file_is_named_after(name: str) -> None:
    assert example(name)["type"] == f"mentoring.{name}"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_fulfils_its_json_schema(name: str) -> None:
    faults = [error.message for error in json_schema(name).iter_errors(example(name))]

    assert faults == []


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_the_same_after_it_was_read_and_written(name: str) -> None:
    event = read(name)

    written = to_json(event)  # type: ignore[arg-type]

    assert json.loads(written) == example(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EVENTS])
def test_a_record_is_the_same_after_it_was_read_and_written(name: str) -> None:
    written = read(name).model_dump_json(exclude_none=True)

    assert json.loads(written) == example(name)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_laid_out_for_people(name: str) -> None:
    laid_out = json.dumps(example(name), indent=2, ensure_ascii=False) + "\n"

    assert value(name).decode() == laid_out


def test_every_field_is_used_in_some_example() -> None:
    used: set[str] = set()
    known: set[str] = set()

    for name in NAMES:
        for message in messages(read(name)):
            known |= {qualified(message, field) for field in type(message).model_fields}
            used |= {qualified(message, field) for field, held in message if held not in (None, (), "")}

    # These examples contain no request for support and no calibrated risk.
    assert known - used == {"ScoreRow.call", "Score.open_requests", "Score.evidence", "Reading.evidence"}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_a_relationship_lies_on_its_partition(name: str) -> None:
    event = read(name)

    if isinstance(event, RelationshipEvent):
        assert event.partitionkey == partition_key(event.tenant, event.subject)


def test_the_catalogue_s_examples_are_one_history_of_one_relationship() -> None:
    events = [example(name) for name in named(MentoringEvent)]

    assert {event.get("subject") for event in events} == {"rel-4F2", None}
    assert all(event["time"] <= event["recordedtime"] for event in events)
    assert len({(event["source"], event["id"]) for event in events}) == len(events)


@pytest.mark.parametrize("name", ["score.changed.v1", "score.corrected.v1"])
def test_a_score_explains_itself(name: str) -> None:
    row: ScoreRow = read(name).data  # type: ignore[attr-defined]

    assert row.score is not None
    assert row.score.health == pytest.approx(sum(part.contribution for part in row.score.parts), abs=1e-9)
    odds = sum(term.value for term in row.score.risk_terms)
    assert row.score.risk == pytest.approx(1 / (1 + math.exp(-odds)), abs=2e-6)


def messages(held: object) -> list[Message]:
    """Yield the message and all nested messages."""
    if isinstance(held, tuple):
        return [message for item in held for message in messages(item)]
    if not isinstance(held, Message):
        return []
    return [held, *(message for _, below in held for message in messages(below))]


def qualified(message: Message, field: str) -> str:
    """Return the field by the first ancestor that has it, so that inherited fields count once."""
    ancestors: list[Any] = [cls for cls in type(message).__mro__ if issubclass(cls, BaseModel)]
    owner = next(cls for cls in reversed(ancestors) if field in cls.model_fields)
    return f"{owner.__name__}.{field}"
