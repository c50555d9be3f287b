"""What a package of a tool offers to the rest of ingest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.tools.said import Translation
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.proof import Proof, Received
from services.ingest.sources.taken import JSON, Taken

# Larger than any payload documented here; a broker takes no larger record by default.
MOST_BYTES = 2**20


class ToolSettings(BaseModel):
    """Of one connection; each tool that has settings has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_json(body: bytes, _media_type: str) -> Parsed | Rejected:
    return read_json(body)


def as_it_came(received: Received, _settings: ToolSettings, _now: datetime) -> Taken:
    return Taken((received.body,), received.headers.get("content-type", JSON))


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
    prove: Callable[[Received, str, datetime], Proof]
    translate: Callable[[object, ToolSettings], Translation]
    keep: Callable[[object, ToolSettings, Pseudonym], object]
    settings: type[ToolSettings] = ToolSettings
    parse: Callable[[bytes, str], Parsed | Rejected] = parse_json
    take: Callable[[Received, ToolSettings, datetime], Taken | Rejected] = as_it_came
    routes: Mapping[str, frozenset[str]] = field(default_factory=_posted)
    most_bytes: int = MOST_BYTES
    media_types: frozenset[str] = frozenset({JSON})
    loud: frozenset[str] = frozenset()
    prove_by: Callable[[ToolSettings], Callable[[Received, str, datetime], Proof]] | None = None
