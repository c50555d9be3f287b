"""Redaction of full payloads as vendors document them: no free text is kept, and every member that is read is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.activity import Employed
from services.ingest.domain.cloudevents import JSON, Parsed
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.tool import Received
from tests.ingest.sources.examples import HR_NAMES, NOW, Example, examples, marked
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import PSEUDONYM, redacted_by

MARKER = "Zorblax went quietly home"
EXAMPLES = list(examples())


def translation_of(example: Example, value: object) -> Any:  # noqa: ANN401 (a translation)
    """Of a person of a feed without the key, which tells one version of a record from another."""
    found = example.tool.translate(value, example.settings)
    if not isinstance(found, tuple):
        return found
    return [
        (one.participant, one.name, one.status, one.addresses) if isinstance(one, Employed) else one for one in found
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_what_is_cut_is_not_needed_and_what_is_kept_is_kept_again(example: Example) -> None:
    for value in example.payloads():
        found = redacted_by(example.tool, value, example.settings)

        assert translation_of(example, found) == translation_of(example, value)
        assert redacted_by(example.tool, found, example.settings) == found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_no_text_is_kept_wherever_it_stands(example: Example) -> None:
    for value in example.payloads():
        for path, changed in marked(value, MARKER):
            if path.rpartition(".")[2] in HR_NAMES and example.tool.name == "hr":
                continue

            found = redacted_by(example.tool, changed, example.settings)

            assert "Zorblax" not in json.dumps(found), path
            verdict = example.tool.translate(found, example.settings)
            assert not isinstance(verdict, Rejected) or "Zorblax" not in str(verdict), path


@given(st.data())
def test_whatever_comes_what_is_kept_of_it_is_kept_again_and_gets_a_verdict(data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(EXAMPLES))
    value = data.draw(mutated(example.payloads()))

    found = example.tool.redact(value, example.settings, PSEUDONYM)

    assert example.tool.redact(found, example.settings, PSEUDONYM) == found
    assert translated(example.tool, found, example.settings)


def recorded(example: Example, value: object) -> list[Any]:
    """What of a request is put on the tool's topic, and what the worker takes of a record there; nothing is refused."""
    split = example.tool.split(
        Received({"content-type": JSON}, json.dumps(value, ensure_ascii=False).encode()), example.settings, NOW
    )
    if isinstance(split, Rejected):
        return []
    parsed = [example.tool.parse(payload, split.media_type) for payload in split.payloads]
    return [example.tool.redact(one.value, example.settings, PSEUDONYM) for one in parsed if isinstance(one, Parsed)]


def outline(example: Example, value: object) -> Any:  # noqa: ANN401 (a translation)
    """Of a refusal the reason: where it came in, what was no person has been given a time by then."""
    found = translation_of(example, value)
    return found.reason if isinstance(found, Rejected) else found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_a_recorded_event_translates_the_same_from_the_topic(example: Example) -> None:
    for value in example.payloads():
        found = redacted_by(example.tool, value, example.settings)

        assert [translation_of(example, again) for again in recorded(example, found)] == [
            translation_of(example, found)
        ]


@given(st.data())
def test_a_recorded_payload_translates_the_same_from_the_topic(data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(EXAMPLES))
    for found in recorded(example, data.draw(mutated(example.payloads()))):
        again = recorded(example, found)

        assert [outline(example, one) for one in again] == [outline(example, found)]


def test_there_are_examples_of_every_tool_that_people_write_in() -> None:
    assert {example.tool.name for example in EXAMPLES} >= {"slack", "typeform", "xapi", "caliper", "hr", "mapping"}
