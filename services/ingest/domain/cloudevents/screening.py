"""What of an event from outside may go further: the attributes that we know, and no id that may be text."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from schemas.events import CloudEvent, RelationshipEvent
from services.ingest.domain.cloudevents.binary_mode import ATTRIBUTE
from services.ingest.domain.cloudevents.json_format import ENCODED
from services.ingest.domain.pseudonym import NoDigestKeyError, Pseudonym
from services.ingest.domain.verdict import Rejected, rejected

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
    kept = {name: value for name, value in given.items() if _is_kept(name, value)}
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
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or CONTROL.search(value):
        return
    try:
        members[name] = pseudonym(value)
    except NoDigestKeyError as no_key:
        raise _TextError(f"{below}{name}", str(no_key)) from no_key


class _TextError(Exception):
    def __init__(self, path: str, words: str) -> None:
        super().__init__(words)
        self.path = path
