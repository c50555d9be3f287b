"""Typeform as a tool."""

from services.ingest.sources.tool import Tool
from services.ingest.sources.typeform.proof import prove
from services.ingest.sources.typeform.settings import TypeformSettings
from services.ingest.sources.typeform.translation import translate

TOOL = Tool(
    name="typeform",
    prove=prove,
    translate=translate,
    settings=TypeformSettings,
    # `other` is what somebody wrote instead of a choice; the rest are answers that nothing of ours is made of.
    free_text=frozenset({"text", "other", "phone_number", "url", "file_url", "payment"}),
)
