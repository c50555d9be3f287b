"""What an expression takes out of an event's data is what the schema reads, and its text what the schema writes."""

import json
import random
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from benchmarks.events import log
from schemas.events import OfRelationship, type_of
from schemas.payloads import Payload
from schemas.primitives import Code, EventId, Id, SourceUri
from services.warehouse.domain.event_data import data_columns, read_data
from services.warehouse.domain.written_data import EVENT_ID, ID, SOURCE, TIME, expression
from tests.warehouse.test_event_parser import examples

MODELS: dict[str, type[Payload]] = {
    type_of(model): model.model_fields["data"].annotation for model in get_args(OfRelationship)
}
WORDS = (
    "mentor mentee admin system both observed calendar self_reported session relationship normal immediate good p-1 a"
)
TEXTS = (
    *WORDS.split(),
    "one_to_one",
    "briefing",
    "unidentified",
    "",
    "x y",
    "ä",
    "\\u0041",
    'a\\"',
    "a" * 128,
    "a" * 129,
)
TIMES = ("02-29T10:00:00.000001Z", "03-01T24:00:00.000000Z", "03-01T10:00:60.000000Z", "03-01T10:00:00Z", "03-01")
NUMBERS = (
    "0 1 5 6 0.0 -0.0 1.0 3.0 5.0 45.5 45.50 045.5 99.9999 100.0 100.5 365.5 366.0 366.5 999.9 1440.0 1440.5 9999.5"
)
MORE_NUMBERS = (
    "10000.0 10000.5 1e3 1E1 0.0001 0.00001 45.016666666666666 123456789.1234 12345678901234567.5 -3.5 NaN .5 5."
)
PERSON = '"p-1"'
POOL = (
    *(f'"{text}"' for text in TEXTS),
    *(f'"{year}-{text}"' for year in (1970, 2023, 2024, 2100, 2200) for text in TIMES),
    *f"{NUMBERS} {MORE_NUMBERS}".split(),
    '{"tool":"zoom","native_type":"meeting.ended","native_id":"1 2"}',
    '{"tool":"zoom","native_type":"é","native_id":"1"}',
    '{"native_type":"meeting.ended","tool":"zoom","native_id":"1"}',
    '{"specific":true,"measurable":true,"achievable":false,"relevant":true,"time_bound":false}',
    *("true", "false", "null", "[]", '["p-1"]', '["p-1","p-2"]', '["p-1", "p-2"]', '["p 1"]', "{}"),
    *(f"[{','.join(count * [PERSON])}]" for count in (100, 101)),
)


def is_valid(model: type[Payload], name: str, text: str) -> bool:
    """Whether the field takes the value; that others are missing is another error."""
    try:
        model.model_validate_json(f'{{"{name}":{text}}}')
    except ValidationError as invalid:
        return all(error["loc"] and error["loc"][0] != name for error in invalid.errors())
    return True


EXPRESSIONS = {type_: expression(model, ()) for type_, model in MODELS.items()}
EXAMPLES = list(examples())
# The values of the fields as Rapport writes them.
WRITTEN = {
    event.type: {
        name: json.dumps(value, separators=(",", ":"))
        for name, value in json.loads(event.data.model_dump_json(exclude_none=True)).items()
    }
    for event in EXAMPLES
}
CHOICES = {
    type_: {name: [text for text in POOL if is_valid(model, name, text)] for name in names}
    for type_, model in MODELS.items()
    for names in [[field.alias or name for name, field in model.model_fields.items()]]
}


def text_of(type_: str, values: Mapping[str, str]) -> str:
    """The fields that have values, in the order of the schema."""
    members = [f'"{name}":{values[name]}' for name in CHOICES[type_] if name in values]
    return f"{{{','.join(members)}}}"


def read_by_schema(type_: str, text: str) -> object:
    try:
        return data_columns(MODELS[type_].model_validate_json(text))
    except ValueError:
        return "refused"


def same(type_: str, text: str) -> bool:
    """Whether an expression matches the text; either way its columns are those of the schema."""
    try:
        found: object = read_data(type_, text)
    except ValueError:
        found = "refused"
    # Compared as text too, because 0.0 equals -0.0 and 1 equals True.
    expected = read_by_schema(type_, text)
    assert (found, repr(found)) == (expected, repr(expected)), text
    written = EXPRESSIONS[type_]
    return written is not None and written.fullmatch(text) is not None


def test_every_type_has_an_expression_but_those_whose_fields_have_none() -> None:
    without = {type_ for type_, found in EXPRESSIONS.items() if found is None}

    # A pattern of its own, and an alias.
    assert without == {"mentoring.event.retracted.v1", "mentoring.relationship.paused.v1"}


def test_the_data_of_a_log_of_tool_events_matches_the_expressions() -> None:
    texts = [value.decode().partition('"data":')[2].rpartition(',"subject":')[0] for _, value in log(2_000, 50)]
    types = [re.findall(r'"type":"([^"]*)"', value.decode())[0] for _, value in log(2_000, 50)]

    assert all(map(same, types, texts))


def test_the_examples_match_the_expressions() -> None:
    found = {event.type: same(event.type, event.data.model_dump_json(exclude_none=True)) for event in EXAMPLES}

    assert {type_ for type_, matches in found.items() if not matches} == {
        "mentoring.event.retracted.v1",
        "mentoring.relationship.paused.v1",
    }
    assert set(found) == set(MODELS)


@pytest.mark.parametrize("type_", MODELS)
def test_every_field_takes_some_text_of_the_pool(type_: str) -> None:
    assert [name for name, valid in CHOICES[type_].items() if not valid] in ([], ["type"])


@pytest.mark.parametrize("type_", MODELS)
def test_no_value_of_a_field_gives_other_columns_than_the_schema_does(type_: str) -> None:
    for name in CHOICES[type_]:
        for text in POOL:
            same(type_, text_of(type_, WRITTEN[type_] | {name: text}))


@given(st.sampled_from(sorted(MODELS)), st.data())
def test_no_data_has_other_columns_than_the_schema_gives_it(type_: str, data: st.DataObject) -> None:
    fields = {name: st.sampled_from(valid or POOL) for name, valid in CHOICES[type_].items()}
    some = data.draw(st.fixed_dictionaries({}, optional=fields))
    text = text_of(type_, WRITTEN[type_] | some)

    same(type_, text)
    same(type_, text.replace("}", data.draw(st.sampled_from([',"more":1}', ',"by":"mentor"}', ",}", " }", "}}"])), 1))


@given(st.integers(0, 10**9))
def test_no_change_of_single_bytes_gives_other_columns_than_the_schema_does(seed: int) -> None:
    chance = random.Random(seed)
    event = chance.choice(EXAMPLES)
    text = event.data.model_dump_json(exclude_none=True)
    at = chance.randrange(len(text))

    same(event.type, text[:at] + chance.choice(["", '"', "{", "}", ",", "0", "9", "\\", "ä"]) + text[at + 1 :])


@pytest.mark.parametrize("limits", [("0.0001", "1"), ("1", "9"), ("99999999", "999999999"), ("-999999999", "-1")])
def test_a_number_is_written_as_it_was_read(limits: tuple[str, str]) -> None:
    low, high = map(float, limits)
    chance = random.Random(7)
    for _ in range(1_000):
        number = f"{chance.uniform(low, high):.{chance.randint(0, 6)}f}"
        same(
            "mentoring.feedback.given.v1",
            f'{{"by":"mentor","evidence":"admin","rating":{number},"scale_min":-1e9,'
            f'"scale_max":1e9,"about":"session"}}',
        )
        same("mentoring.goal.progressed.v1", f'{{"by":"mentor","evidence":"admin","goal_id":"g","percent":{number}}}')


def test_a_day_matches_if_there_is_such_a_day() -> None:
    first, last = date(1971, 1, 1), date(2199, 12, 31)
    days = {(first + timedelta(number)).isoformat() for number in range((last - first).days + 1)}
    texts = [f"{year}-{month:02}-{day:02}" for year in range(1969, 2202) for month in range(14) for day in range(33)]

    assert {text for text in texts if re.fullmatch(TIME, f"{text}T00:00:00.000000Z")} == days


def test_the_expressions_accept_no_more_than_the_types_of_the_schema() -> None:
    """Who changes one of these types looks at the expression too."""
    assert TypeAdapter(Id).json_schema()["pattern"] == f"^{ID}$"
    assert TypeAdapter(Code).json_schema()["pattern"] == "^[a-z][a-z0-9_]{0,63}$"
    assert (TypeAdapter(SourceUri).json_schema()["pattern"], SOURCE) == ("^[!-~]{1,512}$", r"[!#-\[\]-~]{1,512}")
    said = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1F\x7F-\x9F]*$"}
    assert (TypeAdapter(EventId).json_schema(), EVENT_ID) == (said, r"[ !#-\[\]-~]{1,256}")
