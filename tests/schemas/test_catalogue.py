import json
import re
from typing import Any

from schemas.catalogue import entries, pages
from schemas.catalogue_words import FIELDS, GROUPS
from schemas.directory import Participant
from schemas.events import EVENT_TYPES
from schemas.models import models
from schemas.primitives import PATTERN_WORDS, pattern_in_words
from services.scoring.domain.facts import KIND_OF_TYPE
from services.scoring.domain.score import FACTORS

ENTRIES = [entry for found in entries().values() for entry in found]


def test_every_type_stands_in_the_catalogue_once() -> None:
    assert sorted(entry.type for entry in ENTRIES) == sorted(EVENT_TYPES)
    assert [name for name, _ in pages()] == ["README.md", *(f"{group}.md" for group in GROUPS)]


def test_every_field_has_its_words_and_no_words_are_left() -> None:
    named = {field.name for entry in ENTRIES for field in entry.fields}

    assert named == set(FIELDS)
    assert all(field.form and field.words for entry in ENTRIES for field in entry.fields)


def test_every_factor_has_event_types_in_the_catalogue_that_scoring_reads() -> None:
    moving = {factor: [e.type for e in ENTRIES if re.search(rf"\b{factor}\b", e.words.moves)] for factor in FACTORS}

    assert all(moving.values()), moving
    assert {name for found in moving.values() for name in found} <= set(KIND_OF_TYPE)


def test_every_pattern_that_a_sender_meets_has_words() -> None:
    schemas = [models()[name.removeprefix("mentoring.")].model_json_schema() for name in EVENT_TYPES]
    met = {pattern for schema in [*schemas, Participant.model_json_schema()] for pattern in _patterns(schema)}

    assert met <= set(PATTERN_WORDS)


def test_a_pattern_is_described_in_words() -> None:
    assert pattern_in_words("String should match pattern '^[0-9a-f]{64}$'") == "must be a SHA-256 in lower-case hex"
    assert pattern_in_words("String should match pattern '^x$'") == "String should match pattern '^x$'"


def _patterns(schema: Any) -> set[str]:  # noqa: ANN401 (JSON)
    return {json.loads(f'"{found}"') for found in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(schema))}
