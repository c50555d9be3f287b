"""What of an event from outside may go further: the attributes that we know, and no id that may be text."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.events import EVENT_TYPES, MENTORING_EVENT, CloudEvent, RelationshipEvent, partition_key
from schemas.known_names import UNKNOWN, known_path
from services.ingest.domain.cloudevents.content_modes import ATTRIBUTE, ENCODED, normal_form
from services.ingest.domain.ids import NoDigestKeyError, Pseudonym, is_plain
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Problem, Rejected, rejected

KNOWN = frozenset({*CloudEvent.model_fields, *RelationshipEvent.model_fields, ENCODED})
IDS = ("id", "correlationid", "causationid")
IDS_OF_DATA = ("reply_to",)
IDS_OF_A_TARGET = ("id", "slot")
IDS_OF_ORIGIN = ("native_type", "native_id")
RETRACTED = "mentoring.event.retracted.v1"
# W3C Trace Context. Values of tracestate are any ASCII there; here they are tokens, as tracers write them.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MEMBER = r"[a-z0-9][a-z0-9_*/-]{0,40}=[A-Za-z0-9+/=._:;~-]{1,80}"
TRACESTATE = re.compile(f"{_MEMBER}(,{_MEMBER}){{0,7}}")
# The schemas that we publish; nobody else's says anything of what is in our events.
DATASCHEMA = re.compile(r"urn:rapport:mentoring\.[a-z_]{1,40}\.[a-z_]{1,40}\.v[0-9]{1,3}(#/\$defs/[A-Za-z]{1,60})?")
STRICT = {"traceparent": TRACEPARENT, "tracestate": TRACESTATE, "dataschema": DATASCHEMA}
# Kept whatever they say: nearly all that is ever sent.
PLAIN = KNOWN - STRICT.keys()
# What the schema of an id refuses is left to it: it says why.
LONGEST_ID = 256
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Screened(NamedTuple):
    """`dropped`: how many attributes were left out."""

    event: Mapping[str, object]
    dropped: int


def screened(given: Mapping[str, object], pseudonym: Pseudonym) -> Screened | Rejected:
    """`given` in normal form. Left out are extensions that we do not know, as gateways add them, and what traces and
    schemas say in another than their strict form. Ids become the same each time: a repeat stays one, and what names
    another event by its id finds it. Rejected where an id may be text and no key is set."""
    kept = {name: value for name, value in given.items() if name in PLAIN or _is_kept(name, value)}
    try:
        for name in IDS:
            _replace(kept, name, pseudonym)
        if isinstance(kept.get("data"), dict):
            kept["data"] = _data(kept, pseudonym)
    except _TextError as text:
        return rejected("invalid", text.path, str(text))
    return Screened(kept, len(given) - len(kept))


def _is_kept(name: str, value: object) -> bool:
    if name in STRICT:
        return not isinstance(value, str) or STRICT[name].fullmatch(value) is not None
    # A name that no attribute may have is no extension, and is refused by what validates the event.
    return name in KNOWN or ATTRIBUTE.fullmatch(name) is None


def _data(event: Mapping[str, object], pseudonym: Pseudonym) -> dict[str, object]:
    given = event["data"]
    assert isinstance(given, dict)
    data = dict(given)
    for name in (*IDS_OF_DATA, *(IDS_OF_A_TARGET if event.get("type") == RETRACTED else ())):
        _replace(data, name, pseudonym, "data.")
    if isinstance(data.get("origin"), dict):
        data["origin"] = dict(data["origin"])
        for name in IDS_OF_ORIGIN:
            _replace(data["origin"], name, pseudonym, "data.origin.")
    return data


def _replace(members: dict[str, object], name: str, pseudonym: Pseudonym, below: str = "") -> None:
    value = members.get(name)
    # A plain id is its own pseudonym.
    if not isinstance(value, str) or is_plain(value):
        return
    if not 0 < len(value) <= LONGEST_ID or CONTROL.search(value):
        return
    try:
        members[name] = pseudonym(value)
    except NoDigestKeyError as no_key:
        raise _TextError(f"{below}{name}", str(no_key)) from no_key


class _TextError(Exception):
    def __init__(self, path: str, words: str) -> None:
        super().__init__(words)
        self.path = path


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
