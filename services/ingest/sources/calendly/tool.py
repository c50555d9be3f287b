"""What Calendly offers to the rest of ingest."""

from services.ingest.sources.calendly.proof import prove
from services.ingest.sources.calendly.translation import keep, translate
from services.ingest.sources.tool import Tool

TOOL = Tool(name="calendly", prove=prove, translate=translate, keep=keep)
