"""What every tool is: how its requests are proven, what of them is recorded, and what is made of that."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.domain.activity import Translation
from services.ingest.domain.cloudevents.content_modes import JSON, read_media_type
from services.ingest.domain.ids import NoDigestKeyError, Pseudonym
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.verification import Received, Verification


@dataclass(frozen=True)
class Answer:
    """Instead of the gateway's own, where a standard says what a client waits for."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RawPayloads:
    """Each of `payloads` (at least one) becomes a record, and is judged, of its own: a fault in one loses no other.
    `media_type` is theirs. `answer` is sent when all of them are acknowledged."""

    payloads: tuple[bytes, ...]
    media_type: str = JSON
    answer: Answer | None = None


# Larger than any payload documented here; a broker takes no larger record by default.
MOST_BYTES = 2**20


class ToolSettings(BaseModel):
    """Of one connection; each tool that has settings has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_json(body: bytes, _media_type: str) -> Parsed | Rejected:
    return read_json(body)


def as_it_came(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads:
    return RawPayloads((received.body,), received.headers.get("content-type", JSON))


def _posted() -> Mapping[str, frozenset[str]]:
    return {"": frozenset({"POST"})}


@dataclass(frozen=True)
class Tool:
    """`prove` gets the request, the connection's secret and now. `translate` gets what `parse` made of a body (or of
    a fetched resource) and `keep` left of it, and the connection's settings; it raises for nothing that anybody can
    send. `keep` makes of what was parsed all that may be stored, see domain/tools/allow_list.py; what it kept once,
    it keeps as it is. `take` says which records a request becomes; what it made of a request once, it leaves as it
    is. `routes` are the methods served by what follows the connection's name in the path, `media_types` what they may
    carry. `loud` are the reasons of Ignored that an operator must see. `prove_by`, where it is given, chooses the
    proof by the settings: see Connection."""

    name: str
    verify: Callable[[Received, str, datetime], Verification]
    translate: Callable[[object, ToolSettings], Translation]
    keep: Callable[[object, ToolSettings, Pseudonym], object]
    settings: type[ToolSettings] = ToolSettings
    parse: Callable[[bytes, str], Parsed | Rejected] = parse_json
    take: Callable[[Received, ToolSettings, datetime], RawPayloads | Rejected] = as_it_came
    routes: Mapping[str, frozenset[str]] = field(default_factory=_posted)
    most_bytes: int = MOST_BYTES
    media_types: frozenset[str] = frozenset({JSON})
    loud: frozenset[str] = frozenset()
    verify_by: Callable[[ToolSettings], Callable[[Received, str, datetime], Verification]] | None = None


@dataclass(frozen=True)
class Kept:
    """`value` is what the payload says, parsed; `before` what it said with all that was cut."""

    payload: bytes
    media_type: str
    value: object
    before: object

    @property
    def was_cut(self) -> bool:
        return self.value != self.before


def kept(payload: bytes, media_type: str, tool: Tool, settings: ToolSettings, pseudonym: Pseudonym) -> Kept | Rejected:
    """Rejected: it cannot be read, so that what may be kept of it cannot be told."""
    parsed = tool.parse(payload, media_type)
    if isinstance(parsed, Rejected):
        return parsed
    try:
        value = tool.keep(parsed.value, settings, pseudonym)
    except NoDigestKeyError as missing:
        return rejected("invalid", "", f"an id {missing}")
    return Kept(json.dumps(value, ensure_ascii=False).encode(), JSON, value, parsed.value)


def is_served(content_type: str, tool: Tool) -> bool:
    """Without any the body is taken for what the tool documents, and read or refused as that."""
    if not content_type:
        return True
    media = read_media_type(content_type)
    return media.name in tool.media_types or (JSON in tool.media_types and media.is_json)


# Joined with paths: without a slash at the end, a query or a fragment. What carries a token is encrypted, unless it
# stays on this machine.
ApiUrl = Annotated[
    str, Field(pattern=r"^(https://[^\s?#/@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*[^\s?#/])?$")
]


class ApiSettings(ToolSettings):
    api_url: ApiUrl
