"""What is stored of a payload: what the rules made of it."""

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.sources.mapping.applied import is_applied, kept_again, recorded
from services.ingest.sources.mapping.settings import MappingSettings
from services.ingest.sources.mapping.translation import translate
from services.ingest.sources.tool import ToolSettings


def keep(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    assert isinstance(settings, MappingSettings)
    if isinstance(payload, dict) and is_applied(payload):
        return kept_again(payload, settings, pseudonym)
    return recorded(translate(payload, settings), pseudonym)
