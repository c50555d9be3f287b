"""Nothing is of any size: not a string, not a list, not a number. Whatever is valid fits into a record of its topic."""

import pytest

from schemas.models import carried
from schemas.topics import TOPICS, Topic
from services.runtime.kafka.records import OutgoingRecord
from services.runtime.kafka.together import USUAL_LIMIT, record_size
from tests.schemas.bounds import Schema, largest, unbounded
from tests.schemas.golden import NAMES, current_schemas

# tenant/relationship is the longest of all keys but that of sync tokens, which has a digest besides.
LONGEST_KEY = b"x" * 512
HEADERS = [("content-type", b"application/cloudevents+json")]
CARRYING = [topic for topic in TOPICS if carried(topic.payload)]


@pytest.mark.parametrize("name", NAMES)
def test_every_string_list_map_and_number_of_a_schema_has_a_bound(name: str) -> None:
    assert list(unbounded(name, current_schemas()[name])) == []


@pytest.mark.parametrize("topic", CARRYING, ids=lambda topic: topic.name)
def test_the_largest_valid_message_fits_into_a_record_of_its_topic(topic: Topic) -> None:
    around = record_size(OutgoingRecord(topic.name, b"", LONGEST_KEY, HEADERS))

    for name in carried(topic.payload):
        assert around + largest(current_schemas()[name]) <= topic.most_bytes, name


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_size_of_a_record_is_said_for_each_topic_and_no_less_than_kafkas_own(topic: Topic) -> None:
    assert topic.options(partitions=4, replication=1)["configs"]["max.message.bytes"] == str(topic.most_bytes)
    assert topic.most_bytes >= USUAL_LIMIT


@pytest.mark.parametrize(
    ("member", "bound"),
    [
        ({"type": "string"}, None),
        ({"type": "string", "maxLength": 9}, 56),
        ({"type": "string", "pattern": "^[a-z]{1,9}$"}, 20),
        ({"type": "string", "pattern": "^[a-z]+$"}, None),
        ({"type": "string", "pattern": "[a-z]{1,9}"}, None),
        ({"type": "string", "pattern": "^[^a]{9}$"}, 56),
        ({"type": "array", "items": {"type": "boolean"}}, None),
        ({"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, 54),
        ({"type": "integer", "minimum": 0}, None),
        ({"type": "integer", "minimum": 0, "maximum": 2**63}, 25),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, None),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({}, None),
    ],
)
def test_what_has_no_bound_is_found_and_what_has_one_is_measured(member: Schema, bound: int | None) -> None:
    schema = {"type": "object", "additionalProperties": False, "properties": {"a": member}}

    found = list(unbounded("made", schema))

    assert bool(found) == (bound is None)
    assert all(path.startswith("made.a") for path in found)
    assert bound is None or largest(schema) == bound + len("a") + 6
