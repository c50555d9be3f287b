"""What of a refused event is kept: attributes that we know, each with a value that passes its own check."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.events import EVENT_TYPES, MENTORING_EVENT, partition_key
from schemas.known_names import UNKNOWN, known_path
from services.ingest.domain.cloudevents.json_format import ENCODED, normal_form
from services.ingest.domain.cloudevents.screening import screened
from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Problem, Rejected

# By its schema an event without a known type is looked at.
ANY_TYPE = "mentoring.relationship.expectations_agreed.v1"
# A member that is wrong is taken out, and what stands around it is looked at again.
MOST_ROUNDS = 8
# Steps of a path that are of the protocol, not of our messages.
OF_THE_PROTOCOL = frozenset({"content-type", "ce_data", "ce_datacontenttype", ENCODED})


class Leavings(NamedTuple):
    """`whole`: nothing but unknown extensions is missing, so that it may be sent again."""

    event: Mapping[str, object]
    whole: bool


def leavings(raw: object, scope: Scope, pseudonym: Pseudonym) -> Leavings:
    """Empty where `raw` is no event at all."""
    nothing = Leavings({}, whole=False)
    normal = normal_form(raw) if isinstance(raw, dict) else None
    if normal is None or isinstance(normal, Rejected):
        return nothing
    found = screened(normal, pseudonym)
    if isinstance(found, Rejected):
        return nothing
    given = dict(found.event)
    kept = _without_strangers(_pruned(given), scope)
    return Leavings(kept, whole=kept == given)


def without_words(rejected: Rejected) -> Rejected:
    """What is written down of a rejection: places that are ours, and reasons without a word of the sender's."""
    return Rejected(
        rejected.reason, tuple(Problem(_stored_path(one.path), one.stored or one.reason) for one in rejected.errors)
    )


def _stored_path(path: str) -> str:
    if path in OF_THE_PROTOCOL or not path:
        return path
    return f"ce_{UNKNOWN}" if path.startswith("ce_") else known_path(path.split("."))


def _pruned(given: Mapping[str, object]) -> dict[str, object]:
    named = given.get("type")
    kept: dict[str, Any] = json.loads(json.dumps(given))
    if named not in EVENT_TYPES:
        # Of what is of no type nothing says which data it may have.
        kept = {name: value for name, value in kept.items() if name != "data"} | {"type": ANY_TYPE}
    for _ in range(MOST_ROUNDS):
        wrong = _wrong(kept)
        if not wrong:
            return kept if named in EVENT_TYPES else {name: v for name, v in kept.items() if name != "type"}
        for path in wrong:
            _take_out(kept, path)
    return {}


def _wrong(event: Mapping[str, object]) -> list[tuple[int | str, ...]]:
    """The paths of what is there and should not be so. Longest first, so that taking out moves no other."""
    try:
        MENTORING_EVENT.validate_json(json.dumps(event))
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False, include_input=False)
        return sorted((e["loc"][1:] for e in errors if e["type"] != "missing"), key=len, reverse=True)
    return []


def _take_out(event: dict[str, Any], path: tuple[int | str, ...]) -> None:
    """The whole list where one of its entries is wrong."""
    at: Any = event
    for step in path[:-1]:
        following = at.get(step) if isinstance(at, dict) else None
        if not isinstance(following, dict):
            if isinstance(at, dict):
                at.pop(step, None)
            return
        at = following
    if path and isinstance(at, dict):
        at.pop(path[-1], None)
    else:
        event.clear()


def _without_strangers(event: dict[str, Any], scope: Scope) -> dict[str, object]:
    """A source may be any text of ASCII, those of the sender's scope are known; a key follows from its parts."""
    kept = dict(event)
    if kept.get("partitionkey") != partition_key(str(kept.get("tenant", scope.tenant)), str(kept.get("subject"))):
        kept.pop("partitionkey", None)
    if kept.get("source") not in scope.sources:
        kept.pop("source", None)
    data = kept.get("data")
    if isinstance(data, dict) and "source" in data and data["source"] not in scope.sources:
        kept["data"] = {name: value for name, value in data.items() if name != "source"}
    return kept
