"""CloudEvents as records of Kafka, structured or binary, after the Kafka protocol binding of CloudEvents 1.0."""

from collections.abc import Iterable

from services.ingest.domain.cloudevents.binary_mode import read_attributes, read_binary
from services.ingest.domain.cloudevents.media_type import JSON, STRUCTURED, read_media_type
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected, rejected

CONTENT_TYPE = "content-type"
PREFIX = "ce_"
LONGEST_SHOWN = 200


def read_record(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Parsed | Rejected:
    """One event in structured form, not yet judged. Header names are taken in any case, as the official SDKs do.
    JSON without any `ce_` header is an event in structured mode whose sender has not set its content type."""
    # A header of no value says nothing, as an attribute of null does.
    given = [(name.lower(), said) for name, said in headers if said is not None]
    content_type = _content_type(given)
    attributes = read_attributes(given, PREFIX)
    if isinstance(content_type, Rejected):
        return content_type
    if value is None:
        return rejected("malformed", "", "a record without a value (a tombstone) is no event")
    declared = JSON if content_type is None else content_type
    media = read_media_type(declared)
    if media.name.startswith("application/cloudevents"):
        # Attributes repeated in headers are allowed in structured mode, and say nothing there.
        return read_json(value) if media.name == STRUCTURED and media.is_json else _unsupported(declared)
    if isinstance(attributes, Rejected):
        return attributes
    if not media.is_json:
        return _unsupported(declared)
    return read_binary(attributes, content_type, value) if attributes else read_json(value)


def _content_type(headers: list[tuple[str, bytes]]) -> str | Rejected | None:
    found = [value for name, value in headers if name == CONTENT_TYPE]
    if len(found) > 1:
        return rejected("malformed", CONTENT_TYPE, "is there twice")
    try:
        return found[0].decode("utf-8") if found else None
    except UnicodeDecodeError:
        return rejected("malformed", CONTENT_TYPE, "is not UTF-8")


def _unsupported(content_type: str) -> Rejected:
    words = f"is {content_type[:LONGEST_SHOWN]!r}; send {STRUCTURED}, or {JSON} with the attributes in ce_ headers"
    stored = f"is none that is read; send {STRUCTURED}, or {JSON} with the attributes in ce_ headers, both in UTF-8"
    return rejected("malformed", CONTENT_TYPE, f"{words}, both in UTF-8", stored)
