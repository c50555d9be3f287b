"""Typeform as a tool."""

from services.ingest.sources.tool import Tool
from services.ingest.sources.typeform.keeping import keep
from services.ingest.sources.typeform.proof import prove
from services.ingest.sources.typeform.settings import TypeformSettings
from services.ingest.sources.typeform.translation import translate

TOOL = Tool(
    name="typeform",
    prove=prove,
    translate=translate,
    settings=TypeformSettings,
    keep=keep,
)
