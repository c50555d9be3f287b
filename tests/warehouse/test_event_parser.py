"""What is read by one expression is what the schema reads, and nothing that the schema refuses."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from benchmarks.events import log
from schemas.events import MENTORING_EVENT, OfPartition, RelationshipEvent, to_json
from schemas.primitives import EventId, Id, SourceUri
from services.warehouse.domain.event_parser import NOTE, parse_written
from services.warehouse.domain.events import event_row
from services.warehouse.domain.record import RecordMetadata, Refused
from services.warehouse.domain.written_data import EVENT_ID, ID, SOURCE, TIME
from tests.warehouse.samples import held, started

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
PLACE = RecordMetadata(3, 17)


def examples() -> Iterator[Any]:
    """Every example of an event of a relationship."""
    for path in sorted(EXAMPLES.glob("*.v1.json")):
        try:
            event = MENTORING_EVENT.validate_json(path.read_bytes())
        except ValidationError:
            continue
        if not isinstance(event, OfPartition):
            yield event


def same(value: bytes) -> bool:
    """Whether it was read by the expression; either way its rows are those of the schema."""
    with pytest.MonkeyPatch.context() as only_the_schema:
        only_the_schema.setattr("services.warehouse.domain.events.parse_written", lambda _value: None)
        expected = event_row(value, PLACE)
    assert event_row(value, PLACE) == expected
    return parse_written(value) is not None


def test_every_type_that_rapport_writes_matches_the_expression() -> None:
    found = [to_json(event) for event in examples()]

    assert len(found) > 30
    assert [value for value in found if not same(value)] == []


def test_optional_attributes_may_be_present() -> None:
    said: dict[str, Any] = {
        "correlationid": "c 1",
        "causationid": "d",
        "dataschema": "",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "rojo=00f067aa0ba902b7",
    }

    assert same(to_json(held(**said)))
    assert same(to_json(held(correlationid="c-1")))


def test_a_log_of_tool_events_matches_the_expression() -> None:
    assert all(same(value) for _, value in log(2_000, 50))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"time":"2024', '"time":"1970'),
        ('"time":"2024', '"time":"2200'),
        ('"time":"2024-03-31', '"time":"2024-02-30'),
        ("12:00:00.123456Z", "24:00:00.123456Z"),
        ("12:00:00.123456Z", "24:00:00.000000Z"),
        ("12:00:00.123456Z", "12:00:60.123456Z"),
        ("12:00:00.123456Z", "12:00:00.123456+02:00"),
        ("12:00:00.123456Z", "12:00:00Z"),
        ('"source":"zoom"', '"source":"zo om"'),
        ('"source":"zoom"', '"source":"z\\u006fom"'),
        ('"source":"zoom"', '"source":"zöom"'),
        ('"source":"zoom"', f'"source":"{"z" * 513}"'),
        ('"id":"', '"id":"' + 256 * "i"),
        ('"id":"', '"id":"ä'),
        ("session.held", "session.hold"),
        ("mentoring.session.held.v1", "mentoring.clock.reached.v1"),
        ('"partitionkey":"acme/r-1"', '"partitionkey":"acme/r-2"'),
        ('"partitionkey":"acme/r-1"', '"partitionkey":"other/r-1"'),
        ('"subject":"r-1"', '"subject":"r/1"'),
        ('"tenant":"acme"', '"tenant":"acme","tenant":"acme"'),
        ('"minutes":45.5', '"minutes":"45.5"'),
        ('"minutes":45.5', '"minutes":45'),
        ('"minutes":45.5', '"minutes":45.5,"more":1'),
        ('"minutes":45.5', '"minutes":45.5,"minutes":46'),
        ('"minutes":45.5', '"minutes":0'),
        ('"minutes":45.5}', '"minutes":45.5},"data":{"minutes":1}'),
        ('"minutes":45.5}', '"minutes":45.5},"subject":"r-1","program":"spruce","x":{}'),
        ('"specversion":"1.0"', '"specversion":"1.1"'),
        ('{"specversion"', ' {"specversion"'),
        ('acme/r-1"}', 'acme/r-1"}\n'),
        ('acme/r-1"}', 'acme/r-1"}}'),
    ],
)
def test_other_forms_are_parsed_by_the_schema(old: str, new: str) -> None:
    value = to_json(held()).decode()
    assert old in value

    same(value.replace(old, new, 1).encode())


def test_the_hour_24_is_left_to_the_schema_whatever_python_makes_of_it() -> None:
    times = [f"2024-03-31T{hour:02}:00:00.000000Z" for hour in range(100)]

    assert [time for time in times if re.fullmatch(TIME, time)] == times[:24]


def test_a_refusal_has_the_same_reason_as_before() -> None:
    value = to_json(held()).replace(b'"minutes":45.5', b'"minutes":-1')

    assert event_row(value, PLACE) == Refused("greater_than", "mentoring.session.held.v1.data.minutes")


@given(st.integers(0, 10**9))
def test_no_change_of_single_bytes_makes_another_row_than_the_schema_does(seed: int) -> None:
    chance = random.Random(seed)
    value = bytearray(to_json(chance.choice([held(), started()])))
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(value))
        value[at : at + chance.randint(0, 2)] = chance.choice([b"", b'"', b"{", b"}", b",", b"0", b"9", b"\\", b"\xc3"])

    same(bytes(value))


def test_the_expression_accepts_no_more_than_the_types_of_the_schema() -> None:
    """Who changes one of these types looks at the expression too."""
    assert TypeAdapter(Id).json_schema()["pattern"] == f"^{ID}$"
    assert (TypeAdapter(SourceUri).json_schema()["pattern"], SOURCE) == ("^[!-~]{1,512}$", r"[!#-\[\]-~]{1,512}")
    said = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1F\x7F-\x9F]*$"}
    assert (TypeAdapter(EventId).json_schema(), EVENT_ID) == (said, r"[ !#-\[\]-~]{1,256}")
    notes = RelationshipEvent.model_json_schema()["properties"]
    longest = [notes[name]["anyOf"][0]["maxLength"] for name in ("dataschema", "traceparent", "tracestate")]
    assert (longest, NOTE) == ([512, 128, 512], r"[ !#-\[\]-~]{0,128}")
    assert list(RelationshipEvent.model_fields) == [
        *("specversion", "source", "id", "type", "time", "recordedtime", "tenant", "correlationid", "causationid"),
        *("datacontenttype", "dataschema", "traceparent", "tracestate", "data", "subject", "program", "partitionkey"),
    ]
