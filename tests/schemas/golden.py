"""The golden examples, and how each of them is parsed."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from schemas.alerts import ALERT_EVENT, AlertEvent
from schemas.events import MENTORING_EVENT, MentoringEvent
from schemas.models import RECORDS, models
from schemas.primitives import Message
from schemas.publish import current
from schemas.rule_sets import RULE_EVENT, RuleEvent
from schemas.scores import SCORE_EVENT, ScoreEvent

SCHEMAS = Path(__file__).parents[2] / "schemas"
FOLDER = SCHEMAS / "examples"
NAMES = sorted(models())
EVENTS = [name for name in NAMES if name.endswith(".v1")]
READERS: Mapping[object, TypeAdapter[Any]] = {
    MentoringEvent: MENTORING_EVENT,
    ScoreEvent: SCORE_EVENT,
    AlertEvent: ALERT_EVENT,
    RuleEvent: RULE_EVENT,
    **{record: TypeAdapter(record) for record in RECORDS},
}
Steps = tuple[str | int, ...]


@cache
def value(name: str) -> bytes:
    """Return the value of a record that carries this example."""
    return (FOLDER / f"{name}.json").read_bytes()


@cache
def current_schemas() -> Mapping[str, dict[str, Any]]:
    """Return the JSON Schema of every model; cached, because building them takes a third of a second."""
    return current()


def example(name: str) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(value(name))


def named(*unions: object) -> list[str]:
    """Return the names of the examples of these unions."""
    return [name for name in NAMES if _union(name) in unions]


@cache
def reader(name: str) -> TypeAdapter[Any]:
    """Return the validator of the event's union, as every consumer uses it."""
    return READERS[_union(name)]


def read(name: str) -> Message:
    message: Message = reader(name).validate_json(value(name))
    return message


@cache
def json_schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / "json" / f"{name}.json").read_bytes()))


def leaves(tree: Any, path: Steps = ()) -> Iterator[tuple[Steps, Any]]:  # noqa: ANN401 (JSON)
    """Yield every scalar value with its path."""
    if not isinstance(tree, dict | list):
        yield path, tree
        return
    for step, below in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from leaves(below, (*path, step))


def nodes(tree: Any, path: Steps = ()) -> Iterator[Steps]:  # noqa: ANN401 (JSON)
    """Yield the path of every object."""
    if isinstance(tree, dict):
        yield path
    if isinstance(tree, dict | list):
        for step, below in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from nodes(below, (*path, step))


def put(tree: Any, path: Steps, changed: object) -> Any:  # noqa: ANN401 (JSON)
    """Return a copy with another value at the path."""
    if not path:
        return changed
    copy: Any = tree.copy()
    step, *rest = path
    copy[step] = put(copy[step], tuple(rest), changed) if rest else changed
    return copy


def _union(name: str) -> object:
    model = models()[name]
    return next(union for union in READERS if union is model or model in getattr(union, "__args__", ()))
