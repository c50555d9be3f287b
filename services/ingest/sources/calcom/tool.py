"""What Cal.com offers to the rest of ingest."""

from services.ingest.sources.calcom.proof import prove
from services.ingest.sources.calcom.translation import keep, translate
from services.ingest.sources.tool import Tool

TOOL = Tool(name="calcom", prove=prove, translate=translate, keep=keep)
