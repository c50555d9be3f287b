"""Any in-house tool as a tool."""

from services.ingest.sources.credentials import prove_bearer
from services.ingest.sources.mapping.keeping import keep
from services.ingest.sources.mapping.proof import prove_by
from services.ingest.sources.mapping.settings import MappingSettings
from services.ingest.sources.mapping.translation import translate
from services.ingest.sources.tool import Tool

TOOL = Tool(
    name="mapping",
    prove=prove_bearer,
    translate=translate,
    settings=MappingSettings,
    keep=keep,
    prove_by=prove_by,
)
