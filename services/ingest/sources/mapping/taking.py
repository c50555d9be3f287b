"""Payloads without the free text that the settings name."""

from datetime import datetime

from services.ingest.domain.tools.free_text import cut_text
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.mapping.settings import MappingSettings
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import Taken
from services.ingest.sources.tool import ToolSettings


def take(received: Received, settings: ToolSettings, _now: datetime) -> Taken | Rejected:
    assert isinstance(settings, MappingSettings)
    cut = cut_text(received.body, settings.free_text)
    return cut if isinstance(cut, Rejected) else Taken((cut.payload,))
