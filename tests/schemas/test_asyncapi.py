"""The AsyncAPI document. `asyncapi-3.0.0.schema.json.gz` is AsyncAPI's own JSON Schema of such documents, as published
in version 6.11.1 of its npm package @asyncapi/specs (Apache 2.0)."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from schemas.asyncapi import document
from schemas.models import models
from schemas.topics import TOPICS, Topic
from tests.schemas.golden import SCHEMAS

SPECIFICATION = Path(__file__).with_name("asyncapi-3.0.0.schema.json.gz")
DOCUMENT: dict[str, Any] = json.loads((SCHEMAS / "asyncapi.json").read_bytes())


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    return Draft7Validator(json.loads(gzip.decompress(SPECIFICATION.read_bytes())))


def test_the_document_is_valid_asyncapi(specification: Draft7Validator) -> None:
    faults = [f"{error.json_path}: {error.message[:200]}" for error in specification.iter_errors(DOCUMENT)]

    assert faults == []


@pytest.mark.parametrize("spoilt", [{"channels": []}, {"asyncapi": "2.6.0"}, {"operations": {"a": {"action": "buy"}}}])
def test_an_invalid_document_is_detected(specification: Draft7Validator, spoilt: dict[str, object]) -> None:
    assert not specification.is_valid(document() | spoilt)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            assert at(DOCUMENT, reference), reference
        else:
            assert (SCHEMAS / reference).is_file(), reference


def test_every_model_is_carried_by_a_topic() -> None:
    described = {message["payload"]["schema"]["$ref"] for message in DOCUMENT["components"]["messages"].values()}

    assert described == {f"./json/{name}.json" for name in models()}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_is_described_with_all_its_producers_and_consumers(topic: Topic) -> None:
    channel = DOCUMENT["channels"][topic.name]
    operations = {
        (operation["action"], operation["tags"][0]["name"])
        for operation in DOCUMENT["operations"].values()
        if operation["channel"]["$ref"] == f"#/channels/{topic.name}"
    }

    assert channel["address"] == topic.name
    assert channel["messages"]
    assert channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] == [topic.cleanup]
    assert operations == {("send", p) for p in topic.producers} | {("receive", c) for c in topic.consumers}


def references(tree: Any) -> list[str]:  # noqa: ANN401 (JSON)
    if isinstance(tree, list):
        return [found for below in tree for found in references(below)]
    if not isinstance(tree, dict):
        return []
    own = [tree["$ref"]] if "$ref" in tree else []
    return own + [found for below in tree.values() for found in references(below)]


def at(tree: Any, pointer: str) -> Any:  # noqa: ANN401 (JSON)
    for step in pointer.removeprefix("#/").split("/"):
        tree = tree[step]
    return tree
