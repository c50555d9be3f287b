"""CloudEvents' JSON format, brought to the one form that we validate: unset members away, data as JSON itself."""

import base64
import binascii
from collections.abc import Mapping

from services.ingest.domain.cloudevents.media_type import JSON, read_media_type
from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Problem, Rejected, rejected

ENCODED = "data_base64"


def normal_form(event: Mapping[str, object]) -> Mapping[str, object] | Rejected:
    """A member of null is unset. JSON by any name (`text/json`, `application/vnd.acme+json; charset=utf-8`) is
    `application/json`; data of another type stay as they are, and are refused by what validates the event."""
    given = {name: value for name, value in event.items() if value is not None}
    declared = given.get("datacontenttype", JSON)
    if declared != JSON and (not isinstance(declared, str) or not read_media_type(declared).is_json):
        return given
    if "datacontenttype" in given:
        given["datacontenttype"] = JSON
    return _decoded(given) if ENCODED in given else given


def _decoded(given: dict[str, object]) -> Mapping[str, object] | Rejected:
    if "data" in given:
        return rejected("invalid", ENCODED, "data is there too; an event has one of them")
    encoded = given.pop(ENCODED)
    if not isinstance(encoded, str):
        return rejected("invalid", ENCODED, "is no text")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return rejected("invalid", ENCODED, "is no base64")
    data = read_json(raw)
    if isinstance(data, Rejected):
        return Rejected(
            "invalid",
            tuple(
                Problem(ENCODED, f"decoded, it {error.reason}", f"decoded, it {error.stored or error.reason}")
                for error in data.errors
            ),
        )
    return {**given, "data": data.value}
