"""CloudEvents in binary mode: attributes in headers, data as the body. The prefix of the headers is the protocol's."""

import re
from collections.abc import Iterable, Mapping

from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Problem, Rejected, rejected

ATTRIBUTE = re.compile(r"[a-z0-9]+")
# Both are said by other means in binary mode.
NO_HEADER = frozenset({"data", "datacontenttype"})
LONGEST_HEADER_SHOWN = 80


def read_attributes(headers: Iterable[tuple[str, bytes]], prefix: str) -> Mapping[str, object] | Rejected:
    """Of the headers with this prefix, in lower case; their values are UTF-8. Other headers are left alone."""
    found: dict[str, object] = {}
    for header, value in headers:
        if not header.startswith(prefix):
            continue
        name = header.removeprefix(prefix)
        if refusal := _refused(header, name, found):
            return refusal
        try:
            found[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            return rejected("malformed", header, "is not UTF-8")
    return found


def read_binary(attributes: Mapping[str, object], content_type: str | None, body: bytes) -> Parsed | Rejected:
    """The event in structured form. Without a content type the data are taken as JSON, which all of ours are."""
    data = read_json(body)
    if isinstance(data, Rejected):
        return Rejected(data.reason, tuple(Problem("data", error.reason, error.stored) for error in data.errors))
    declared: dict[str, object] = {} if content_type is None else {"datacontenttype": content_type}
    return Parsed({**attributes, **declared, "data": data.value})


def _refused(header: str, name: str, found: Mapping[str, object]) -> Rejected | None:
    shown = header[:LONGEST_HEADER_SHOWN]
    if name in found:
        return rejected("malformed", shown, "is there twice")
    if name in NO_HEADER or not ATTRIBUTE.fullmatch(name):
        return rejected("malformed", shown, "is no attribute of a CloudEvent in binary mode")
    return None
