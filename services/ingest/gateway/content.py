"""The three ways to carry CloudEvents over HTTP: structured, batch and binary."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote

from starlette.datastructures import Headers

from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.gateway.problem import ProblemError, rejection

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
ATTRIBUTE = re.compile(r"[a-z0-9]+")
# Both are said by other means in binary mode.
NO_HEADER = frozenset({"data", "datacontenttype"})


@dataclass(frozen=True)
class Content:
    """The events of one request, parsed and not yet judged."""

    events: list[object]
    is_batch: bool


def media_type(headers: Headers) -> str:
    """Raises ProblemError 415."""
    header = Message()
    header["content-type"] = headers.get("content-type", "")
    found = header.get_content_type() if "content-type" in headers else "none"
    if found not in {STRUCTURED, BATCH, JSON}:
        raise _unsupported(f"the content type is {found}; send {STRUCTURED}, {BATCH} or {JSON}")
    if (header.get_content_charset() or "utf-8") not in {"utf-8", "us-ascii"}:
        raise _unsupported("JSON is sent in UTF-8")
    return found


def read_content(media: str, headers: Headers, body: bytes) -> Content:
    """Raises ProblemError 400."""
    parsed = read_json(body)
    if isinstance(parsed, Rejected):
        raise rejection(parsed)
    if media == BATCH:
        return Content(_batch(parsed.value), is_batch=True)
    attributes = _attributes(headers)
    if media == JSON and attributes:
        return Content([attributes | {"datacontenttype": JSON, "data": parsed.value}], is_batch=False)
    if isinstance(parsed.value, list):
        raise rejection(rejected("malformed", "", f"is an array: send a batch as {BATCH}"))
    return Content([parsed.value], is_batch=False)


def _batch(value: object) -> list[object]:
    if not isinstance(value, list):
        raise rejection(rejected("malformed", "", "a batch is a JSON array of events"))
    if not value:
        raise ProblemError(400, "empty_batch", "a batch holds at least one event")
    return value


def _attributes(headers: Headers) -> dict[str, object]:
    """Of binary mode: header values are percent-encoded UTF-8."""
    found: dict[str, object] = {}
    for header, value in headers.items():
        if header.startswith("ce-"):
            found[_attribute(header, found)] = _decoded(header, value)
    return found


def _attribute(header: str, found: Mapping[str, object]) -> str:
    name = header.removeprefix("ce-")
    if name in found:
        raise rejection(rejected("malformed", header, "is there twice"))
    if name in NO_HEADER or not ATTRIBUTE.fullmatch(name):
        raise rejection(rejected("malformed", header, "is no attribute of a CloudEvent in binary mode"))
    return name


def _decoded(header: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as broken:
        raise rejection(rejected("malformed", header, "is no percent-encoded UTF-8")) from broken


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(
        415, "unsupported_media_type", detail, headers={"Accept-Post": f"{STRUCTURED}, {BATCH}, {JSON}"}
    )
