"""The three ways to carry CloudEvents over HTTP: structured, batch and binary."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers

from services.ingest.domain.cloudevents.binary_mode import read_attributes, read_binary
from services.ingest.domain.cloudevents.media_type import BATCH, JSON, STRUCTURED, MediaType, read_media_type
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.gateway.problem import ProblemError, rejection

__all__ = ["BATCH", "JSON", "STRUCTURED", "Content", "media_type", "read_content"]

PREFIX = "ce-"
QUOTED = re.compile(r'"(.*)"', re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Content:
    """The events of one request, parsed and not yet judged."""

    events: list[object]
    is_batch: bool


def media_type(headers: Headers) -> str:
    """Raises ProblemError 415. In binary mode the type may be missing, or any kind of JSON."""
    found = read_media_type(headers.get("content-type", JSON if _is_binary(headers) else ""))
    if found.name not in {STRUCTURED, BATCH, JSON} and not (_is_binary(headers) and _may_be_data(found)):
        raise _unsupported(f"the content type is {found.name or 'none'}; send {STRUCTURED}, {BATCH} or {JSON}")
    if not found.is_json:
        raise _unsupported("JSON is sent in UTF-8")
    return found.name


def read_content(media: str, headers: Headers, body: bytes) -> Content:
    """Raises ProblemError 400."""
    if media == BATCH:
        return Content(_batch(_value(read_json(body))), is_batch=True)
    if media != STRUCTURED and _is_binary(headers):
        return Content([_binary(headers, body)], is_batch=False)
    event = _value(read_json(body))
    if isinstance(event, list):
        raise rejection(rejected("malformed", "", f"is an array: send a batch as {BATCH}"))
    return Content([event], is_batch=False)


def _is_binary(headers: Headers) -> bool:
    return any(name.startswith(PREFIX) for name in headers)


def _may_be_data(media: MediaType) -> bool:
    return media.is_json and not media.name.startswith("application/cloudevents")


def _value(parsed: Parsed | Rejected) -> object:
    if isinstance(parsed, Rejected):
        raise rejection(parsed)
    return parsed.value


def _batch(value: object) -> list[object]:
    if not isinstance(value, list):
        raise rejection(rejected("malformed", "", "a batch is a JSON array of events"))
    if not value:
        raise ProblemError(400, "empty_batch", "a batch holds at least one event")
    return value


def _binary(headers: Headers, body: bytes) -> object:
    attributes = read_attributes(_decoded(headers), PREFIX)
    if isinstance(attributes, Rejected):
        raise rejection(attributes)
    return _value(read_binary(attributes, headers.get("content-type"), body))


def _decoded(headers: Headers) -> Iterator[tuple[str, bytes]]:
    """A value may be quoted, and is then percent-encoded UTF-8 (CloudEvents' HTTP binding, 3.1.3.2)."""
    for name, value in headers.items():
        quoted = QUOTED.fullmatch(value)
        text = ESCAPED.sub(r"\1", quoted[1]) if quoted else value
        yield name, unquote_to_bytes(text.encode("latin-1"))


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(
        415, "unsupported_media_type", detail, headers={"Accept-Post": f"{STRUCTURED}, {BATCH}, {JSON}"}
    )
