"""The in-house tool: what its rules make of a payload is all that is kept of it."""

from services.ingest.domain.ids import Pseudonym
from services.ingest.sources.mapping.applied import is_applied, kept_again, recorded
from services.ingest.sources.mapping.proof import verify_by
from services.ingest.sources.mapping.settings import MappingSettings
from services.ingest.sources.mapping.translation import translate
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.sources.verification import (
    prove_bearer,
)


def keep(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    assert isinstance(settings, MappingSettings)
    if isinstance(payload, dict) and is_applied(payload):
        return kept_again(payload, settings, pseudonym)
    return recorded(translate(payload, settings), pseudonym)


TOOL = Tool(
    name="mapping",
    verify=prove_bearer,
    translate=translate,
    settings=MappingSettings,
    keep=keep,
    verify_by=verify_by,
)
