"""What is stored of a payload: what its tool's allow-list keeps, as JSON."""

import json
from dataclasses import dataclass

from services.ingest.domain.pseudonym import NoDigestKeyError, Pseudonym
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.taken import JSON
from services.ingest.sources.tool import Tool, ToolSettings


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
